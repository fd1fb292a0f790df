"""Lists of positions: which alerts a list takes, which files it reads, and which it refuses with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from sky_positions import random_sky, view_of

from fink_broker.alert.sky import separation_arcsec
from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter
from fink_broker.filters.places.discs import Discs
from fink_broker.filters.places.watchlist import Watchlist

ARCSEC = 1 / 3600
HEADER = "name,ra,dec,radius\n"


def nearby(ra: np.ndarray, dec: np.ndarray, distance: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions at some distances (arcsec) of others, in random directions."""
    angle = np.random.default_rng(seed).uniform(0, 360, len(ra))
    moved = SkyCoord(ra, dec, unit="deg").directional_offset_by(angle * units.deg, distance * units.arcsec)
    return np.mod(moved.ra.deg, 360), moved.dec.deg


def write(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("radii", [(1.5,), (0.1, 1.5, 60.0, 900.0, 7200.0)])
def test_hundred_thousand_positions_as_astropy_matches_them(radii: tuple[float, ...]) -> None:
    rng = np.random.default_rng(5)
    ra, dec = random_sky(100_000, seed=1)
    share = 0.02 ** np.arange(len(radii))  # the wider, the rarer
    radius = rng.choice(radii, len(ra), p=share / share.sum())
    chosen = rng.permutation(len(ra))[:3000]
    near = nearby(ra[chosen], dec[chosen], radius[chosen] * rng.uniform(0, 2, len(chosen)), seed=2)
    asked_ra, asked_dec = (np.concatenate(pair) for pair in zip(near, random_sky(3000, seed=3), strict=True))

    covered = Discs(ra, dec, radius).cover(asked_ra, asked_dec)

    expected = np.zeros(len(asked_ra), dtype=bool)
    asked = SkyCoord(asked_ra, asked_dec, unit="deg")
    for value in np.unique(radius):
        centres = SkyCoord(ra[radius == value], dec[radius == value], unit="deg")
        expected |= asked.match_to_catalog_sky(centres)[1].arcsec <= value
    assert 1000 < expected.sum() < 6000
    np.testing.assert_array_equal(covered, expected)


def test_every_pair_by_brute_force() -> None:
    rng = np.random.default_rng(8)
    ra, dec = random_sky(2000, seed=4)
    ra[:1000], dec[:1000] = rng.uniform(359, 361, 1000) % 360, rng.uniform(-0.5, 0.5, 1000)  # a crowded field
    radius = 10 ** rng.uniform(-1, 3.5, len(ra))
    asked_ra, asked_dec = nearby(ra, dec, radius * rng.uniform(0, 2, len(ra)), seed=9)
    discs = Discs(ra, dec, radius)
    centres, asked = SkyCoord(ra, dec, unit="deg"), SkyCoord(asked_ra, asked_dec, unit="deg")
    inside = asked[:, None].separation(centres[None, :]).arcsec <= radius
    np.testing.assert_array_equal(discs.cover(asked_ra, asked_dec), inside.any(axis=1))
    assert 0.3 < inside.any(axis=1).mean() < 1
    for rows, expected in zip(discs.covering(asked_ra, asked_dec, most=5000), inside, strict=True):
        assert sorted(rows) == list(np.flatnonzero(expected))


def test_a_small_disc_counts_where_the_rim_of_a_huge_one_is_missed_by_a_hair() -> None:
    rng = np.random.default_rng(3)
    for ra, dec in zip(rng.uniform(20, 340, 200), rng.uniform(-60, 60, 200), strict=True):
        far = separation_arcsec(np.array([ra]), np.array([dec]), np.array([ra + 9]), np.array([dec]))[0]
        discs = Discs(np.array([ra + 9, ra]), np.array([dec, dec]), np.array([np.nextafter(far, 0), 0.0005]))
        assert discs.cover(np.array([ra]), np.array([dec])).all()


def test_one_position_two_hundred_thousand_times_is_still_searched_at_once() -> None:
    count = 200_000
    discs = Discs(np.full(count, 30.0), np.full(count, 5.0), np.full(count, 2.0))
    assert list(discs.cover(np.array([30.0, 31.0]), np.array([5.0, 5.0]))) == [True, False]


def test_poles_and_the_turn_of_right_ascension(tmp_path: Path) -> None:
    watch = Watchlist(write(tmp_path, "ra,dec\n10,90\n200,-90\n0,0\n359.9999,10\n"), radius_arcsec=2)
    inside = view_of([190, 20, 360, 359.9997, 0.0002], [90 - ARCSEC, -90 + ARCSEC, 0, 0, 10])
    assert list(watch.decide(inside)) == [True, True, True, True, True]
    outside = view_of([190, 20, 359.999, 0.001], [90 - 3 * ARCSEC, -90 + 3 * ARCSEC, 0, 10])
    assert not watch.decide(outside).any()


def test_the_rim_belongs_to_the_disc() -> None:
    discs = Discs(np.array([180.0]), np.array([0.0]), np.array([3600.0 * 0.5]))
    assert list(discs.cover(np.array([180.5, 180.5 + 1e-9]), np.array([0.0, 0.0]))) == [True, False]


def test_alerts_without_a_position_never_pass(tmp_path: Path) -> None:
    watch = Watchlist(write(tmp_path, "ra,dec\n0,0\n"), radius_arcsec=36_000)
    view = view_of([None, np.nan, np.inf, 0.0, -1.0, 0.1], [0.0, 0.0, 0.0, 95.0, 0.0, 0.1])
    assert list(watch.decide(view)) == [False, False, False, False, False, True]
    assert len(watch.decide(view_of([], []))) == 0


def test_names_of_all_sources_nearest_first(tmp_path: Path) -> None:
    watch = Watchlist(
        write(tmp_path, "name,ra,dec,radius\n" + "far,10,0.001,60\nnear,10,0,60\n,10,0.0002,60\nother,11,0,60\n")
    )
    assert watch.matches(np.array([10.0, 50.0]), np.array([0.0, 0.0])) == [["near", "line 4", "far"], []]


def test_the_rule_names_its_columns_and_changes_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "ra,dec\n1,2\n")

    def identity(radius: float = 1.5) -> str:
        return Filter("mine", Watchlist(path, radius), "", "", "1", built_in=False).identity

    first = identity()
    assert first == identity()
    assert first != identity(radius=2)
    path.write_text("ra,dec\n1,3\n")
    assert first != identity()
    watch = Watchlist(path)
    assert watch.reads == ("candidate.ra", "candidate.dec")
    watch.check(view_of([], []).table.schema)
    with pytest.raises(ConfigError, match=r"no column 'candidate\.ra'"):
        watch.check(pa.schema([("candidate", pa.struct([("dec", pa.float64())]))]))


@pytest.mark.parametrize("radius", [0, -1, float("nan"), 36_001, "wide"])
def test_radii_that_are_none(radius: float) -> None:
    with pytest.raises(ConfigError, match="no radius"):
        Watchlist(Path("list.csv"), radius)
