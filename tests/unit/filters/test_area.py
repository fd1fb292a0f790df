"""Areas of the sky: coverage maps and credible regions against literal computations, damaged files, time windows."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import healpy
import numpy as np
import pytest
from astropy import units
from astropy.time import Time
from mocpy import MOC
from sky_positions import random_sky, view_of, write_table

from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter
from fink_broker.filters.places.area import Area, julian_date
from fink_broker.filters.places.sky_region import SkyRegion, split_uniq

NSIDE = 32
MOC_CELLS = {"2": [5, 6], "5": [0, 1, 2, 77, 12 * 4**5 - 2], "29": [12 * 4**29 - 1]}


def probabilities(seed: int = 3) -> np.ndarray:
    """Two spots on a flat sky and a noise that leaves no two pixels alike, nested."""
    x, y, z = healpy.pix2vec(NSIDE, np.arange(12 * NSIDE**2), nest=True)
    spots = np.exp(-((z - 0.3) ** 2 + (y - 0.5) ** 2) / 0.02) + 0.5 * np.exp(-((x + 0.9) ** 2 + y**2) / 0.05)
    values = spots * np.random.default_rng(seed).uniform(0.5, 1.5, len(x)) + 1e-4
    return values / values.sum()


def multi_order(values: np.ndarray) -> dict[str, np.ndarray]:
    """Write a nested map with cells of three orders: coarse where it is poor."""
    order = int(np.log2(NSIDE))
    uniq, density = [], []
    for parent in range(12 * 4 ** (order - 2)):
        children = values[16 * parent : 16 * parent + 16]
        finest = 2 if children.sum() > 5e-3 else (parent % 2)
        for cell, part in enumerate(children.reshape(4**finest, -1)):
            level = order - 2 + finest
            uniq.append(4 ** (level + 1) + parent * 4**finest + cell)
            density.append(part.sum() / (4 * np.pi / (12 * 4**level)))
    shuffled = np.random.default_rng(0).permutation(len(uniq))
    return {"UNIQ": np.array(uniq)[shuffled], "PROBDENSITY": np.array(density)[shuffled]}


def literally(cells: list[tuple[float, float, np.ndarray]], level: float) -> set[int]:
    """Return the fine pixels of the smallest region by adding up (probability, density, pixels), densest first."""
    held, region = 0.0, set()
    for probability, _, pixels in sorted(cells, key=lambda cell: -cell[1]):
        if held >= level:
            break
        held += probability
        region |= set(pixels.tolist())
    return region


@pytest.mark.parametrize("level", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("form", ["RING", "NESTED", "vectors", "explicit", "gzip"])
def test_flat_maps_against_adding_up(tmp_path: Path, form: str, level: float) -> None:
    nested = probabilities()
    path = tmp_path / "map.fits"
    if form == "NESTED":
        write_table(path, {"PROB": nested}, ORDERING="NESTED", NSIDE=NSIDE, COORDSYS="C")
    elif form == "explicit":  # only pixels that are not poor, in any order; sums need not be one
        pixels = np.random.default_rng(1).permutation(np.flatnonzero(nested > 0))
        columns = {"PIXEL": pixels, "PROBABILITY": 5 * nested[pixels]}
        write_table(path, columns, ORDERING="NESTED", NSIDE=NSIDE, INDXSCHM="EXPLICIT")
    else:  # healpy writes rows of 1024 pixels
        ring = healpy.reorder(nested, n2r=True)
        healpy.write_map(path, ring, coord="C", column_names=["PROB"], dtype=np.float64, fits_IDL=form == "vectors")
        if form == "gzip":
            path.write_bytes(gzip.compress(path.read_bytes()))
    cells = [(value, value, np.array([pixel])) for pixel, value in enumerate(nested)]
    region = literally(cells, level)
    ra, dec = random_sky(20_000, seed=5)
    expected = [pixel in region for pixel in healpy.ang2pix(NSIDE, ra, dec, nest=True, lonlat=True)]
    assert 0 < np.mean(expected) < 1
    area = Area(path, level)
    np.testing.assert_array_equal(area.decide(view_of(ra, dec)), expected)
    assert area.region.share == pytest.approx(len(region) / len(nested))


@pytest.mark.parametrize("level", [0.2, 0.5, 0.9, 0.99])
def test_multi_order_maps_against_adding_up_and_mocpy(tmp_path: Path, level: float) -> None:
    columns = multi_order(probabilities())
    path = write_table(tmp_path / "map.multiorder.fits", columns, ORDERING="NUNIQ", COORDSYS="C", INDXSCHM="EXPLICIT")
    cells = []
    for uniq, density in zip(columns["UNIQ"].tolist(), columns["PROBDENSITY"], strict=True):
        order = (uniq.bit_length() - 3) // 2
        fine = 4 ** (int(np.log2(NSIDE)) - order)
        first = (uniq - 4 ** (order + 1)) * fine
        cells.append((density * 4 * np.pi / (12 * 4**order), density, np.arange(first, first + fine)))
    region = literally(cells, level)
    ra, dec = random_sky(20_000, seed=6)
    expected = [pixel in region for pixel in healpy.ang2pix(NSIDE, ra, dec, nest=True, lonlat=True)]
    passed = Area(path, level).decide(view_of(ra, dec))
    np.testing.assert_array_equal(passed, expected)
    theirs = MOC.from_valued_healpix_cells(
        columns["UNIQ"].astype(np.uint64),
        columns["PROBDENSITY"],
        max_depth=29,
        values_are_densities=True,
        cumul_to=level,
    ).contains_lonlat(ra * units.deg, dec * units.deg)
    assert np.mean(theirs != passed) < 0.002  # the cell that brings it to the level is ours, not theirs


def test_the_region_holds_the_level_and_without_its_last_cell_does_not(tmp_path: Path) -> None:
    values = np.zeros(12)
    values[[2, 5, 7, 9]] = [0.5, 0.25, 0.125, 0.125]
    path = write_table(tmp_path / "map.fits", {"PROB": values}, ORDERING="NESTED", NSIDE=1)
    shares = {level: round(12 * Area(path, level).region.share) for level in (0.1, 0.5, 0.51, 0.75, 0.8, 0.9, 1)}
    assert shares == {0.1: 1, 0.5: 1, 0.51: 2, 0.75: 2, 0.8: 3, 0.9: 4, 1: 4}


def moc_file(folder: Path, form: str) -> Path:
    path = folder / "cover"
    cells = [4 ** (int(order) + 1) + cell for order, cells in MOC_CELLS.items() for cell in cells]
    if form == "NUNIQ":
        write_table(path, {"UNIQ": np.array(cells)}, ORDERING="NUNIQ", COORDSYS="C", MOCORDER=29)
    elif form == "mocpy":
        MOC.from_json(MOC_CELLS).save(path, format="fits")
    elif form == "json":
        path.write_text(json.dumps(MOC_CELLS))
    elif form == "ascii with commas":
        path.write_text(" ".join(f"{order}/{','.join(map(str, cells))}" for order, cells in MOC_CELLS.items()))
    else:
        path.write_text(f"2/5-6\n5/0-2 77 {12 * 4**5 - 2} 28/ 29/{12 * 4**29 - 1}\n")
    return path


@pytest.mark.parametrize("form", ["NUNIQ", "mocpy", "json", "ascii with commas", "ascii with ranges"])
def test_coverage_maps_as_mocpy_reads_them(tmp_path: Path, form: str) -> None:
    ra, dec = random_sky(100_000, seed=7)
    expected = MOC.from_json(MOC_CELLS).contains_lonlat(ra * units.deg, dec * units.deg)
    area = Area(moc_file(tmp_path, form))
    assert 100 < expected.sum() < 50_000
    np.testing.assert_array_equal(area.decide(view_of(ra, dec)), expected)
    ranges = MOC.from_json(MOC_CELLS).to_depth29_ranges
    np.testing.assert_array_equal(np.stack([area.region.first, area.region.end], axis=1), ranges.astype(np.int64))


def test_a_cone_round_a_pole(tmp_path: Path) -> None:
    moc = MOC.from_cone(lon=10 * units.deg, lat=89.9 * units.deg, radius=1 * units.deg, max_depth=12)
    moc.save(tmp_path / "cone.fits", format="fits")
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0, 360, 20_000), 90 - 2 * rng.uniform(0, 1, 20_000)
    expected = moc.contains_lonlat(ra * units.deg, dec * units.deg)
    assert 0.3 < expected.mean() < 0.7
    np.testing.assert_array_equal(Area(tmp_path / "cone.fits").decide(view_of(ra, dec)), expected)


def test_regions_join_ranges_that_touch_and_overlap() -> None:
    region = SkyRegion(np.array([50, 10, 20, 12, 40]), np.array([60, 20, 30, 14, 41]))
    assert (list(region.first), list(region.end)) == ([10, 40, 50], [30, 41, 60])
    nothing = SkyRegion(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert not nothing.contains(np.array([1.0]), np.array([1.0])).any()


def test_numbers_of_cells() -> None:
    order, cell = split_uniq(np.array([4, 15, 16, 4**30, 16 * 4**29 - 1, 3, -1, 16 * 4**29]))
    assert list(order[:5]) == [0, 0, 1, 29, 29]
    assert list(cell[:5]) == [0, 11, 0, 0, 12 * 4**29 - 1]
    assert ((order[5:] < 0) | (order[5:] > 29)).all()


def test_alerts_without_a_position_never_pass(tmp_path: Path) -> None:
    (tmp_path / "all").write_text("0/0-11")
    area = Area(tmp_path / "all")
    assert list(area.decide(view_of([None, np.nan, 10, 10], [0, 0, 91, 90]))) == [False, False, False, True]
    assert len(area.decide(view_of([], []))) == 0


def test_a_window_of_time(tmp_path: Path) -> None:
    (tmp_path / "all").write_text("0/0-11")
    area = Area(tmp_path / "all", after="2026-11-20T00:00:00", days=14)
    start = Time("2026-11-20T00:00:00", scale="utc").jd
    view = view_of([1] * 5, [1] * 5, [start - 1e-4, start, start + 14, start + 14.0001, np.nan])
    assert list(area.decide(view)) == [False, True, True, False, False]
    assert area.reads == ("candidate.ra", "candidate.dec", "candidate.jd")
    open_end = Area(tmp_path / "all", after=date(2026, 11, 20))
    assert list(open_end.decide(view)) == [False, True, True, True, False]
    until = Area(tmp_path / "all", before=start)
    assert list(until.decide(view)) == [True, True, False, False, False]
    assert Area(tmp_path / "all").reads == ("candidate.ra", "candidate.dec")


@pytest.mark.parametrize(
    "time",
    ["2026-11-20T06:00:00", "2026-11-20T07:00:00+01:00", datetime(2026, 11, 20, 6, tzinfo=UTC), 2461364.75],
)
def test_times_as_astropy_reads_them(time: str | float | datetime) -> None:
    assert julian_date(time) == pytest.approx(Time("2026-11-20T06:00:00", scale="utc").jd, abs=1e-8)


@pytest.mark.parametrize(
    "given",
    [
        {"level": 0},
        {"level": 1.01},
        {"level": float("nan")},
        {"level": "most"},
        {"days": 3},
        {"after": 2461364.5, "before": 2461365.5, "days": 3},
        {"after": 2461364.5, "days": 0},
        {"after": 2461364.5, "before": 2461364.5},
        {"after": "yesterday"},
        {"after": float("nan")},
        {"before": True},
    ],
)
def test_levels_and_times_that_make_no_sense(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as refused:
        Area(Path("map.fits"), **given)
    assert refused.value.hint


def test_the_identity_changes_with_file_level_and_time(tmp_path: Path) -> None:
    path = write_table(tmp_path / "map.fits", {"PROB": probabilities()}, ORDERING="NESTED", NSIDE=NSIDE)

    def identity(**given: object) -> str:
        return Filter("mine", Area(path, **given), "", "", "1", built_in=False).identity

    told = {identity(), identity(level=0.5), identity(after=2461364.5), identity(after=2461364.5, days=1)}
    assert identity() in told
    write_table(path, {"PROB": probabilities(seed=4)}, ORDERING="NESTED", NSIDE=NSIDE)
    assert len(told | {identity()}) == 5
    Area(path).check(view_of([], []).table.schema)
    with pytest.raises(ConfigError, match=r"no column 'candidate\.jd'"):
        Area(path, after=2461364.5).check(view_of([], []).table.schema)
