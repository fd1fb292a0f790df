"""Encode alerts for clients: a whole batch at once, against fastavro a row at a time and Spark's ``to_avro``.

All read the same Parquet files, with all science columns, on one core, and write nothing: what is told is the time from
the file to the finished datums. The same bytes come out of the first two, which is checked; Spark writes the entries of
maps in another order.

    python -m benchmarks.encoding --source <folder of packets>
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro
from pyspark.sql.pandas.types import to_arrow_schema
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measure import machine, spread
from benchmarks.science_alerts import Alerts, read_packets
from fink_broker.alert.wire import encode, times_as_text
from fink_broker.alert.wire_schema import wire_schema, wire_schema_text
from fink_broker.config import Config
from fink_broker.science.registry import build_pipeline
from fink_broker.service import java_parts
from fink_broker.stream.session import open_session
from fink_broker.stream.stream2raw import raw_schema

SIZES = (512, 50)
WARM, BATCH, ROW, SPARK = "encode, rows in memory", "read and encode", "read, fastavro a row", "read, Spark's to_avro"
#: Columns that stay in the house.
PRIVATE = ("origin", "night")
TEXT_OF_A_CLASS = "RRLyrae_Candidate"


def made_up(kind: pa.DataType, rng: np.random.Generator) -> Any:
    """Return a science value of a type, as Python has it; one in ten is null."""
    if rng.random() < 0.1:
        return None
    if pa.types.is_struct(kind):
        return {field.name: made_up(field.type, rng) for field in kind}
    if pa.types.is_map(kind):
        return [(f"key_{number}", made_up(kind.item_type, rng)) for number in range(5)]
    if pa.types.is_list(kind):
        return [made_up(kind.value_type, rng) for _ in range(3)]
    if pa.types.is_integer(kind):
        return int(rng.integers(0, 100))
    if pa.types.is_floating(kind):
        return float(rng.random())
    if pa.types.is_boolean(kind):
        return bool(rng.random() < 0.5)
    return TEXT_OF_A_CLASS if pa.types.is_string(kind) else TEXT_OF_A_CLASS.encode()


def write_science(raw: Path, science: Path) -> None:
    """Write files of the science table, its science made up, of files of the raw table."""
    science.mkdir()
    rng = np.random.default_rng(0)
    for file in sorted(raw.glob("*.parquet")):
        table = pq.read_table(file, partitioning=None).drop_columns(PRIVATE)
        for field in build_pipeline(Config()).science_type:
            values = [made_up(field.type, rng) for _ in range(table.num_rows)]
            table = table.append_column(field.name, pa.array(values, field.type))
        # as the jobs write; times are text on the wire
        pq.write_table(times_as_text(table), science / file.name, compression="snappy", use_dictionary=False)


def batches(folder: Path, size: int) -> Iterator[pa.Table]:
    """Give the rows of all files, some at a time."""
    for file in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(batch_size=size, use_threads=False):
            yield pa.Table.from_batches([batch])


def by_row(table: pa.Table, schema: Any) -> list[bytes]:
    """Encode with fastavro, a call a row."""
    datums = []
    for row in table.to_pylist(maps_as_pydicts="strict"):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, row)
        datums.append(stream.getvalue())
    return datums


def run_spark(spark: SparkSession, folder: Path, schema: str) -> None:
    rows = spark.read.parquet(str(folder))
    datums = rows.select(to_avro(F.struct(*rows.columns), schema))
    datums.write.format("noop").mode("overwrite").save()


def compare(spark: SparkSession, folder: Path, size: int, rounds: int) -> dict[str, list[float]]:
    """Run the ways in turn; return seconds. The first round warms up and is not counted.

    Raises
    ------
    SystemExit
        If fastavro writes other bytes.
    """
    kept = list(batches(folder, size))
    text = wire_schema_text(kept[0].schema)
    parsed = fastavro.parse_schema(wire_schema(kept[0].schema))
    if encode(kept[0]) != by_row(kept[0], parsed):
        raise SystemExit("fastavro writes other bytes")
    ways: dict[str, Callable[[], Any]] = {
        WARM: lambda: [len(encode(table)) for table in kept],
        BATCH: lambda: [len(encode(table)) for table in batches(folder, size)],
        ROW: lambda: [len(by_row(table, parsed)) for table in batches(folder, size)],
        SPARK: lambda: run_spark(spark, folder, text),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in track(range(rounds + 1), description=f"batches of {size}", transient=True):
        for way in list(ways) if number % 2 else list(ways)[::-1]:
            began = time.perf_counter()
            ways[way]()
            if number:
                seconds[way].append(time.perf_counter() - began)
    return seconds


def report(console: Console, runs: dict[int, dict[str, list[float]]], alerts: int) -> None:
    """Print milliseconds an alert and ratios."""
    table = Table(title="ms an alert", title_justify="left")
    table.add_column("median (least to most)")
    for size in runs:
        table.add_column(f"batches of {size}", justify="right")
    for way in (WARM, BATCH, ROW, SPARK):
        table.add_row(way, *[spread([1000 * s / alerts for s in done[way]], digits=3) for done in runs.values()])
    console.print(table)
    for size, done in runs.items():
        for way in (ROW, SPARK):
            ratios = [their / our for our, their in zip(done[BATCH], done[way], strict=True)]
            console.print(f"  batches of {size}: {spread(ratios, digits=1)} times as fast as: {way}")


def main(
    source: Annotated[str, typer.Option(help="Folder or file of alerts, or synthetic.")] = "synthetic",
    alerts: Annotated[int, typer.Option(help="How many alerts.")] = 2000,
    rounds: Annotated[int, typer.Option(help="How often each way is measured.")] = 5,
) -> None:
    """Compare ways to encode alerts for clients, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    console = Console()
    console.print(machine(), highlight=False)
    java_parts.ensure("spark", console)
    config = Config()
    one_core = config.spark.model_copy(update={"master": "local[1]"})
    folder = Path(tempfile.mkdtemp(prefix="fink-encoding-"))
    spark = open_session(config.model_copy(update={"spark": one_core}), "benchmark")
    try:
        Alerts(read_packets(source, ""), alerts).write_raw(folder / "raw", to_arrow_schema(raw_schema(spark, config)))
        write_science(folder / "raw", folder / "science")
        sample = next(batches(folder / "science", SIZES[0]))
        size = sum(map(len, encode(sample))) / sample.num_rows
        console.print(
            f"{alerts:,} alerts of {source}, {sample.num_columns} columns, {size / 1000:.1f} kB each", highlight=False
        )
        runs = {size: compare(spark, folder / "science", size, rounds) for size in SIZES}
    finally:
        spark.stop()
        shutil.rmtree(folder, ignore_errors=True)
    report(console, runs, alerts)


if __name__ == "__main__":
    typer.run(main)
