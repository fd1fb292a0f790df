"""Searches on the sky find what a search among all 100,000 positions finds, poles and right ascension 0 included."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pyarrow as pa
import pytest
from archived import empty_archive
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy_healpix import healpy as healpix
from portal_questions import OFFLINE, answer, as_table, rows

from fink_broker.archive.hbase import reader
from fink_broker.archive.hbase.cells import ALERT_CELL, POSITION_SUFFIX
from fink_broker.archive.hbase.keys import position_keys
from fink_broker.archive.hbase.positions import pixels_of
from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.filters.places.skymap import Cells
from fink_broker.portal import credible_pixels, skymaps
from fink_broker.portal.route import RequestError

COUNT = 100_000
UNLIMITED = Config(api={"max_rows": COUNT, "resolvers": ["none"]})
T0 = 2460000.5


def positions() -> tuple[np.ndarray, np.ndarray]:
    """Return positions all over the sky, many of them around the poles and along right ascension 0."""
    random = np.random.default_rng(0)
    ra = random.uniform(0, 360, COUNT)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, COUNT)))
    near_pole = random.random(COUNT) < 0.1
    dec[near_pole] = np.sign(dec[near_pole]) * (90 - random.exponential(2.0, near_pole.sum()) % 90)
    near_zero = random.random(COUNT) < 0.1
    ra[near_zero] = random.normal(0, 1.0, near_zero.sum()) % 360
    ra[:6], dec[:6] = [0.0, 0.0, 359.99999, 0.0, 180.0, 45.0], [90.0, -90.0, 0.0, 0.0, 89.9999, 41.8103149]
    return ra, dec


@pytest.fixture(scope="module")
def objects() -> pa.Table:
    """What the table by position says of the objects."""
    ra, dec = positions()
    random = np.random.default_rng(1)
    names = pa.array([f"ZTF21{number:07d}" for number in range(COUNT)])
    first = T0 + random.uniform(-20, 20, COUNT)
    return pa.table(
        {
            "i:objectId": names, "i:candid": np.arange(COUNT) + 10**18, "i:jd": first + random.exponential(5, COUNT),
            "i:jdstarthist": first, "i:ra": ra, "i:dec": dec, "i:fid": pa.array(np.ones(COUNT), pa.int32()),
            "i:magpsf": pa.array(random.uniform(15, 20, COUNT), pa.float32()),
            "d:classification": pa.repeat("Unknown", COUNT),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def archive(objects: pa.Table) -> Archive:
    """An archive of memory that holds them."""
    made = empty_archive()
    pixels = pixels_of(objects["i:ra"].to_numpy(), objects["i:dec"].to_numpy())
    keys = position_keys(pixels, objects["i:objectId"])
    packed = made.schemas.pack(objects)
    made.store.put(
        made.name(POSITION_SUFFIX), [(key, {ALERT_CELL: row}) for key, row in zip(keys, packed, strict=True)]
    )
    return made


CENTRES = [
    (0.0, 90.0), (0.0, -90.0), (210.0, 89.99), (30.0, -88.5), (0.0, 0.0), (359.9999, 0.0), (0.0001, -30.0), (0.0, 60.0),
    (180.0, 89.9999), (45.0, 41.8103149), (123.4, -12.3), (270.0, 66.56),
]  # fmt: skip


@pytest.mark.parametrize("centre", CENTRES)
def test_large_cones_hold_the_same_in_little_memory(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, centre: tuple[float, float]
) -> None:
    def cone(most: int) -> pa.Table:
        asked = {"ra": centre[0], "dec": centre[1], "radius": 18000, "n": most, "startdate": T0 - 10}
        return as_table(answer(archive, "conesearch", asked, config=UNLIMITED))

    whole = cone(COUNT)
    monkeypatch.setattr(reader, "_SIFTED_AT_ONCE", 50)
    monkeypatch.setattr(reader, "_PAGE", 20)
    for most in (COUNT, 30):
        found = cone(most)
        assert found["i:candid"].to_pylist() == whole["i:candid"].to_pylist()[:most]
    assert len(whole) > 30


@pytest.mark.parametrize("radius", [0.0, 1.0, 60.0, 3600.0, 18000.0])
@pytest.mark.parametrize("centre", CENTRES)
def test_a_cone_holds_what_astropy_finds_in_it(
    archive: Archive, objects: pa.Table, centre: tuple[float, float], radius: float
) -> None:
    ra, dec = objects["i:ra"].to_numpy(), objects["i:dec"].to_numpy()
    separation = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(*centre, unit="deg")).arcsec
    edge = 1e-6  # astropy's own rounding
    found = as_table(
        answer(
            archive, "conesearch", {"ra": centre[0], "dec": centre[1], "radius": radius, "n": COUNT}, config=UNLIMITED
        )
    )
    got = set(found["i:objectId"].to_pylist()) if len(found) else set()
    names = np.array(objects["i:objectId"].to_pylist())
    assert set(names[separation <= radius - edge]) <= got <= set(names[separation <= radius + edge])
    if got:
        degrees = found["v:separation_degree"].to_numpy()
        by_name = dict(zip(names, separation, strict=True))
        np.testing.assert_allclose(degrees * 3600, [by_name[n] for n in found["i:objectId"].to_pylist()], atol=1e-6)
        assert (np.diff(degrees) >= 0).all()
    if radius == 18000.0:
        assert len(got) > 50


@pytest.mark.parametrize(
    ("dates", "first", "last"),
    [
        ({"startdate": T0, "stopdate": T0 + 3}, T0, T0 + 3),
        ({"startdate": T0 - 2400000.5, "window": "1"}, T0, T0 + 1),
        ({"stopdate": "2023-02-25 00:00:00"}, 0, T0),
        ({"startdate": "2023-02-25"}, T0, np.inf),
    ],
)
def test_dates_of_a_cone_select_on_the_first_detection(
    archive: Archive, objects: pa.Table, dates: dict, first: float, last: float
) -> None:
    found = rows(archive, "conesearch", ra=0, dec=90, radius=18000, n=5000, **dates)
    ra, dec, start = (objects[name].to_numpy() for name in ("i:ra", "i:dec", "i:jdstarthist"))
    inside = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(0, 90, unit="deg")).deg <= 5.0
    expected = np.array(objects["i:objectId"].to_pylist())[inside & (start >= first) & (start <= last)]
    assert set(found["i:objectId"].to_pylist()) == set(expected)
    assert 0 < len(expected) < inside.sum()


def skymap(nside: int, *, nested: bool, date: str = "2023-02-25T00:00:00.000") -> tuple[bytes, np.ndarray]:
    """Return a flat map, two patches of probability on a faint ground, and the probabilities in nested order."""
    x, y, z = healpix.pix2vec(nside, np.arange(12 * nside**2), nest=True)
    probability = np.exp(-((x - 0.9) ** 2 + (y + 0.1) ** 2 + (z - 0.3) ** 2) / 0.02)
    probability += 0.5 * np.exp(-((x + 0.1) ** 2 + (y - 0.1) ** 2 + (z - 1.0) ** 2) / 0.01) + 1e-6
    probability /= probability.sum()
    stored = probability if nested else probability[healpix.ring2nest(nside, np.arange(len(probability)))]
    hdu = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=stored)])
    hdu.header.update(
        PIXTYPE="HEALPIX", ORDERING="NESTED" if nested else "RING", NSIDE=nside, INDXSCHM="IMPLICIT", COORDSYS="C"
    )
    hdu.header["DATE-OBS"] = date
    return packed(hdu), probability


def packed(hdu: fits.BinTableHDU) -> bytes:
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(content)
    return gzip.compress(content.getvalue(), 1)


def expected_objects(objects: pa.Table, probability: np.ndarray, level: float, before: float, after: float) -> set[str]:
    """Return the objects of the credible region the plain way: levels of all pixels, means of those in each of 128."""
    order = np.argsort(-probability, kind="stable")
    levels = np.empty(len(order))
    levels[order] = np.cumsum(probability[order])
    nside = int(np.sqrt(len(probability) / 12))
    finer, coarser = max(1, nside // 128) ** 2, max(1, 128 // nside) ** 2
    coarse = np.repeat(levels.reshape(-1, finer).mean(axis=1), coarser)
    ra, dec = objects["i:ra"].to_numpy(), objects["i:dec"].to_numpy()
    pixel = healpix.ang2pix(128, ra, dec, nest=True, lonlat=True)
    first, last = objects["i:jdstarthist"].to_numpy(), objects["i:jd"].to_numpy()
    chosen = (coarse[pixel] <= level) & (first >= T0 - before) & (first <= T0 + after) & (last - first <= after)
    return set(np.array(objects["i:objectId"].to_pylist())[chosen])


@pytest.mark.parametrize(
    ("nside", "nested", "level", "before", "after"),
    [(256, True, 0.9, 1, 6), (256, False, 0.5, 7, 14), (128, False, 0.95, 0, 3), (32, True, 0.9, 1, 6)],
)
def test_a_skymap_finds_what_the_plain_way_finds(
    archive: Archive, objects: pa.Table, nside: int, nested: bool, level: float, before: int, after: int
) -> None:
    content, probability = skymap(nside, nested=nested)
    arguments = {"file": content, "credible_level": level, "n_day_before": before, "n_day_after": f" {after}"}
    found = as_table(answer(archive, "skymap", arguments, config=UNLIMITED))
    expected = expected_objects(objects, probability, level, before, after)
    assert set(found["i:objectId"].to_pylist()) == expected
    assert len(expected) > 10
    assert set(found["v:jdstartgw"].to_pylist()) == {T0}
    assert (np.diff(found["i:jd"].to_numpy()) <= 0).all()


def test_a_multi_order_map_finds_what_the_flat_one_finds(archive: Archive) -> None:
    """The same probabilities, but the faint half of the sky in cells four times as large."""
    nside = 64
    _, probability = skymap(nside, nested=True)
    fine = probability.reshape(-1, 4)
    uniform = np.repeat(fine.mean(axis=1), 4)
    is_faint = np.repeat(fine.max(axis=1) < np.median(probability), 4)
    flat = np.where(is_faint, uniform, probability)
    hdu = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=flat)])
    hdu.header.update(ORDERING="NESTED", NSIDE=nside, COORDSYS="C")
    hdu.header["DATE-OBS"] = "2023-02-25T00:00:00"
    coarse = np.flatnonzero(is_faint[::4])
    cells = np.concatenate([np.flatnonzero(~is_faint) + 4 * nside**2, coarse + nside**2])
    area = np.concatenate([np.full((~is_faint).sum(), 1 / nside**2), np.full(len(coarse), 4 / nside**2)]) * np.pi / 3
    mass = np.concatenate([flat[~is_faint], fine.sum(axis=1)[coarse]])
    multi = fits.table_to_hdu(Table({"UNIQ": cells.astype(np.int64), "PROBDENSITY": mass / area}))
    multi.header["COORDSYS"], multi.header["ORDERING"] = "C", "NUNIQ"
    multi.header["DATE-OBS"] = "2023-02-25T00:00:00"
    found = [
        set(rows(archive, "skymap", bayestar=packed(each), credible_level=0.8)["i:objectId"].to_pylist())
        for each in (hdu, multi)
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 10


def test_the_historic_route_takes_one_day_before_and_six_after(archive: Archive, objects: pa.Table) -> None:
    content, probability = skymap(128, nested=True)
    result = answer(archive, "bayestar", {"bayestar": content, "credible_level": "0.9"}, generation="historic")
    names = as_table(result)["i:objectId"].to_pylist()
    assert set(names) == expected_objects(objects, probability, 0.9, 1, 6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no fits", "no FITS"),
        (b"", "empty"),
        (gzip.compress(b"\0" * 420_000_000, 1), "larger than 400 MiB"),
        (gzip.compress(b"SIMPLE  ="), "no FITS"),
        (skymap(16, nested=True)[0][:2000], "unpacked"),
        (skymap(16, nested=True, date="yesterday")[0], "no time"),
    ],
    ids=["no fits", "empty", "bomb", "stub", "cut", "no time"],
)
def test_what_is_no_skymap_is_refused_in_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words) as error:
        answer(empty_archive(), "skymap", {"bayestar": content, "credible_level": 0.5}, config=OFFLINE)
    assert error.value.status == 400


def test_one_skymap_is_read_at_a_time_and_nobody_waits_for_it() -> None:
    content, _ = skymap(16, nested=True)
    asked = {"bayestar": content, "credible_level": 0.5}
    with skymaps._one_map, pytest.raises(RequestError) as error:
        answer(empty_archive(), "skymap", asked)
    assert (error.value.status, (error.value.retry_after or 0) > 0) == (503, True)
    assert len(as_table(answer(empty_archive(), "skymap", asked))) == 0


@pytest.mark.parametrize("nside", [16, 256])
def test_reading_a_skymap_ends_when_the_time_is_up(nside: int) -> None:
    content, _ = skymap(nside, nested=True)
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            raise RequestError("time is up", 504)

    with pytest.raises(RequestError, match="time is up"):
        skymaps.sky_area(content, 0.5, check)
    assert skymaps.sky_area(content, 0.5).jd == T0  # and the next one is read


@pytest.mark.parametrize("ordering", ["NESTED", "RING"])
def test_a_flat_map_gives_the_pixels_of_its_cells(ordering: str) -> None:
    nside, level = 256, 0.7
    probability = np.random.default_rng(5).exponential(size=12 * nside**2) ** 3
    nested = healpix.ring2nest(nside, np.arange(len(probability))) if ordering == "RING" else np.arange(12 * nside**2)
    size = np.int64(4 ** (29 - 8))
    cells = Cells(nested * size, np.full(len(nested), size), probability)
    relative = (probability / probability.max()).astype(np.float32)
    flat = credible_pixels.of_flat(relative, ordering == "RING", level, lambda: None)
    np.testing.assert_array_equal(flat, credible_pixels.of_cells(cells, level, lambda: None))
    assert 0 < len(flat) < credible_pixels.PIXELS


def test_levels_are_sums_of_what_is_denser() -> None:
    random = np.random.default_rng(6)
    density = random.integers(0, 50, 3_000_000) / 49
    density[0] = 1.0
    probability = density * random.integers(1, 3, len(density))
    order = np.argsort(-density, kind="stable")
    expected = np.empty(len(order))
    expected[order] = np.cumsum(probability[order]) / probability.sum()
    found = credible_pixels.credible_levels(density.astype(np.float32), probability, lambda: None)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (fits.Column("PROB", "B", array=np.ones(13_000_000, np.uint8)), "too many"),
        (fits.Column("PROB", "1000000B", array=np.ones((13, 1_000_000), np.uint8)), "too many"),
        (fits.Column("PROB", "D", array=np.full(12 * 128**2, -1.0)), "negative"),
        (fits.Column("PROB", "D", array=np.full(12 * 128**2, np.nan)), "missing"),
        (fits.Column("PROB", "D", array=np.zeros(12 * 128**2)), "zero"),
        (fits.Column("PROB", "PD()", array=np.array([[1.0], [2.0, 3.0]], dtype=object)), "that no map has"),
    ],
    ids=["many rows", "long rows", "negative", "missing", "zero", "lists"],
)
def test_maps_that_cannot_be_used_are_refused(column: fits.Column, words: str) -> None:
    hdu = fits.BinTableHDU.from_columns([column])
    hdu.header["DATE-OBS"], hdu.header["ORDERING"] = "2023-02-25T00:00:00", "NESTED"
    with pytest.raises(RequestError, match=words):
        answer(empty_archive(), "skymap", {"bayestar": packed(hdu), "credible_level": 0.5})


@pytest.mark.parametrize(
    "arguments",
    [
        {"credible_level": 0.5},
        {"credible_level": 0.5, "event_name": "../../etc"},
        {"credible_level": 1.5, "bayestar": b"x"},
        {"credible_level": "nan", "bayestar": b"x"},
        {"credible_level": 0.5, "bayestar": b"x", "n_day_before": 8},
        {"credible_level": 0.5, "bayestar": b"x", "n_day_after": 15},
    ],
)
def test_wrong_arguments_of_a_skymap_are_refused(arguments: dict) -> None:
    with pytest.raises(RequestError) as error:
        answer(empty_archive(), "skymap", arguments)
    assert error.value.status == 400
