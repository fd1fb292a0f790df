"""Maps that are damaged, hostile or none: each refused with a reason."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sky_positions import view_of, write_table

from fink_broker.errors import ConfigError
from fink_broker.filters.places import area as area_module
from fink_broker.filters.places.area import Area

NSIDE = 32
FLAT = np.full(12, 1 / 12)


def flat(path: Path, values: np.ndarray = FLAT, **header: object) -> Path:
    return write_table(path, {"PROB": values}, **({"ORDERING": "NESTED", "NSIDE": 1} | header))


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("hello"), "in ASCII 'hello' is no cell"),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), "no UTF-8"),
    "header only": (lambda path: path.write_bytes(b"SIMPLE  =" + b" " * 2871), "no FITS file, or damaged"),
    "no table": (lambda path: fits.PrimaryHDU(np.zeros((3, 3))).writeto(path), "holds no table"),
    "other table": (lambda path: write_table(path, {"x": FLAT}), "holds no whole numbers"),
    "NaN": (lambda path: flat(path, np.where(np.arange(12) == 3, np.nan, FLAT)), "missing or negative"),
    "infinite": (lambda path: flat(path, np.where(np.arange(12) == 3, np.inf, FLAT)), "missing or negative"),
    "negative": (lambda path: flat(path, np.where(np.arange(12) == 3, -1e-9, FLAT)), "missing or negative"),
    "zero": (lambda path: flat(path, np.zeros(12)), "sum up to nothing"),
    "endless sum": (lambda path: flat(path, np.full(12, 1e308)), "sum up to nothing"),
    "too few pixels": (lambda path: flat(path, FLAT[:11]), "11 pixels do not fill the sky"),
    "other NSIDE": (lambda path: flat(path, NSIDE=2), "12 pixels do not fill the sky with NSIDE 2"),
    "odd NSIDE": (lambda path: flat(path, np.ones(108), NSIDE=3), "do not fill the sky"),
    "no pixels": (lambda path: flat(path, FLAT[:0]), "0 pixels"),
    "no ordering": (lambda path: flat(path, ORDERING="SPIRAL"), "ordered 'SPIRAL'"),
    "galactic": (lambda path: flat(path, COORDSYS="G"), "frame is 'G'"),
    "text column": (
        lambda path: fits.BinTableHDU.from_columns([fits.Column("PROB", "3A", array=["a", "b"])]).writeto(path),
        "holds no numbers",
    ),
    "pixel twice": (
        lambda path: write_table(
            path, {"PIXEL": np.array([1, 1]), "PROB": FLAT[:2]}, ORDERING="NESTED", NSIDE=1, INDXSCHM="EXPLICIT"
        ),
        "off the sky, or there twice",
    ),
    "no cell": (lambda path: write_table(path, {"UNIQ": np.array([4, 3]), "PROBDENSITY": FLAT[:2]}), "of no cell"),
    "overlap": (lambda path: write_table(path, {"UNIQ": np.array([4, 16]), "PROBDENSITY": FLAT[:2]}), "overlap"),
    "MOC, no cell": (lambda path: write_table(path, {"UNIQ": np.array([4, -7])}, ORDERING="NUNIQ"), "-7 is the number"),
    "MOC, half a range": (lambda path: write_table(path, {"R": np.array([4])}, ORDERING="RANGE"), "has no end"),
    "MOC, off the sky": (
        lambda path: write_table(path, {"R": np.array([4, 12 * 4**29 + 1])}, ORDERING="RANGE"),
        "off the sky",
    ),
    "MOC of time": (lambda path: write_table(path, {"R": np.array([4, 5])}, MOCDIM="TIME"), "MOC of TIME"),
    "MOC of nothing": (lambda path: path.write_text("5/"), "covers nothing"),
    "MOC, no order": (lambda path: path.write_text("5 6"), "before any order"),
    "MOC, cell beyond": (lambda path: path.write_text("3/768"), "3/768 is no cell"),
    "MOC, order beyond": (lambda path: path.write_text("30/1"), "30/1 is no cell"),
    "MOC, backwards": (lambda path: path.write_text("3/5-4"), "3/5-4 is no cell"),
    "JSON, cut": (lambda path: path.write_text('{"3": [1,'), "no JSON"),
    "JSON, deep": (lambda path: path.write_text('{"3": ' + "[" * 100_000), "no JSON"),
    "JSON, texts": (lambda path: path.write_text('{"3": ["1"]}'), "1 is no cell"),
    "JSON, no order": (lambda path: path.write_text('{"x": [1]}'), "'x' is no order"),
    "JSON, huge": (lambda path: path.write_text('{"3": [99999999999999999999999]}'), "is no cell"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_with_a_reason(tmp_path: Path, kind: str) -> None:
    make, message = HOSTILE[kind]
    path = tmp_path / "map"
    make(path)
    with pytest.raises(ConfigError, match=message) as refused:
        Area(path).check(view_of([], []).table.schema)
    assert refused.value.hint


def test_files_cut_anywhere_and_bytes_changed_anywhere(tmp_path: Path) -> None:
    path = write_table(tmp_path / "map", {"PROB": np.arange(12.0 * NSIDE**2)}, ORDERING="NESTED", NSIDE=NSIDE)
    whole, chance = path.read_bytes(), random.Random(1)
    rows = 12 * NSIDE**2 * 8
    data = whole.index(b"END" + b" " * 77, 2880) // 2880 * 2880 + 2880
    for length in [1, 100, 2880, 5000, data, data + 8, data + rows - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError):
            _ = Area(path).region
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(data)] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            assert 0 < Area(path).region.share <= 1
        except ConfigError as error:
            assert error.hint


def test_what_a_small_file_unpacks_to_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(area_module, "LARGEST_MAP", 20 * 1024**2)
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(gzip.compress(bytes(30 * 1024**2)))
    assert path.stat().st_size < 100_000
    with pytest.raises(ConfigError, match="larger than 20 MiB"):
        _ = Area(path).region
    good = flat(tmp_path / "good.fits")
    good.write_bytes(gzip.compress(good.read_bytes()))
    assert Area(good, level=1).region.share == 1
    good.write_bytes(good.read_bytes()[:-12])
    with pytest.raises(ConfigError, match="cannot be unpacked"):
        _ = Area(good).region


def test_a_header_that_promises_more_rows_than_memory_holds(tmp_path: Path) -> None:
    path = flat(tmp_path / "map.fits")
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["NAXIS2"] = 10**12
    text = path.read_bytes().replace(b"NAXIS2  =                   12", b"NAXIS2  =        1000000000000")
    path.write_bytes(text)
    with pytest.raises(ConfigError, match="cut short"):
        _ = Area(path).region
