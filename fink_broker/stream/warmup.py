"""What a job does while it starts: its whole work once on an alert of nulls, so that the first real one is not slow.

Spark loads and compiles as it goes, and Python workers load models when they are first asked. Without this the
first batch of a job takes ten times as long as the second. Nothing of it reaches a table or a topic.
"""

from __future__ import annotations

import io
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from fink_broker.config import Config

log = logging.getLogger(__name__)

_KAFKA = pa.schema(
    [
        pa.field("topic", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("timestamp", pa.timestamp("us", "UTC")),
        pa.field("value", pa.binary()),
    ]
)


class Warm(Protocol):
    """A job that can be warmed up."""

    name: str

    def warm_up(self, spark: SparkSession, folder: Path) -> None:
        """Do the work of a batch on blank input, with a folder to write to."""


def warm_up(job: Warm, spark: SparkSession, config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Warm a job up, on one machine; what goes wrong here is told and would show again in the first batch."""
    if stop.is_set() or not config.spark.master.startswith("local"):
        return
    say("starting: warming up")
    with tempfile.TemporaryDirectory(prefix=f"fink-{job.name}-") as folder:
        try:
            job.warm_up(spark, Path(folder))
        except Exception as error:
            log.warning("warming up failed, so the first batch will be slow: %s", error, exc_info=True)


def blank_messages(spark: SparkSession, folder: Path, schema: str) -> DataFrame:
    """Return Kafka messages, each a container of one alert of nulls, written with an Avro schema (JSON text)."""
    buffer = io.BytesIO()
    fastavro.writer(buffer, json.loads(schema), [{}])
    values = ["", 0, 0, datetime.now(UTC), buffer.getvalue()]
    table = pa.table([pa.array([value], field.type) for value, field in zip(values, _KAFKA, strict=True)], _KAFKA)
    return _read(spark, folder / "messages", table)


def blank_files(folder: Path, schema: StructType, count: int, values: Mapping[str, Any] | None = None) -> list[Path]:
    """Write files of one alert of nulls each, but for some values, with a schema; return them."""
    kinds, given = to_arrow_schema(schema), values or {}
    columns = [pa.array([given.get(name)], kind) for name, kind in zip(kinds.names, kinds.types, strict=True)]
    table = pa.table(columns, names=kinds.names)
    folder.mkdir()
    files = [folder / f"{number}.parquet" for number in range(count)]
    for file in files:
        pq.write_table(table, file)
    return files


def _read(spark: SparkSession, folder: Path, table: pa.Table) -> DataFrame:
    # real files: Spark would work out rows that are written in the plan without running anything
    folder.mkdir()
    for number in range(spark.sparkContext.defaultParallelism):
        pq.write_table(table, folder / f"{number}.parquet")
    return spark.read.parquet(str(folder))
