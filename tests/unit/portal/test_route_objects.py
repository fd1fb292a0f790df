"""``objects``: all alerts of objects by name."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archived import archived_alerts, empty_archive, fill, stored_alerts
from astropy.io import fits
from portal_questions import OFFLINE, answer, archive_of, as_table, rows, science_rows

from fink_broker.archive.hbase import newest
from fink_broker.archive.hbase.cells import ALERT_CELL
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import ALL_KEYS, Store
from fink_broker.archive.hbase.tables import main_keys
from fink_broker.config import Config
from fink_broker.config.model import StorageConfig
from fink_broker.portal import cutout_columns, object_rows
from fink_broker.portal.images import image_of
from fink_broker.portal.names import distinct
from fink_broker.portal.route import RequestError, Rows

A, B, C = "ZTF21aaaaaaa", "ZTF21aaaaaab", "ZTF22bbbbbbb"
JD = [2460000.7, 2460003.7, 2460001.7, 2460002.7, 2460004.7, 2460005.7]


@pytest.fixture(scope="module")
def archive() -> Archive:
    """Three objects of three, two and one alerts."""
    return archive_of(
        {
            "objectId": [A, A, A, B, B, C], "jd": JD, "fid": [1, 1, 2, 1, 2, 1],
            "magpsf": [18.0, 17.5, 17.9, 19.0, 19.1, 16.0], "tracklet": ["", "", "TRCK_20230225_030000_00", "", "", ""],
        }
    )  # fmt: skip


def test_alerts_of_an_object_come_the_latest_first(archive: Archive) -> None:
    found = rows(archive, "objects", objectId=A)
    assert found["i:jd"].to_pylist() == sorted(JD[:3], reverse=True)
    assert set(found["i:objectId"].to_pylist()) == {A}


@pytest.mark.parametrize("written", [f"{A},{C}", f" {A} , {C} ", [A, C], f"{C},{A},{A}"])
def test_alerts_of_several_objects_are_sorted_over_all(archive: Archive, written: object) -> None:
    found = rows(archive, "objects", objectId=written)
    assert found["i:jd"].to_pylist() == sorted([*JD[:3], JD[5]], reverse=True)


@pytest.mark.parametrize(
    ("written", "names"),
    [("ZTF21", {A, B}), ("ZTF21aaaaaa", {A, B}), ("ZTF", {A, B, C}), (f"ZTF21,{A},{C}", {A, B, C}), ("ZTF9", set())],
)
def test_a_part_of_a_name_finds_all_that_begin_so(archive: Archive, written: str, names: set[str]) -> None:
    found = rows(archive, "objects", objectId=written)
    assert (set(found["i:objectId"].to_pylist()) if names else len(found)) == (names or 0)
    assert len(found) == sum({A: 3, B: 2, C: 1}[name] for name in names)


def test_names_that_others_stand_for_are_asked_once() -> None:
    assert distinct([A, "ZTF21", B, C, "ZTF21aa", C]) == ["ZTF21", C]
    assert distinct([A, B, A]) == [A, B]


def test_an_unknown_object_has_no_row_and_the_columns_of_others() -> None:
    whole = set(rows(empty_archive(), "objects", objectId=A).column_names)
    assert {"i:objectId", "i:magpsf", "d:cdsxmatch", "d:tns", "v:classification", "v:g-r"} <= whole
    for asked, columns in (
        ({}, whole),
        ({"columns": "i:jd,v:rate"}, {"i:jd", "v:rate"}),
        ({"withupperlim": "True"}, whole | {"d:tag"}),
        ({"withcutouts": "True", "cutout-kind": "Science"}, whole | {"b:cutoutScience_stampData"}),
    ):
        found = rows(empty_archive(), "objects", objectId=A, **asked)
        assert (len(found), set(found.column_names)) == (0, columns)


def test_all_recorded_columns_may_be_named_at_once(archive: Archive, shared_data: Path) -> None:
    recorded = json.loads((shared_data / "api" / "objects_ZTF19aaosfcb.json").read_text())["response"][0]
    assert len(recorded) == 162
    found = rows(archive, "objects", objectId=A, columns=",".join(recorded))
    assert (len(found), set(found.column_names)) == (3, set(recorded))


def test_a_column_that_is_named_is_given_whatever_the_flags_say(archive: Archive) -> None:
    tagged = rows(archive, "objects", objectId=A, columns="d:tag")
    assert tagged.to_pydict() == {"d:tag": ["valid"] * 3}
    image = "b:cutoutTemplate_stampData"
    assert rows(archive, "objects", objectId=A, columns=image).to_pydict() == {image: [None] * 3}
    both = rows(archive, "objects", objectId=A, columns=f"{image},i:jd,d:tag")
    assert (set(both.column_names), len(both)) == ({image, "i:jd", "d:tag"}, 3)


def test_exactly_the_columns_asked_for_are_given(archive: Archive) -> None:
    found = rows(archive, "objects", objectId=A, columns=" i:magpsf , i:fid,i:magpsf")
    assert found.column_names == ["i:magpsf", "i:fid"]
    assert found["i:fid"].to_pylist() == [1, 2, 1]
    np.testing.assert_allclose(found["i:magpsf"].to_pylist(), [17.5, 17.9, 18.0], rtol=1e-6)


def test_computed_columns_may_be_asked_for_by_name(archive: Archive) -> None:
    found = rows(archive, "objects", objectId=A, columns="v:lapse,v:rate,d:tracklet")
    assert found.column_names == ["v:lapse", "v:rate", "d:tracklet"]
    np.testing.assert_allclose(found["v:rate"].to_pylist()[0], -0.5 / 3)
    assert found["d:tracklet"].to_pylist() == ["", "TRCK_20230225_030000_00", ""]


@pytest.mark.parametrize("columns", ["i:magpfs", "i:jd,magpsf", "key:key", "b:cutoutX", "__import__('os')", "i:jd;"])
def test_unknown_columns_are_named(archive: Archive, columns: str) -> None:
    with pytest.raises(RequestError, match="There is no column"):
        rows(archive, "objects", objectId=A, columns=columns)


def test_whole_rows_have_defaults_and_no_empty_places() -> None:
    archive = archive_of({"objectId": [A, B], "jd": [2460000.7, 2460001.7]})
    found = rows(archive, "objects", objectId="ZTF")
    for name in ("m0", "m1", "m2", "instantness_low", "robustness_low", "instantness_high", "robustness_high"):
        assert found[f"d:blazar_stats_{name}"].to_pylist() == [-1.0, -1.0]
    assert found["d:tracklet"].to_pylist() == found["d:tns"].to_pylist() == ["", ""]
    assert found["d:lc_features_g"].to_pylist() == ["[]", "[]"]
    assert not {"d:spicy_name", "d:classification", "d:finkclass"} & set(found.column_names)
    assert not [name for name in found.column_names if name[:2] not in ("i:", "d:", "v:")]


def test_old_scores_are_shown_by_the_historic_generation_alone() -> None:
    archive = archive_of({"objectId": [A], "t2_AGN": [0.5], "spicy_name": ["x"]})
    current = as_table(answer(archive, "objects", {"objectId": A}))
    historic = as_table(answer(archive, "objects", {"objectId": A}, generation="historic"))
    assert set(historic.column_names) - set(current.column_names) == {"d:t2_AGN"}
    assert historic["d:t2_AGN"].to_pylist() == [0.5]


def test_more_rows_than_the_limit_are_cut_and_that_is_said(archive: Archive) -> None:
    for most, is_cut in ((5, True), (6, False)):
        config = Config(api={"max_rows": most, "resolvers": ["none"]})
        result = answer(archive, "objects", {"objectId": "ZTF"}, config=config)
        assert isinstance(result, Rows)
        assert len(as_table(result)) == most
        assert result.is_cut == is_cut


@pytest.mark.parametrize("name", [A, "ZTF", f"{A},{B},{C}"])
@pytest.mark.parametrize("few", [1, 2000])
def test_of_more_rows_than_the_limit_the_latest_stay(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, name: str, few: int
) -> None:
    monkeypatch.setattr(newest, "FEW", few)
    config = Config(api={"max_rows": 2, "resolvers": ["none"]})
    found = as_table(answer(archive, "objects", {"objectId": name}, config=config))
    there = JD[:3] if name == A else JD
    assert found["i:jd"].to_pylist() == sorted(there, reverse=True)[:2]
    whole = rows(archive, "objects", objectId=name)["v:rate"].to_pylist()
    assert found["v:rate"].to_pylist() == whole[:2]  # points behind the cut count for the rate


@pytest.mark.parametrize("asked", [{}, {"columns": "v:g-r,i:magpsf,d:tag"}, {"columns": "i:candid"}])
@pytest.mark.parametrize("flags", [{}, {"withupperlim": "True"}, {"withupperlim": "True", "withcutouts": "True"}])
def test_rows_that_are_made_piece_by_piece_are_the_same(
    real: Archive, monkeypatch: pytest.MonkeyPatch, asked: dict, flags: dict
) -> None:
    whole = rows(real, "objects", objectId="ZTF", **asked, **flags)
    monkeypatch.setattr(newest, "FEW", 100)
    monkeypatch.setattr(object_rows, "PIECE", 64)
    result = answer(real, "objects", {"objectId": "ZTF", **asked, **flags})
    assert isinstance(result, Rows)
    pieces = list(result.tables)
    assert len(pieces) > 5
    assert len({piece.schema for piece in pieces}) == 1
    assert pieces[0].schema == whole.schema
    pd.testing.assert_frame_equal(pa.concat_tables(pieces).to_pandas(), whole.to_pandas())


def test_pieces_have_the_columns_of_rows_of_all_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_of({"objectId": [A] * 3, "jd": JD[:3], "older": [1, 2, 3]})
    fill(archive, science_rows({"objectId": [B] * 2, "jd": JD[3:5], "candid": [5, 6], "younger": ["x", "y"]}))
    monkeypatch.setattr(newest, "FEW", 2)
    monkeypatch.setattr(object_rows, "PIECE", 2)
    found = rows(archive, "objects", objectId="ZTF")
    by_jd = dict(zip(found["i:jd"].to_pylist(), found.select(["d:older", "d:younger"]).to_pylist(), strict=True))
    assert by_jd[JD[0]] == {"d:older": 1, "d:younger": None}
    assert by_jd[JD[4]] == {"d:older": None, "d:younger": "y"}


def test_alerts_that_are_removed_while_they_are_sent_are_left_out(
    with_history: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "FEW", 1)
    archive = with_history.through(CopiedStore(with_history.store))
    result = answer(archive, "objects", {"objectId": A, "withupperlim": "True"})
    assert isinstance(result, Rows)
    archive.store.lost = next(key for key, _ in archive.store.scan("ztf", ALL_KEYS, [ALERT_CELL]))
    found = pa.concat_tables(result.tables)
    assert found["d:tag"].to_pylist() == ["valid", "badquality", "upperlim"]
    assert found["i:jd"].to_pylist() == [2460002.7, 2459999.5, 2459998.5]


class CopiedStore:
    """A store one row of which cannot be got any more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lost = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, table: str, keys: Sequence[bytes], cells: Sequence[bytes] = ()) -> list[Any]:
        found = self._store.get(table, keys, cells)
        return [None if key == self.lost else row for key, row in zip(keys, found, strict=True)]


