from __future__ import annotations

import math
import struct
import zlib
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.archive.hbase import packed
from fink_broker.errors import DataError

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32)
FEWER = settings(max_examples=40, deadline=None)
TEXT = st.text(st.characters(codec="utf-8"), max_size=400)
VALUES = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): INT64,
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): FLOAT32,
    pa.float64(): st.floats(),
    pa.string(): TEXT,
    pa.binary(): st.binary(max_size=300),
    pa.timestamp("us", "UTC"): st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)),
    pa.timestamp("ns"): st.integers(-(2**62), 2**62).map(lambda ns: np.datetime64(ns, "ns")),
    pa.null(): st.none(),
}
LISTS = [pa.bool_(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.timestamp("us", "UTC")]


def optional(kind: pa.DataType):
    return st.none() | VALUES[kind]


@st.composite
def columns(draw, rows: int):
    """Return an array of any type that can be packed, sometimes a slice of a longer one."""
    if draw(st.booleans()):
        kind = draw(st.sampled_from(list(VALUES)))
        values = draw(st.lists(optional(kind), min_size=rows + 1, max_size=rows + 1))
    else:
        inner = draw(st.sampled_from(LISTS))
        lists = st.none() | st.lists(optional(inner), max_size=5)
        values, kind = draw(st.lists(lists, min_size=rows + 1, max_size=rows + 1)), pa.list_(inner)
    return pa.array(values, kind)[1:] if draw(st.booleans()) else pa.array(values[1:], kind)


@st.composite
def tables(draw, names: tuple[str, ...] = ("a", "b", "é c", "d", "e", "f", "g", "h", "j")):
    rows = draw(st.integers(0, 6))
    count = draw(st.integers(0, len(names)))
    return pa.table({name: draw(columns(rows)) for name in names[:count]})


def same(one: pa.Table, other: pa.Table) -> bool:
    """Tell whether tables are equal to the bit, NaN included."""
    if one.schema.names != other.schema.names or one.schema.types != other.schema.types:
        return False
    return all(repr(a.to_pylist()) == repr(b.to_pylist()) for a, b in zip(one.columns, other.columns, strict=True))


def unpacked(rows: list[bytes], *schemas: pa.Schema, columns=None) -> pa.Table:
    known = {packed.schema_id(packed.canonical(schema)): packed.canonical(schema) for schema in schemas}
    return packed.unpack(rows, known.__getitem__, columns)


@given(tables())
def test_any_table_comes_back(table):
    _, rows = packed.pack(table)
    assert len(rows) == table.num_rows or not table.num_columns
    if rows:
        assert same(unpacked(rows, table.schema), table)


@FEWER
@given(tables(), st.lists(st.sampled_from("abdfj"), unique=True))
def test_some_columns_are_those_of_the_whole(table, names):
    _, rows = packed.pack(table)
    if rows:
        found = unpacked(rows, table.schema, columns=names)
        assert found.column_names == names
        for name in names:
            if name in table.column_names:
                assert same(found.select([name]), table.select([name]))
            else:
                assert found[name].null_count == len(rows)


@FEWER
@given(tables())
def test_a_row_is_the_same_whatever_it_is_packed_with(table):
    _, rows = packed.pack(table)
    alone = [packed.pack(table[number : number + 1])[1][0] for number in range(len(rows))]
    assert alone == rows


def test_bits_of_numbers_survive():
    quiet, other = struct.unpack("<2d", struct.pack("<2Q", 0x7FF8000000000001, 0xFFF8000000ABCDEF))
    table = pa.table({"x": pa.array(np.array([quiet, other, -0.0, 5e-324])), "n": pa.array([2**63 - 1, -1, 0, None])})
    _, rows = packed.pack(table)
    back = unpacked(rows, table.schema)
    assert np.asarray(back["x"]).tobytes() == np.asarray(table["x"]).tobytes()
    assert back["n"].to_pylist() == [2**63 - 1, -1, 0, None]


def test_null_and_nan_are_different():
    table = pa.table({"x": pa.array([math.nan, None, 1.0], from_pandas=False), "l": [[None, math.nan], None, []]})
    back = unpacked(packed.pack(table)[1], table.schema)
    assert back["x"].null_count == 1
    assert math.isnan(back["x"][0].as_py())
    assert back["l"].to_pylist()[1:] == [None, []]
    assert back["l"][0].as_py()[0] is None


@pytest.mark.parametrize("length", [0, 1, 254, 255, 256, 70000])
def test_texts_of_any_length(length):
    table = pa.table(
        {
            "a": ["x" * length, "y", None],
            "b": ["1", "z" * length, "é" * length],
            "c": [[1.0, *[2.0] * length], [], None],
        }
    )
    assert same(unpacked(packed.pack(table)[1], table.schema), table)


def test_large_and_dictionary_types_are_packed_as_what_they_hold():
    table = pa.table(
        {
            "large": pa.array(["a", None], pa.large_string()),
            "words": pa.array(["x", "x"]).dictionary_encode(),
            "list": pa.array([[1], [2, 3]], pa.large_list(pa.int32())),
            "pair": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64(), 2)),
            "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
        }
    )
    back = unpacked(packed.pack(table)[1], table.schema)
    assert back.to_pylist() == table.to_pylist()
    assert back.schema.types[:2] == [pa.string(), pa.string()]


@pytest.mark.parametrize("values", [[{"a": 1}], [[[1.0]]], [[{"a": 1}]]])
def test_a_column_that_cannot_be_packed_is_named(values):
    with pytest.raises(DataError, match="`odd`"):
        packed.pack(pa.table({"fine": [1], "odd": values}))


