from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.alert.sky import NO_ROW, SkyIndex
from fink_broker.config.model import Config, ScienceConfig
from fink_broker.errors import DataError
from fink_broker.science import files
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch import catalogues, columns, tns
from fink_broker.science.crossmatch.catalogues import sexagesimal
from fink_broker.science.files import digests_of
from fink_broker.science.module import SKIPPED, Module, Outputs

Build = Callable[[Config], Module]


def separation(ra1: float, dec1: float, ra2: np.ndarray, dec2: np.ndarray) -> np.ndarray:
    """Return separations in arcsec by the haversine formula, written apart from the code under test."""
    ra1, dec1, ra2, dec2 = (np.radians(value) for value in (ra1, dec1, ra2, dec2))
    half = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 45.0, -89.9999, 89.9999]), st.sampled_from([0.0, 180.0, 359.9999]))
def test_the_nearest_source_is_found_at_poles_and_across_zero(seed: int, dec: float, ra: float) -> None:
    random = np.random.default_rng(seed)
    ras = (ra + random.normal(scale=1e-3, size=200) / max(np.cos(np.radians(dec)), 1e-6)) % 360
    decs = np.clip(dec + random.normal(scale=1e-3, size=200), -90, 90)
    asked = slice(0, 20)
    asked_ra, asked_dec = ras[asked], np.clip(decs[asked] + 4e-4, -90, 90)
    rows, found = SkyIndex(ras, decs).nearest(asked_ra, asked_dec, 1.5)
    for k in range(20):
        all_separations = separation(asked_ra[k], asked_dec[k], ras, decs)
        if all_separations.min() < 1.5:
            assert rows[k] != NO_ROW
            assert found[k] == pytest.approx(all_separations.min(), abs=1e-9)
        else:
            assert rows[k] == NO_ROW


def test_every_alert_at_one_place_is_labelled() -> None:
    nearest = catalogues.gcvs().match(np.full(3, 10.679583), np.full(3, 41.268056), 1.5)
    assert nearest["VarType"].to_pylist() == ["SNI"] * 3


def test_the_radius_itself_is_outside() -> None:
    index = SkyIndex([10.0], [0.0])
    exact = separation(10.0, 1.0 / 3600, np.array([10.0]), np.array([0.0]))[0]
    assert index.nearest(np.array([10.0]), np.array([1.0 / 3600]), exact * (1 - 1e-9))[0][0] == NO_ROW
    assert index.nearest(np.array([10.0]), np.array([1.0 / 3600]), exact * (1 + 1e-9))[0][0] == 0


def test_sizes_of_the_catalogues() -> None:
    sizes = {
        catalogues.gcvs: 59_099,
        catalogues.vsx: 1_933_544,
        catalogues.high_synchrotron_peaked: 2_013,
        catalogues.lat_agn: 3_814,
        catalogues.mangrove: 295_341,
    }
    for catalogue, size in sizes.items():
        assert len(catalogue()) == size


@pytest.mark.parametrize(
    ("text", "value"), [("00 01 16.37", 0.0212138), ("-00 30 36.0", -0.51), ("+29 35 34", 29.59277)]
)
def test_sexagesimal(text: str, value: float) -> None:
    assert sexagesimal(text) == pytest.approx(value, abs=1e-5)


def test_a_file_with_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "data_folder", lambda: tmp_path)
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "gcvs.parquet").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"gcvs.parquet is not the one of fink-science 7.4.0"):
        files.checked_file("catalogs/gcvs.parquet")
    with pytest.raises(DataError, match="cannot be read"):
        files.checked_file("catalogs/vsx.parquet")


def tns_file(path: Path, kinds: list[str | None], stamp: int) -> None:
    table = pa.table({"ra": [10.0, 20.0], "declination": [0.0, 0.0], "type": pa.array(kinds, pa.string())})
    pq.write_table(table, path)
    os.utime(path, ns=(stamp, stamp))


