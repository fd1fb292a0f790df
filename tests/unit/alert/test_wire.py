"""Datums against fastavro's, a row at a time in the same schema: the same bytes, whatever the table looks like."""

import io
from datetime import UTC, datetime

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fink_broker.alert import wire, wire_columns
from fink_broker.alert.wire import encode, times_as_text
from fink_broker.alert.wire_schema import wire_schema
from fink_broker.errors import DataError

ENTRY = pa.struct([("jd", pa.float64()), ("fid", pa.int32()), ("name", pa.string())])


def fastavro_datums(table: pa.Table) -> list[bytes]:
    schema = fastavro.parse_schema(wire_schema(table.schema))
    datums = []
    for row in table.to_pylist(maps_as_pydicts="strict"):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, row)
        datums.append(stream.getvalue())
    return datums


def one_column(values: list, kind: pa.DataType) -> pa.Table:
    return pa.table({"a": pa.array(values, kind)})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.bool_(), [True, None, False]),
        (pa.int8(), [-128, None, 127]),
        (pa.uint16(), [0, None, 65535]),
        (pa.int32(), [-(2**31), 2**31 - 1, -1, 0, 1, 63, 64, -64, -65, 8191, 8192, None]),
        (pa.uint32(), [2**32 - 1, None, 0]),
        (pa.int64(), [-(2**63), 2**63 - 1, *[sign * 2**k for k in range(63) for sign in (1, -1)], None]),
        (pa.uint64(), [2**63 - 1, None, 0]),
        (pa.float16(), [np.float16(1.5), None]),
        (pa.float32(), [float("nan"), float("inf"), float("-inf"), -0.0, 1e-45, None, 3.4028234663852886e38]),
        (pa.float64(), [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, None, 1.7976931348623157e308]),
        (pa.string(), ["", None, "a", "Ωµ″🔭", "x" * 64, "x" * 256, "\0"]),
        (pa.string(), ["", None, "x" * 257, "y" * 8192, "é" * 70_000]),
        (pa.string(), ["", None, ""]),
        (pa.large_string(), ["a", None, "b" * 300]),
        (pa.string_view(), ["a", None, "b" * 300]),
        (pa.binary(), [b"", None, bytes(range(256)), b"\0" * 8192]),
        (pa.large_binary(), [b"", None, b"\x1f\x8b"]),
        (pa.binary(4), [b"abcd", None]),
        (pa.dictionary(pa.int8(), pa.string()), ["g", None, "r", "g"]),
        (pa.null(), [None, None]),
        (pa.list_(pa.float64()), [[], None, [1.0, None, float("nan")], [None]]),
        (pa.large_list(pa.int32()), [[], None, [1, None], list(range(10_000))]),
        (pa.list_(pa.int32(), 2), [[1, None], None, [3, 4]]),
        (pa.list_(pa.list_(pa.int64())), [[[1], [], None], None, [], [[2**40, None]]]),
        (pa.list_(pa.binary()), [[b"x" * 5000, None, b""], None, [b"y" * 300]]),
        (pa.list_(pa.null()), [[None, None], [], None]),
        (pa.list_(ENTRY), [[], None, [{"jd": 1.5, "fid": None, "name": "a"}, None, {"jd": None}], [None]]),
        (pa.struct([("e", ENTRY), ("n", pa.int32())]), [None, {"e": None, "n": 1}, {"e": {"fid": 2}, "n": None}]),
        (pa.struct([]), [{}, None]),
        (pa.map_(pa.string(), pa.string()), [{}.items(), None, {"a": None, "b": "x"}.items(), {"": ""}.items()]),
        (pa.map_(pa.string(), ENTRY), [{"a": {"jd": 1.0}, "b": None}.items(), None]),
        (pa.map_(pa.string(), pa.list_(pa.null())), [{"k": [None, None]}.items(), None, {"l": [], "m": None}.items()]),
        (pa.list_(pa.list_(pa.null()), 1), [[[None, None]], None, [None]]),
        (pa.map_(pa.large_string(), pa.list_(pa.int32())), [{"k" * 300: [1, None], "b": None}.items(), None]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, pa.DataType) else "",
)
def test_every_type_is_written_as_fastavro_writes_it(kind, values):
    values = [list(value) if isinstance(value, type({}.items())) else value for value in values]
    table = one_column(values, kind)
    expected = fastavro_datums(table)
    assert encode(table) == expected
    for first in range(len(values)):
        assert encode(table.slice(first)) == expected[first:]
        assert encode(table.slice(0, first)) == expected[:first]
        assert encode(table.slice(first, 1)) == expected[first : first + 1]


def test_bytes_of_columns_follow_one_another():
    table = pa.table({"candid": pa.array([1]), "fid": pa.array([None], pa.int32()), "objectId": ["ZTF"]})
    assert encode(table) == [b"\x00\x02" + b"\x02" + b"\x00\x06ZTF"]


def test_a_table_without_rows_or_columns():
    assert encode(one_column([], pa.list_(ENTRY))) == []
    assert encode(pa.schema([("a", pa.int32())]).empty_table()) == []
    assert encode(pa.table({})) == []