@FEWER
@given(tables())
def test_a_schema_is_read_back_from_its_text(table):
    schema = packed.canonical(table.schema)
    assert packed.schema_from_text(packed.schema_text(schema)) == schema
    assert len(packed.schema_id(schema)) == 16


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"columns": 3}', '{"columns": [["a", "list<map>"]]}', "null"])
def test_what_is_no_schema_is_refused(text):
    with pytest.raises(DataError, match="description"):
        packed.schema_from_text(text)


def test_the_order_and_types_of_columns_make_a_schema():
    schemas = [
        pa.schema([("a", pa.int32()), ("b", pa.string())]),
        pa.schema([("b", pa.string()), ("a", pa.int32())]),
        pa.schema([("a", pa.int64()), ("b", pa.string())]),
    ]
    assert len({packed.schema_id(schema) for schema in schemas}) == 3


OLD = pa.table({"id": pa.array([2**60 + 1, 3]), "n": pa.array([1, None], pa.int32()), "gone": ["x", "y"], "t": [1, 2]})
NEW = pa.table({"n": pa.array([2**40], pa.int64()), "id": [7], "fresh": [[1.5]], "t": ["text"]})


def mixed(columns=None) -> pa.Table:
    (_, old), (_, new) = packed.pack(OLD), packed.pack(NEW)
    return unpacked([old[0], new[0], old[1]], OLD.schema, NEW.schema, columns=columns)


def test_rows_of_several_schemas_keep_their_order_and_their_values():
    table = mixed()
    assert table["id"].to_pylist() == [2**60 + 1, 7, 3]
    assert table["n"].to_pylist() == [1, 2**40, None]
    assert table["n"].type == pa.int64()
    assert table["gone"].to_pylist() == ["x", None, "y"]
    assert table["fresh"].to_pylist() == [None, [1.5], None]
    assert table["t"].to_pylist() == ["1", "text", "2"]


def test_some_columns_of_several_schemas():
    table = mixed(["fresh", "nowhere", "id"])
    assert table.to_pylist() == [
        {"fresh": None, "nowhere": None, "id": 2**60 + 1},
        {"fresh": [1.5], "nowhere": None, "id": 7},
        {"fresh": None, "nowhere": None, "id": 3},
    ]


@FEWER
@given(st.lists(INT64, min_size=1, max_size=4), st.lists(FLOAT32, min_size=1, max_size=4))
def test_uniting_types_never_alters_a_value(whole, real):
    tables_ = pa.table({"x": whole}), pa.table({"x": pa.array(real, pa.float32())})
    rows = [row for table in tables_ for row in packed.pack(table)[1]]
    found = unpacked(rows, *(table.schema for table in tables_))["x"]
    if pa.types.is_string(found.type):
        texts = found.to_pylist()
        assert [int(text) for text in texts[: len(whole)]] == whole
        assert repr([float(np.float32(text)) for text in texts[len(whole) :]]) == repr(tables_[1]["x"].to_pylist())
    else:
        assert repr([float(value) for value in found.to_pylist()]) == repr([float(value) for value in (*whole, *real)])
        assert [int(value) for value in found.to_pylist()[: len(whole)]] == whole


def test_no_rows_are_a_table_of_the_columns_asked():
    assert packed.unpack([], dict.__getitem__, ["a", "b"]).column_names == ["a", "b"]
    assert packed.unpack([], dict.__getitem__).num_rows == 0
    assert packed.pack(NEW[:0])[1] == []


def test_a_column_named_twice_comes_once():
    assert mixed(["id", "id"]).column_names == ["id"]


ROWS = packed.pack(pa.table({"i": [1, 2], "s": ["abc", "é"], "l": [["x", None], []], "v": [[1.0, None], None]}))[1]
SCHEMA = pa.schema([("i", pa.int64()), ("s", pa.string()), ("l", pa.list_(pa.string())), ("v", pa.list_(pa.float64()))])


@given(st.integers(0, len(ROWS[0]) - 1), st.integers(1, 255))
def test_a_bit_that_flips_is_noticed(place, flip):
    damaged = bytearray(ROWS[0])
    damaged[place] ^= flip
    with pytest.raises(DataError, match=r"Row 1 .*damaged"):
        unpacked([ROWS[1], bytes(damaged)], SCHEMA)


@given(st.binary(max_size=60))
def test_foreign_bytes_are_no_alerts(data):
    with pytest.raises(DataError, match=r"Row 0 .*damaged"):
        unpacked([data, ROWS[0]], SCHEMA)


def test_the_key_of_a_damaged_row_is_told():
    with pytest.raises(DataError, match=r"Row 1 \(key ZTF1_2\)"):
        packed.unpack([ROWS[0], b"x"], lambda _: SCHEMA, None, [b"ZTF1_1", b"ZTF1_2"])


def sealed(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


@settings(max_examples=200, deadline=None)
@given(st.integers(8, len(ROWS[0]) - 5), st.integers(0, 255), st.integers(0, 3), st.integers(0, 3))
def test_lengths_that_lie_are_noticed_even_under_a_right_checksum(place, value, cut, more):
    data = bytearray(ROWS[0][:-4])
    data[place] = value
    rows = [ROWS[1], sealed(bytes(data[: len(data) - cut]) + b"\xff" * more)]
    try:
        table = unpacked(rows, SCHEMA)
    except DataError:
        return
    table.validate(full=True)
    assert table.num_rows == 2


def test_a_schema_nobody_knows_is_an_error_of_who_looks_it_up():
    def unknown(name: str) -> pa.Schema:
        raise DataError(f"no schema {name}")

    with pytest.raises(DataError, match=f"no schema {ROWS[0][:8].hex()}"):
        packed.unpack(ROWS, unknown)