def tns_module(path: str) -> Module:
    return tns.build(Config(science=ScienceConfig(tns_catalogue=path)))


def tns_outputs(path: str) -> Outputs:
    batch = AlertBatch({"ra": pa.array([10.0, 20.0, np.nan]), "dec": pa.array([0.0, 1 / 3600, 0.0])}, 3)
    return tns_module(path).compute(batch)


def tns_labels(path: str) -> list[str]:
    return pa.array(tns_outputs(path)["tns"]).to_pylist()


def test_a_new_tns_file_is_taken_up_and_a_broken_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tns.parquet"
    tns_file(path, ["SN Ia", None], 10**18)
    assert tns_labels(str(path)) == ["SN Ia", "", ""]
    tns_file(path, ["", "SN II"], 2 * 10**18)
    assert tns_labels(str(path)) == ["", "SN II", ""]
    path.write_bytes(b"half a file")
    assert tns_labels(str(path)) == tns_labels(str(path)) == ["", "SN II", ""]
    path.unlink()
    assert tns_labels(str(path)) == ["", "SN II", ""]
    assert len(caplog.records) == 2


def test_a_tns_file_that_was_never_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"science\.tns_catalogue"):
        tns_labels(str(tmp_path / "absent.parquet"))


def test_tns_can_be_switched_off() -> None:
    assert tns_labels("none") == ["", "", ""]
    assert tns_outputs("none")[SKIPPED].all()
    assert tns_module("none").digests() == ()


def test_the_digest_is_that_of_the_tns_file_in_use(tmp_path: Path) -> None:
    path = tmp_path / "tns.parquet"
    module = tns_module(str(path))
    tns_file(path, ["SN Ia", None], 10**18)
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    assert module.digests() == (first,)
    tns_file(path, ["SN Ia", "SN II"], 2 * 10**18)
    assert tns_outputs(str(path))[SKIPPED].tolist() == [False, False, True]
    second = hashlib.sha256(path.read_bytes()).hexdigest()
    assert module.digests() == (second,) != (first,)
    path.write_bytes(b"half a file")
    assert tns_labels(str(path)) == ["SN Ia", "SN II", ""]
    assert module.digests() == (second,)
    assert tns_module("").digests() == digests_of("catalogs/tns_raw.parquet")


@pytest.mark.parametrize(
    ("build", "digests"),
    [
        (columns.build_gcvs, ["gcvs.parquet"]),
        (columns.build_vsx, ["vsx.parquet"]),
        (columns.build_3hsp, ["3hsp.csv"]),
        (columns.build_4lac, ["table-4LAC-DR3-h.fits", "table-4LAC-DR3-l.fits"]),
        (columns.build_mangrove, ["mangrove_filtered.parquet"]),
    ],
)
def test_each_module_names_its_files_and_skips_what_is_off_the_sky(build: Build, digests: list[str]) -> None:
    module = build(Config())
    assert module.digests() == digests_of(*(f"catalogs/{name}" for name in digests))
    dec = pa.array([0.0, None, 95.0, np.inf])
    outputs = module.compute(AlertBatch({"ra": pa.array([0.0, 1.0, 2.0, 3.0]), "dec": dec}, 4))
    assert outputs[SKIPPED].tolist() == [False, True, True, True]


def test_of_two_sources_at_one_place_the_first_in_the_file_wins() -> None:
    ra, dec = np.full(4, 10.0), np.array([5.0, 4.0, 5.0, 4.0])
    assert SkyIndex(ra, dec).nearest(ra, dec, 1.0)[0].tolist() == [0, 1, 0, 1]


def test_right_ascension_may_be_written_beyond_a_turn() -> None:
    index = SkyIndex([-0.0001, 360.0001, 370.0], [0.0, 0.0, 0.0])
    assert index.nearest(np.array([359.9999, 0.0001, 10.0]), np.zeros(3), 0.5)[0].tolist() == [0, 1, 2]
