from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy_healpix import HEALPix

from fink_broker.alert.sky import separation_arcsec
from fink_broker.archive.hbase.keys import PIXEL_ORDER
from fink_broker.archive.hbase.positions import (
    MOST_RANGES,
    cone_ranges,
    pixel_radius,
    pixel_ranges,
    pixels_of,
)
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.errors import DataError

CENTRES = [
    (0.0, 0.0),
    (360.0, 0.0),
    (45.0, 0.0),
    (0.0, 90.0),
    (123.0, -90.0),
    (10.0, 89.9999),
    (300.0, -89.99),
    (45.0, math.degrees(math.asin(2 / 3))),
    (0.0, -math.degrees(math.asin(2 / 3))),
    (90.0, 41.9),
    (359.9999, 12.3),
    (193.8217409, 2.8973184),
]
RADII = [0.0, 0.01, 1.0, 5.0, 20.0, 51.0, 100.0, 600.0, 3600.0, 18_000.0, 324_000.0, 648_000.0]


def within(pixels: np.ndarray, ranges: list[KeyRange]) -> np.ndarray:
    found = np.zeros(len(pixels), dtype=bool)
    for each in ranges:
        found |= (pixels >= int(each.start)) & (pixels < int(each.stop))
    return found


def disc(rng: np.random.Generator, ra: float, dec: float, radius: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in a disc, half of them on its edge, with the centre."""
    distance = np.radians(radius / 3600) * np.where(rng.random(count) < 0.5, 1.0, np.sqrt(rng.random(count)))
    centre = SkyCoord(ra, dec, unit="deg")
    points = centre.directional_offset_by(rng.uniform(0, 360, count) * u.deg, distance * u.rad)
    found_ra, found_dec = np.append(points.ra.deg, ra % 360), np.append(points.dec.deg, dec)
    all_ra, all_dec = np.full(count + 1, ra % 360), np.full(count + 1, dec)
    inside = separation_arcsec(all_ra, all_dec, found_ra, found_dec) <= radius
    return found_ra[inside], found_dec[inside]


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("centre", CENTRES)
def test_no_position_in_a_disc_is_missed(centre, radius):
    rng = np.random.default_rng(int(radius * 100) + round(centre[0]))
    ranges = cone_ranges(*centre, radius)
    assert 1 <= len(ranges) <= MOST_RANGES
    ra, dec = disc(rng, *centre, radius, 3000)
    assert len(ra) > 0
    assert within(pixels_of(ra, dec), ranges).all()


def test_no_position_in_a_disc_anywhere_is_missed():
    rng = np.random.default_rng(5)
    for _ in range(150):
        ra, dec = rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-1, 1)))
        radius = 10 ** rng.uniform(-1, 5.5)
        points = disc(rng, ra, dec, radius, 500)
        assert within(pixels_of(*points), cone_ranges(ra, dec, radius)).all()


def test_ranges_follow_the_disc():
    rng = np.random.default_rng(6)
    for radius, most in ((60.0, 6.0), (600.0, 2.5), (18_000.0, 2.0), (180_000.0, 1.8)):
        for _ in range(20):
            ra, dec = rng.uniform(0, 360), rng.uniform(-80, 80)
            pixels = sum(int(each.stop) - int(each.start) for each in cone_ranges(ra, dec, radius))
            share = pixels / (12 * 4**PIXEL_ORDER)
            assert share < most * (1 - math.cos(math.radians(radius / 3600))) / 2


def test_ranges_are_apart_and_in_order():
    for radius in RADII:
        ranges = cone_ranges(200.0, 30.0, radius)
        for one, other in pairwise(ranges):
            assert one.start < one.stop < other.start < other.stop


@pytest.mark.parametrize(
    ("ra", "dec", "radius"),
    [
        (math.nan, 0, 1),
        (0, math.nan, 1),
        (0, 0, math.nan),
        (-1, 0, 1),
        (361, 0, 1),
        (0, 91, 1),
        (0, 0, -1),
        (0, 0, 1e9),
    ],
)
def test_what_is_no_disc_is_refused(ra, dec, radius):
    with pytest.raises(DataError, match="disc"):
        cone_ranges(ra, dec, radius)


def test_pixels_are_those_of_astropy_healpix():
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(0, 360, 1000), rng.uniform(-90, 90, 1000)
    reference = HEALPix(4096, order="nested").lonlat_to_healpix(ra * u.deg, dec * u.deg)
    assert np.array_equal(pixels_of(ra, dec), reference)
    assert pixels_of(np.array([360.0]), np.array([3.0])) == pixels_of(np.array([0.0]), np.array([3.0]))
    with pytest.raises(DataError, match="not on the sky"):
        pixels_of(np.array([1.0, math.nan]), np.array([1.0, 2.0]))


@pytest.mark.parametrize("order", [0, 5, 7, 12])
def test_pixels_of_an_order_are_ranges_of_the_finest(order):
    rng = np.random.default_rng(order)
    chosen = np.unique(rng.integers(0, 12 * 4**order, 30))
    ra, dec = rng.uniform(0, 360, 3000), np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))
    coarse = HEALPix(2**order, order="nested").lonlat_to_healpix(ra * u.deg, dec * u.deg)
    assert np.array_equal(within(pixels_of(ra, dec), pixel_ranges(order, chosen)), np.isin(coarse, chosen))


def test_neighbouring_pixels_are_one_range():
    assert pixel_ranges(11, [3, 1, 2, 2, 7]) == [
        KeyRange(b"000000004", b"000000016"),
        KeyRange(b"000000028", b"000000032"),
    ]
    assert pixel_ranges(0, range(12)) == [KeyRange(b"000000000", b"201326592")]
    assert pixel_ranges(3, []) == []


@pytest.mark.parametrize(("order", "pixels"), [(13, [0]), (-1, [0]), (0, [12]), (3, [-1])])
def test_pixels_that_do_not_exist_are_refused(order, pixels):
    with pytest.raises(DataError, match="no such pixel"):
        pixel_ranges(order, pixels)


@pytest.mark.parametrize("order", [0, 1, 3, 6])
def test_no_corner_is_farther_than_the_radius_of_pixels(order):
    grid = HEALPix(2**order, order="nested")
    pixels = np.arange(12 * 4**order)[:: max(1, 4**order // 64)]
    centre, corners = grid.healpix_to_lonlat(pixels), grid.boundaries_lonlat(pixels, 4)
    points = [each.to_value(u.deg) for each in (*centre, *corners)]
    count = points[2].shape[1]
    distance = separation_arcsec(
        np.repeat(points[0], count), np.repeat(points[1], count), points[2].ravel(), points[3].ravel()
    )
    assert 0.9 * pixel_radius(order) < distance.max() <= pixel_radius(order)
