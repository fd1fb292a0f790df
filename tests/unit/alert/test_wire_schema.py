"""The schema of messages, against what clients need and what Avro's parsers take."""

import json

import fastavro
import pyarrow as pa
import pytest

from fink_broker.alert.wire_schema import wire_schema, wire_schema_text
from fink_broker.errors import DataError

CUTOUT = pa.struct([("fileName", pa.string()), ("stampData", pa.binary())])


def type_of(kind: pa.DataType):
    (field,) = wire_schema(pa.schema([("a", kind)]))["fields"]
    return field["type"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.bool_(), "boolean"),
        (pa.int8(), "int"),
        (pa.uint16(), "int"),
        (pa.int32(), "int"),
        (pa.uint32(), "long"),
        (pa.int64(), "long"),
        (pa.uint64(), "long"),
        (pa.float16(), "float"),
        (pa.float32(), "float"),
        (pa.float64(), "double"),
        (pa.string(), "string"),
        (pa.large_string(), "string"),
        (pa.string_view(), "string"),
        (pa.binary(), "bytes"),
        (pa.large_binary(), "bytes"),
        (pa.binary(3), "bytes"),
        (pa.timestamp("us", "UTC"), "string"),
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (pa.list_(pa.int32()), {"type": "array", "items": ["int", "null"]}),
        (pa.large_list(pa.int32()), {"type": "array", "items": ["int", "null"]}),
        (pa.map_(pa.string(), pa.float64()), {"type": "map", "values": ["double", "null"]}),
    ],
)
def test_every_value_is_nullable_and_stands_first(kind, expected):
    assert type_of(kind) == [expected, "null"]


def test_a_column_of_nothing_but_nulls_is_null():
    assert type_of(pa.null()) == "null"


def test_records_are_written_out_each_in_the_namespace_around_it():
    inner = pa.struct([("a", pa.list_(pa.struct([("x", pa.int32())])))])
    schema = wire_schema(pa.schema([("cutoutScience", CUTOUT), ("cutoutTemplate", CUTOUT), ("a", inner)]))
    assert schema["name"] == "topLevelRecord"
    assert "namespace" not in schema
    records = [field["type"][0] for field in schema["fields"]]
    assert [(record["namespace"], record["name"]) for record in records] == [
        ("topLevelRecord", "cutoutScience"),
        ("topLevelRecord", "cutoutTemplate"),
        ("topLevelRecord", "a"),
    ]
    entry = records[2]["fields"][0]["type"][0]["items"][0]
    assert (entry["namespace"], entry["name"]) == ("topLevelRecord.a", "a")
    fastavro.parse_schema(schema)  # raises if a name is used twice


def test_the_text_is_json_without_spaces():
    schema = pa.schema([("cutoutScience", CUTOUT), ("candid", pa.int64())])
    text = wire_schema_text(schema)
    assert json.loads(text) == wire_schema(schema)
    assert " " not in text


@pytest.mark.parametrize(
    "kind",
    [pa.decimal128(10, 2), pa.date32(), pa.duration("s"), pa.map_(pa.int32(), pa.string()), pa.list_(pa.time32("s"))],
)
def test_a_type_without_a_place_is_named_with_its_column(kind):
    with pytest.raises(DataError, match=r"candidate\.odd cannot be sent"):
        wire_schema(pa.schema([("candidate", pa.struct([("odd", kind)]))]))


@pytest.mark.parametrize("name", ["2MASS_name", "", "a.b", "größe", "a\n"])
def test_a_name_avro_does_not_have_is_refused(name):
    with pytest.raises(DataError, match="Avro has no such name"):
        wire_schema(pa.schema([(name, pa.int32())]))


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match="two of that name"):
        wire_schema(pa.schema([("a", pa.int32()), ("a", pa.int64())]))