def test_nothing_of_a_record_that_is_null_is_written_whatever_stands_in_its_fields():
    inside = [
        pa.array([1, 2], pa.int64()),
        pa.array(["left over", "x"]),
        pa.array(["left over" * 100, "x"]),
        pa.array([[1, 2, 3], [4]], pa.list_(pa.int32())),
        pa.array([[("k", "v")], []], pa.map_(pa.string(), pa.string())),
        pa.array([2**63 + 1, 1], pa.uint64()),
    ]
    record = pa.StructArray.from_arrays(inside, names=list("abcdef"), mask=pa.array([True, False]))
    table = pa.table({"record": record, "end": [7, 7]})
    assert encode(table) == fastavro_datums(table)
    assert encode(table)[0] == b"\x02\x00\x0e"


def test_an_index_of_an_empty_dictionary_in_a_record_that_is_null():
    labels = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([], pa.string()), safe=False)
    record = pa.StructArray.from_arrays([labels], names=["label"], mask=pa.array([True]))
    assert encode(pa.table({"record": record})) == [b"\x02"]


def test_what_stands_behind_nulls_is_not_written():
    offsets = pa.py_buffer(np.array([0, 3, 7, 9], np.int32))
    validity = pa.py_buffer(b"\x05")  # the second is null, yet has four bytes
    text = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"abcJUNKde"), validity)
    entries = pa.array(range(9), pa.int64())
    lists = pa.Array.from_buffers(pa.list_(pa.int64()), 3, [validity, offsets], children=[entries])
    numbers = pa.Array.from_buffers(pa.int64(), 3, [validity, pa.py_buffer(np.array([1, 2**62, 3]))])
    table = pa.table({"text": text, "lists": lists, "numbers": numbers})
    assert encode(table) == fastavro_datums(table)
    assert not any(b"JUNK" in datum for datum in encode(table))


@pytest.mark.parametrize("rows", [1, 2, 511, 512, 513, 1500])
def test_chunks_and_blocks_make_no_difference(rows, monkeypatch):
    values = [[{"jd": float(n), "fid": n % 3, "name": "x" * n}] * (n % 5) if n % 7 else None for n in range(rows)]
    table = one_column(values, pa.list_(ENTRY))
    expected = fastavro_datums(table)
    pieces = [table.slice(first, 13) for first in range(0, rows, 13)]
    assert encode(pa.concat_tables(pieces)) == expected
    assert encode(pa.concat_tables([table.slice(0, rows // 2), table.slice(rows // 2)])) == expected
    monkeypatch.setattr(wire, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(wire_columns, "ENTRIES_AT_ONCE", 5)
    assert encode(table) == expected


def test_many_small_chunks_are_encoded_together(monkeypatch):
    blocks, encode_block = [], wire._encode
    monkeypatch.setattr(wire, "_encode", lambda batch: blocks.append(batch.num_rows) or encode_block(batch))
    table = pa.concat_tables([one_column([number], pa.int64()) for number in range(600)])
    assert encode(table) == fastavro_datums(table)
    assert blocks == [512, 88]


def test_columns_of_different_chunks():
    table = pa.table({"a": pa.chunked_array([[1, 2], [3]]), "b": pa.chunked_array([["x"], ["y", None]])})
    assert encode(table) == fastavro_datums(table)


def test_a_number_too_large_for_avro_is_refused():
    with pytest.raises(DataError, match=r"above 2\^63 - 1"):
        encode(one_column([1, 2**63], pa.uint64()))


def test_a_column_avro_cannot_hold_is_named():
    with pytest.raises(DataError, match="column a cannot be sent"):
        encode(one_column([1], pa.duration("s")))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_times_are_utc_text_of_six_digits(unit, zone):
    at = datetime(2023, 10, 18, 3, 4, 5, tzinfo=UTC)
    times = pa.array([int(at.timestamp()), None], pa.int64()).cast(pa.timestamp("s", zone))
    table = times_as_text(pa.table({"candid": [1, 2], "at": times.cast(pa.timestamp(unit, zone))}))
    assert table["at"].to_pylist() == ["2023-10-18 03:04:05.000000", None]
    assert table.column_names == ["candid", "at"]


def test_times_keep_their_microseconds_and_lose_what_is_finer():
    nanoseconds = pa.array([1_697_598_245_123_456_789, 999], pa.timestamp("ns", "UTC"))
    table = times_as_text(pa.table({"at": pa.chunked_array([nanoseconds, nanoseconds[1:]])}))
    assert table["at"].to_pylist() == [
        "2023-10-18 03:04:05.123456",
        "1970-01-01 00:00:00.000000",
        "1970-01-01 00:00:00.000000",
    ]


def test_times_become_text_wherever_they_stand():
    inner = pa.struct([("at", pa.timestamp("us", "UTC"))])
    table = one_column([[{"at": datetime(2024, 2, 29, tzinfo=UTC)}]], pa.list_(inner))
    as_text = one_column([[{"at": "2024-02-29 00:00:00.000000"}]], pa.list_(pa.struct([("at", pa.string())])))
    assert encode(table) == fastavro_datums(as_text)


def test_columns_selected_by_a_mask():
    table = one_column([[n] * n for n in range(40)], pa.list_(pa.int64()))
    chosen = table.filter(pc.equal(pc.list_value_length(table["a"]), 7))
    assert encode(chosen) == fastavro_datums(table.slice(7, 1))
