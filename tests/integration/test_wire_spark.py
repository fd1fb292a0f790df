"""Datums and their schema, against what Spark's to_avro makes of the same Parquet file."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro

from fink_broker.alert.wire import encode, times_as_text
from fink_broker.alert.wire_schema import wire_schema_text

pytestmark = pytest.mark.integration

NAN, INF = float("nan"), float("inf")
POINT = pa.struct([("jd", pa.float64()), ("fid", pa.int32()), ("bands", pa.list_(pa.string()))])
COLUMNS = {
    "candid": (pa.int64(), [2**63 - 1, -(2**63), None, 0, 64]),
    "small": (pa.int8(), [-128, 127, None, 0, -65]),
    "short": (pa.int16(), [-(2**15), 2**15 - 1, None, 0, 1]),
    "fid": (pa.int32(), [-(2**31), 2**31 - 1, None, 0, -1]),
    "flag": (pa.bool_(), [True, False, None, True, True]),
    "mag": (pa.float32(), [NAN, -INF, None, -0.0, 19.125]),
    "jd": (pa.float64(), [NAN, INF, None, -0.0, 2460235.5]),
    "objectId": (pa.string(), ["", "ZTF18abcdefg", None, "Ωµ″🔭", "x" * 9000]),
    "label": (pa.dictionary(pa.int32(), pa.string()), ["g", "r", None, "g", "i"]),
    "stamp": (pa.binary(), [b"", b"\x00\xff", None, bytes(range(256)), b"\x1f" * 9000]),
    "candidate": (
        pa.struct([("point", POINT), ("rb", pa.float32())]),
        [{"point": {"jd": 1.0, "fid": 1, "bands": []}, "rb": NAN}, {"point": None, "rb": None}, None, {}, {"rb": 1.0}],
    ),
    "prv_candidates": (
        pa.list_(POINT),
        [[], [{"jd": 1.5, "fid": None, "bands": ["g", None]}, None], None, [{}] * 200, [{"jd": -INF, "fid": 70}]],
    ),
    "nights": (pa.list_(pa.list_(pa.int64())), [[[]], [[1, None], None], None, [], [[2**40] * 100]]),
    # of more entries Spark writes a map in the order of Java's hash table
    "mangrove": (pa.map_(pa.string(), pa.string()), [[], [("a", "b")], None, [("k" * 100, None)], [("", "")]]),
    "points": (pa.map_(pa.string(), POINT), [[], [("a", {"jd": 1.0})], None, [("b", None)], [("c", {"fid": 2})]]),
}


def test_the_same_bytes_and_the_same_schema_as_spark(spark, tmp_path):
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in COLUMNS.items()})
    schema, theirs = spark_avro(spark, table, tmp_path)
    assert wire_schema_text(table.schema) == schema
    assert encode(table) == theirs


def test_longer_maps_are_equal_when_read(spark, tmp_path):
    entries = [(name, str(number)) for number, name in enumerate(["HyperLEDA_name", "2MASS_name", "ang_dist", "z"])]
    table = pa.table({"mangrove": pa.array([entries, None, entries[:2]], pa.map_(pa.string(), pa.string()))})
    schema, theirs = spark_avro(spark, table, tmp_path)
    ours = encode(table)
    assert wire_schema_text(table.schema) == schema
    assert [read(datum, schema) for datum in ours] == [read(datum, schema) for datum in theirs]
    assert list(map(len, ours)) == list(map(len, theirs))


def test_times_are_the_text_spark_writes(spark, tmp_path):
    times = [datetime(2023, 10, 18, 3, 4, 5, 123456, UTC), None, datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)]
    table = pa.table({"at": pa.array(times, pa.timestamp("us", "UTC"))})
    pq.write_table(table, tmp_path / "times.parquet")
    rows = spark.read.parquet(str(tmp_path / "times.parquet"))
    theirs = rows.select(F.date_format("at", "yyyy-MM-dd HH:mm:ss.SSSSSS").alias("at")).collect()
    assert times_as_text(table)["at"].to_pylist() == [row["at"] for row in theirs]


def spark_avro(spark, table: pa.Table, folder) -> tuple[str, list[bytes]]:
    """Return the schema and the datums Spark makes of the rows of a table, in their order."""
    pq.write_table(table, folder / "rows.parquet")
    rows = spark.read.parquet(str(folder / "rows.parquet"))
    converters = spark._jvm.org.apache.spark.sql.avro.SchemaConverters
    schema = str(converters.toAvroType(rows._jdf.schema(), False, "topLevelRecord", "").toString())
    datums = rows.select(to_avro(F.struct(*rows.columns), schema).alias("value")).collect()
    return schema, [bytes(row["value"]) for row in datums]


def read(datum: bytes, schema: str):
    return fastavro.schemaless_reader(io.BytesIO(datum), fastavro.parse_schema(json.loads(schema)))
