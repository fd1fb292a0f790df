"""Published columns: those of the recorded answer, and the values of the science table."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from archived import science_rows

from fink_broker.alert.batch import field_types
from fink_broker.archive import columns
from fink_broker.archive.columns import described, publish
from fink_broker.archive.flattening import as_stored, flatten
from fink_broker.archive.hbase.packed import pack, unpack
from fink_broker.science.features import FEATURES


@pytest.fixture(scope="module")
def alerts(shared_data: Path) -> pa.Table:
    return science_rows(shared_data)


@pytest.fixture(scope="module")
def published(alerts: pa.Table) -> pa.Table:
    return publish(alerts)


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> set[str]:
    answer = json.loads((shared_data / "api" / "objects_ZTF19aaosfcb.json").read_text())
    return {name for row in answer["response"] for name in row if name[:2] in ("i:", "d:")}


def test_every_column_of_the_recorded_answer_is_published(published: pa.Table, recorded: set[str]) -> None:
    assert recorded <= set(published.column_names)


def test_types_are_those_of_the_recorded_answer(published: pa.Table, shared_data: Path) -> None:
    answer = json.loads((shared_data / "api" / "objects_ZTF19aaosfcb.json").read_text())
    kinds = {int: pa.types.is_integer, float: pa.types.is_floating, str: pa.types.is_string}
    odd = [
        (name, str(published.schema.field(name).type), value)
        for name, value in answer["response"][0].items()
        if name in published.column_names and value is not None
        if not kinds[type(value)](published.schema.field(name).type)
    ]
    assert [name for name, kind, _ in odd if kind != "bool"] == []
    assert [name for name, kind, _ in odd if kind == "bool"] == ["d:from_upper"]  # an undecoded byte in the recording


def test_values_are_those_of_the_science_table(alerts: pa.Table, published: pa.Table) -> None:
    candidate = alerts["candidate"].combine_chunks()
    for name in field_types()[1]:
        if name != "ssnamenr":
            assert _same(published[f"i:{name}"].combine_chunks(), pc.struct_field(candidate, name)), name
    for name in ("cdsxmatch", "roid", "is_transient", "slsn_score", "anomaly_score", "mag_rate", "from_upper"):
        assert _same(published[f"d:{name}"].combine_chunks(), alerts[name].combine_chunks()), name


def test_maps_become_columns(alerts: pa.Table, published: pa.Table) -> None:
    for row, (galaxy, states) in enumerate(
        zip(alerts["mangrove"].to_pylist(), alerts["blazar_stats"].to_pylist(), strict=True)
    ):
        for key, value in galaxy:
            assert published[f"d:mangrove_{key}"][row].as_py() == value
        for key, value in states:
            assert published[f"d:blazar_stats_{key}"][row].as_py() == value
    assert len(set(published["d:mangrove_lum_dist"].to_pylist())) > 2


def test_features_are_texts_that_read_back_as_the_same_numbers(alerts: pa.Table, published: pa.Table) -> None:
    seen = 0
    for band in ("lc_features_g", "lc_features_r"):
        for text, given in zip(published[f"d:{band}"].to_pylist(), alerts[band].to_pylist(), strict=True):
            if given is None:
                assert text == "[]"
                continue
            numbers = json.loads(text)
            assert all(isinstance(number, float) for number in numbers)
            wanted = [math.nan if given[name] is None else given[name] for name in FEATURES]
            assert np.array_equal(numbers, wanted, equal_nan=True)
            seen += 1
    assert seen > 500


def test_infinite_and_whole_numbers_stay_numbers_in_texts() -> None:
    kind = pa.struct([(f"x{k}", pa.float64()) for k in range(9)])
    row = {f"x{k}": value for k, value in enumerate([1.0, -3.0, math.inf, -math.inf, math.nan, None, 1e-7, 1e22, 0.1])}
    ((_, texts),) = flatten("x", pa.array([row, None], kind))
    assert texts[1].as_py() == "[]"
    assert texts[0].as_py().startswith("[1.0, -3.0, Infinity, -Infinity, NaN, NaN, ")
    assert json.loads(texts[0].as_py())[6:] == [1e-7, 1e22, 0.1]


def test_no_solar_system_object_is_the_word_null(alerts: pa.Table, published: pa.Table) -> None:
    given = pc.struct_field(alerts["candidate"].combine_chunks(), "ssnamenr").to_pylist()
    assert published["i:ssnamenr"].to_pylist() == ["null" if name is None else name for name in given]
    lacking = publish(_with_candidate(alerts.slice(0, 2), ssnamenr=pa.nulls(2, pa.string())))
    assert lacking["i:ssnamenr"].to_pylist() == ["null", "null"]


def test_what_nobody_asks_for_stays_out(published: pa.Table) -> None:
    hidden = ("cutout", "prv_candidates", "fp_hists", "origin", "Timestamp", "made_with", "skipped", "found_nothing")
    assert not [name for name in published.column_names if any(word in name for word in hidden)]
    assert not [
        field.name for field in published.schema if pa.types.is_struct(field.type) or pa.types.is_map(field.type)
    ]


def test_a_tracklet_outdoes_weak_classes_but_neither_catalogues_nor_known_objects(alerts: pa.Table) -> None:
    some = alerts.slice(0, 6)
    given = ["Unknown", "SN candidate", "Solar System MPC", "Ambiguous", "QSO", "Solar System candidate"]
    some = some.set_column(some.column_names.index("finkclass"), "finkclass", pa.array(given))
    named = some.append_column("tracklet", pa.array(["TRCK_20240101_010101_00"] * 6))
    found = publish(named)
    assert found["d:classification"].to_pylist() == [
        "Tracklet", "Tracklet", "Solar System MPC", "Ambiguous", "QSO", "Tracklet",
    ]  # fmt: skip
    assert found["d:tracklet"].to_pylist() == ["TRCK_20240101_010101_00"] * 6
    assert publish(some)["d:classification"].to_pylist() == given
    assert set(publish(some)["d:tracklet"].to_pylist()) == {""}


def test_a_science_table_of_few_modules_gives_all_columns(alerts: pa.Table, published: pa.Table) -> None:
    few = alerts.select(["objectId", "candid", "candidate", "cdsxmatch", "publisher"])
    found = publish(few)
    ours = [name for name in published.column_names if name.startswith("d:")]
    assert [name for name in found.column_names if name.startswith("d:")] == ours
    assert [published.schema.field(name) for name in ours] == [found.schema.field(name) for name in ours]
    (row,) = found.slice(0, 1).to_pylist()
    nothing = {
        "d:classification": "Unknown", "d:tns": "", "d:gaiaClass": "nan", "d:spicy_id": -1, "d:roid": 0,
        "d:mulens": 0.0, "d:mangrove_ang_dist": "None", "d:lc_features_g": "[]", "d:from_upper": False,
        "d:slsn_score": -1.0, "d:blazar_stats_robustness_high": -1.0, "d:mag_rate": None,
    }  # fmt: skip
    assert {name: row[name] for name in nothing} == nothing


def test_a_missing_text_says_nothing_and_a_missing_number_is_null(alerts: pa.Table) -> None:
    some = alerts.slice(0, 2)
    for name, kind in (("cdsxmatch", pa.string()), ("gaiaClass", pa.string()), ("mulens", pa.float64())):
        some = some.set_column(some.column_names.index(name), name, pa.nulls(2, kind))
    found = publish(some).slice(0, 1).to_pylist()[0]
    assert (found["d:cdsxmatch"], found["d:gaiaClass"], found["d:mulens"]) == ("Unknown", "nan", None)


def test_columns_of_users_modules_and_of_newer_packets_are_published(alerts: pa.Table) -> None:
    some = alerts.slice(0, 2)
    widened = _with_candidate(some, newfield=pa.array([1.5, None], pa.float32()))
    widened = widened.add_column(0, "packetword", pa.array(["a", "b"]))
    widened = widened.append_column("mine", pa.array([{"score": 0.5, "label": "x"}, None]))
    widened = widened.append_column("many", pa.array([[{"k": 1}], []]))
    found = publish(widened)
    assert found["i:newfield"].to_pylist() == [1.5, None]
    assert found["i:packetword"].to_pylist() == ["a", "b"]
    assert found["d:mine_score"].to_pylist() == [0.5, None]
    assert found["d:mine_label"].to_pylist() == ["x", None]
    assert found["d:many"].to_pylist() == ['[{"k": 1}]', "[]"]
    assert set(found.column_names) >= set(publish(some).column_names)


def test_what_a_map_does_not_declare_is_one_text_whatever_other_alerts_hold() -> None:
    kind = pa.map_(pa.string(), pa.int64())
    maps = pa.array([[("a", 1)], None, [("b", 2), ("a", 3)], []], kind)
    ((name, texts),) = flatten("m", maps)
    assert (name, texts.to_pylist()) == ("m", ['{"a": 1}', None, '{"b": 2, "a": 3}', "{}"])
    columns_of = dict(flatten("m", maps.slice(1), {"a": None}))
    assert {name: column.to_pylist() for name, column in columns_of.items()} == {
        "m_a": [None, 3, None], "m": [None, '{"b": 2}', None],
    }  # fmt: skip
    for row in range(len(maps)):
        alone = dict(flatten("m", maps.slice(row, 1), {"a": None}))
        assert {name: column.type for name, column in alone.items()} == {"m_a": pa.int64(), "m": pa.string()}


@pytest.mark.parametrize(
    ("kind", "given", "stored", "becomes"),
    [
        (pa.uint64(), 2**64 - 1, pa.uint64(), 2**64 - 1),
        (pa.uint32(), 2**32 - 1, pa.int64(), 2**32 - 1),
        (pa.int8(), -5, pa.int64(), -5),
        (pa.float16(), np.float16(0.5), pa.float32(), 0.5),
        (pa.large_string(), "é", pa.string(), "é"),
        (pa.dictionary(pa.int8(), pa.string()), "é", pa.string(), "é"),
        (pa.binary(), b"\0\xff", pa.string(), "AP8="),
        (pa.timestamp("us", "UTC"), 1_700_000_000_000_001, pa.string(), "2023-11-14 22:13:20.000001Z"),
        (pa.timestamp("ns"), 1, pa.string(), "1970-01-01 00:00:00.000000001"),
        (pa.date32(), 19_675, pa.string(), "2023-11-14"),
        (pa.decimal128(6, 3), Decimal("12.340"), pa.string(), "12.340"),
        (pa.list_(pa.int16()), [1, None, -2], pa.list_(pa.int64()), [1, None, -2]),
        (pa.list_(pa.uint64()), [2**64 - 1], pa.list_(pa.uint64()), [2**64 - 1]),
        (pa.large_list(pa.float64()), [0.1], pa.list_(pa.float64()), [0.1]),
        (pa.list_(pa.float32(), 2), [0.5, 1.5], pa.list_(pa.float32()), [0.5, 1.5]),
        (pa.list_(pa.large_string()), ["a", ""], pa.list_(pa.string()), ["a", ""]),
        (pa.list_(pa.date32()), [19_675], pa.list_(pa.string()), ["2023-11-14"]),
        (pa.list_(pa.list_(pa.int64())), [[1], []], pa.string(), "[[1], []]"),
    ],
)
def test_values_of_any_type_stay_what_they_are(
    kind: pa.DataType, given: object, stored: pa.DataType, becomes: object
) -> None:
    array = pa.array([given, None, given, given], kind).slice(1)
    found = as_stored(array)
    assert found.type == stored
    assert found.to_pylist() == [None, becomes, becomes]
    table = pa.table({"a": found})
    name, rows = pack(table)
    assert unpack(rows, {name: table.schema}.__getitem__)["a"].to_pylist() == found.to_pylist()


def test_index_and_position_columns(published: pa.Table) -> None:
    index = columns.index_columns()
    assert sum(name.startswith("i:") for name in index) == 36
    assert set(index) <= set(published.column_names)
    assert [name for name in published.column_names if name.startswith("d:") and name not in index] == []
    assert set(columns.position_columns()) <= set(published.column_names)
    assert len(columns.position_columns()) == 14
    assert {name for name in published.column_names if columns.is_index_column(name)} == set(index)


def test_wanted_columns_are_all_that_publishing_reads(alerts: pa.Table, published: pa.Table) -> None:
    wanted = columns.wanted(alerts.schema)
    assert not {"cutoutScience", "prv_candidates", "science_made_with"} & set(wanted)
    again = publish(alerts.select(wanted))
    assert again.schema == published.schema
    assert [name for name in published.column_names if not _same(_one(again[name]), _one(published[name]))] == []
    mine = alerts.append_column("mine", pa.array(["x"] * len(alerts)))
    assert "d:mine" in publish(mine.select(columns.wanted(mine.schema))).column_names


def test_every_published_column_is_described_and_conversely(published: pa.Table) -> None:
    told = described()
    assert set(told) == set(published.column_names)
    types = {"int32": "integer", "int64": "long", "bool": "boolean"}
    for field in published.schema:
        kind = "list of string" if pa.types.is_list(field.type) else types.get(str(field.type), str(field.type))
        assert told[field.name].type == kind, field.name
        assert told[field.name].family == field.name[0]
    assert [name for name, entry in told.items() if not entry.doc] == []
    assert told["i:magpsf"].unit == "mag"
    assert told["d:mag_rate"].unit == "mag/d"
    assert columns.known_columns() == tuple(told)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _same(ours: pa.Array, theirs: pa.Array) -> bool:
    """Tell whether two arrays are equal, type included; NaN equals NaN, and is not null."""
    if ours.type != theirs.type or not ours.is_null().equals(theirs.is_null()):
        return False
    if pa.types.is_floating(ours.type):
        return np.array_equal(ours.to_numpy(False), theirs.to_numpy(False), equal_nan=True)
    return ours.equals(theirs)


def _with_candidate(alerts: pa.Table, **fields: pa.Array) -> pa.Table:
    """Return alerts some fields of whose candidate are others."""
    candidate = alerts["candidate"].combine_chunks()
    parts = dict(zip(candidate.type.names, candidate.flatten(), strict=True)) | fields
    changed = pa.StructArray.from_arrays(list(parts.values()), names=list(parts))
    return alerts.set_column(alerts.column_names.index("candidate"), "candidate", changed)