def test_what_is_held_of_many_alerts_is_little_of_the_answer() -> None:
    count, archive = 30_000, empty_archive()
    stored = {f"d:number_{number}": np.random.default_rng(number).random(count) for number in range(80)}
    alerts = pa.table(
        {
            "i:objectId": [A] * count, "i:jd": 2458000.5 + np.arange(count) / 50, "i:candid": np.arange(count) + 10**18,
            "i:fid": np.ones(count, np.int32), "i:magpsf": np.full(count, 18.0), "i:sigmapsf": np.full(count, 0.1),
            "i:ra": np.full(count, 10.0), "i:dec": np.full(count, 20.0), "i:jdstarthist": np.full(count, 2458000.5),
            "d:classification": ["Unknown"] * count, **stored,
        }
    )  # fmt: skip
    packed = archive.schemas.pack(alerts)
    archive.store.put("ztf", [(k, {ALERT_CELL: row}) for k, row in zip(main_keys(alerts), packed, strict=True)])
    del alerts, packed
    config = Config(api={"max_rows": count, "resolvers": ["none"]})
    before = pa.total_allocated_bytes()
    result = answer(archive, "objects", {"objectId": A}, config=config)
    assert isinstance(result, Rows)
    seen, total, peak = 0, 0, 0
    for table in result.tables:
        seen, total = seen + len(table), total + table.nbytes
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert seen == count
    assert peak < total / 3


@pytest.fixture(scope="module")
def with_history() -> Archive:
    """Two alerts of an object with histories that overlap: upper limits, bad points, one of them an alert."""
    points = [
        [(1, 2459998.5, None, 20.0), (2, 2459999.5, 18.0, 19.0)],
        [(1, 2459998.5, None, 20.0), (2, 2459999.5, 18.0, 19.0), (1, 2460000.7, 17.0, 19.5)],
    ]
    archive = empty_archive()
    table = science_rows({"objectId": [A, A], "jd": [2460000.7, 2460002.7]})
    prv = [
        [
            {"jd": jd, "fid": fid, "magpsf": mag, "diffmaglim": limit, "rb": 0.1, "nbad": 3}
            for fid, jd, mag, limit in each
        ]
        for each in points
    ]
    kind = pa.list_(pa.struct({"jd": pa.float64(), "fid": pa.int32(), "magpsf": pa.float32(),
                               "diffmaglim": pa.float32(), "rb": pa.float32(), "nbad": pa.int32()}))  # fmt: skip
    fill(archive, table.append_column("prv_candidates", pa.array(prv, kind)))
    return archive


def test_upper_limits_and_bad_points_are_added_once_each(with_history: Archive) -> None:
    found = rows(with_history, "objects", objectId=A, withupperlim=" True")
    assert found["i:jd"].to_pylist() == [2460002.7, 2460000.7, 2459999.5, 2459998.5]
    assert found["d:tag"].to_pylist() == ["valid", "valid", "badquality", "upperlim"]
    assert found["i:candid"].to_pylist()[2:] == [-1, -1]
    assert found.schema.field("i:fid").type == pa.int32()
    assert found.schema.field("i:diffmaglim").type == pa.float32()
    assert found["i:diffmaglim"].to_pylist()[2:] == [19.0, 20.0]
    assert found["v:lastdate"].to_pylist()[2:] == [None, None]


def test_upper_limits_come_with_the_columns_asked_for(with_history: Archive) -> None:
    found = rows(with_history, "objects", objectId=A, withupperlim="True", columns="i:diffmaglim,i:magap")
    assert found.column_names == ["i:diffmaglim", "i:magap", "d:tag"]
    assert found["d:tag"].to_pylist() == ["valid", "valid", "badquality", "upperlim"]
    assert found["i:magap"].to_pylist() == [18.25, 18.25, None, None]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Archive:
    """Every real alert."""
    return archived_alerts(shared_data)


def test_the_columns_of_a_fresh_object_are_the_recorded_ones_and_newer_ones(real: Archive, shared_data: Path) -> None:
    recorded = json.loads((shared_data / "api" / "objects_ZTF19aaosfcb.json").read_text())["response"][0]
    name = real.alerts(["ZTF"], ["i:objectId"])["i:objectId"][0].as_py()
    found = rows(real, "objects", objectId=name)
    newer = set(found.column_names) - set(recorded)
    assert set(recorded) <= set(found.column_names)
    assert {"d:is_transient", "d:slsn_score"} <= newer
    assert all(name.startswith("d:") for name in newer)
    kinds = {"d:from_upper": pa.bool_(), "i:candid": pa.int64(), "i:fid": pa.int32(), "i:magpsf": pa.float32()}
    assert {name: found.schema.field(name).type for name in kinds} == kinds


def test_images_are_those_of_the_packets(shared_data: Path, tmp_path: Path, unpacked) -> None:
    archive = stored_alerts(shared_data, tmp_path / "science")
    config = Config(storage=StorageConfig(online=str(tmp_path)), api={"resolvers": ["none"]})
    packets = [next(fastavro.reader(io.BytesIO(packet))) for packet in unpacked("ztf_real_packets")]
    by_candid = {packet["candid"]: packet for packet in packets}
    stored = archive.alerts(["ZTF"], ["i:objectId", "i:candid"]).to_pylist()
    asked = next(row for row in stored if row["i:candid"] in by_candid)
    result = answer(archive, "objects", {"objectId": asked["i:objectId"], "withcutouts": "True"}, config=config)
    found = as_table(result)
    images = [name for name in found.column_names if name.startswith("b:")]
    assert images == [f"b:cutout{kind}_stampData" for kind in ("Science", "Template", "Difference")]
    row = found["i:candid"].to_pylist().index(asked["i:candid"])
    for name in images:
        expected = image_of(by_candid[asked["i:candid"]][name[2:].partition("_")[0]]["stampData"])
        got = np.array(found[name][row].as_py(), dtype=float).astype(np.float32)
        np.testing.assert_array_equal(got, expected)


def test_one_kind_of_images_may_be_asked_for_with_few_columns(archive: Archive) -> None:
    found = rows(archive, "objects", objectId=A, withcutouts="True", columns="i:fid", **{"cutout-kind": "Template"})
    assert found.column_names == ["i:fid", "b:cutoutTemplate_stampData"]
    assert found["b:cutoutTemplate_stampData"].to_pylist() == [None] * 3  # its file is not there


def test_a_damaged_image_leaves_the_others_of_the_alert(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = io.BytesIO()
    fits.PrimaryHDU(np.ones((3, 3), np.float32)).writeto(content)
    images = {"Science": content.getvalue(), "Template": b"rubbish", "Difference": content.getvalue()}
    monkeypatch.setattr(cutout_columns, "stamps", lambda _config, _place, _kinds: images)
    found = rows(archive, "objects", objectId=A, withcutouts="True", columns="i:fid")
    assert found["b:cutoutTemplate_stampData"].to_pylist() == [None] * 3
    assert found["b:cutoutScience_stampData"].to_pylist() == [[[1.0] * 3] * 3] * 3
    assert "an image cannot be read" in capsys.readouterr().out


def test_an_image_that_is_none_of_the_three_is_refused(archive: Archive) -> None:
    with pytest.raises(RequestError, match="must be `Science`, `Difference`, or `Template`"):
        answer(archive, "objects", {"objectId": A, "withcutouts": "True", "cutout-kind": "science,x"}, config=OFFLINE)
