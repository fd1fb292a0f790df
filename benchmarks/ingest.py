"""Decode packets and write them as Parquet: inside the JVM, against a Python function that decodes row by row.

Both ways read the same messages in the same Spark session, in turn, and write the same columns: those of the light
curve (no images), and the whole packet. The Python function is given its best case: it returns only the columns that
are written.

    python -m benchmarks.ingest
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measure import TreeMemory, load_packets, machine, spread
from fink_broker.alert.schema import ztf_reading_schema
from fink_broker.alert.survey import ZTF
from fink_broker.config import Config
from fink_broker.config.model import SparkConfig
from fink_broker.service import java_parts
from fink_broker.stream.decode import ALERT, REASON, WriterSchemas, decode, discover, split
from fink_broker.stream.session import open_session

LIGHT_CURVE = ("candid", "objectId", "candidate", "prv_candidates")
FILES = 4  # as many as a topic has partitions


@dataclass(frozen=True)
class Run:
    """What one way took for all messages.

    Parameters
    ----------
    seconds : float
        From the plan to the last written byte.
    peak_bytes : int
        Largest memory of this process, its JVM and their Python workers.
    """

    seconds: float
    peak_bytes: int


def write_messages(packets: list[bytes], folder: Path) -> None:
    """Write packets as Kafka would give them: a row a message."""
    folder.mkdir()
    for number in range(FILES):
        values = packets[number::FILES]
        offsets = range(len(values))
        pq.write_table(
            pa.table(
                {
                    "topic": pa.repeat(pa.scalar("ztf_20240101_programid1"), len(values)),
                    "partition": pa.repeat(pa.scalar(number, pa.int32()), len(values)),
                    "offset": pa.array(offsets, pa.int64()),
                    "timestamp": pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), len(values)),
                    "value": pa.array(values, pa.binary()),
                }
            ),
            folder / f"{number}.parquet",
            # as close to Kafka's bytes as a file comes: reading shall cost next to nothing
            compression="none",
            use_dictionary=False,
        )


def learn_schemas(messages: DataFrame) -> WriterSchemas:
    """Learn the writers' schemas, as a job does in its first batch and never again."""
    writers = WriterSchemas(ztf_reading_schema())
    discover(split(messages, "container"), writers)
    return writers


def in_jvm(messages: DataFrame, columns: tuple[str, ...], writers: WriterSchemas, config: Config) -> DataFrame:
    """Decode as stream2raw does, counting on the way."""
    decoded = decode(split(messages, "container"), writers, config, ZTF)
    counted = decoded.observe(Observation(), F.count(F.lit(1)).alias("in"), F.count(REASON).alias("rejected"))
    return counted.where(F.col(REASON).isNull()).select(*[F.col(ALERT)[name].alias(name) for name in columns])


def row_by_row(messages: DataFrame, columns: tuple[str, ...], kind: StructType) -> DataFrame:
    """Decode with fastavro in a Python function, a call a row."""

    def read(value: bytes) -> dict[str, Any]:
        record = next(fastavro.reader(io.BytesIO(value)))
        return {name: record.get(name) for name in columns}

    alert = F.udf(read, StructType([kind[name] for name in columns]), useArrow=False)
    return messages.select(alert("value").alias(ALERT)).select(f"{ALERT}.*")


def measure(build: Callable[[], DataFrame], out: Path) -> Run:
    """Build a plan, run it and write its result."""
    with TreeMemory(lambda: [os.getpid()], seconds=0.1) as memory:
        began = time.perf_counter()
        build().write.mode("overwrite").parquet(str(out))
        seconds = time.perf_counter() - began
    return Run(seconds, memory.peak_bytes)


def compare(
    spark: SparkSession, folder: Path, columns: tuple[str, ...], rounds: int, expected: int
) -> dict[str, list[Run]]:
    """Run both ways in turn; the first round warms up and is not counted.

    Raises
    ------
    SystemExit
        If a way does not write every alert.
    """
    config = Config()
    messages = spark.read.parquet(str(folder / "messages"))
    writers = learn_schemas(messages)
    kind = in_jvm(messages, columns, writers, config).schema
    ways: dict[str, Callable[[], DataFrame]] = {
        "in the JVM": lambda: in_jvm(messages, columns, writers, config),
        "row by row": lambda: row_by_row(messages, columns, kind),
    }
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    for number in track(range(rounds + 1), description=", ".join(columns)[:40], transient=True):
        for way in list(ways) if number % 2 else list(ways)[::-1]:
            run = measure(ways[way], folder / "out")
            written = sum(pq.read_metadata(file).num_rows for file in (folder / "out").glob("*.parquet"))
            if written != expected:
                raise SystemExit(f"{way}: {written} alerts written, {expected} sent")
            if number:
                runs[way].append(run)
    return runs


def report(console: Console, title: str, runs: dict[str, list[Run]], alerts: int, size: int) -> None:
    """Print figures and ratios."""
    table = Table(title=title, title_justify="left")
    table.add_column("median (least to most)")
    for way in runs:
        table.add_column(way, justify="right")
    rows = {
        "alerts/s": [[alerts / run.seconds for run in done] for done in runs.values()],
        "MB of packets/s": [[size / run.seconds / 1e6 for run in done] for done in runs.values()],
        "peak memory of all processes, MiB": [[run.peak_bytes / 1024**2 for run in done] for done in runs.values()],
    }
    for name, figures in rows.items():
        table.add_row(name, *[spread(figure, digits=0) for figure in figures])
    console.print(table)
    ours, theirs = runs.values()
    ratios = [their.seconds / our.seconds for our, their in zip(ours, theirs, strict=True)]
    console.print(f"  in the JVM is {spread(ratios)} times as fast\n")


def main(
    source: Annotated[str, typer.Option(help="Folder or file of alerts, or synthetic.")] = "synthetic",
    alerts: Annotated[int, typer.Option(help="How many alerts.")] = 6000,
    rounds: Annotated[int, typer.Option(help="How often each way is measured.")] = 5,
    java_options: Annotated[str, typer.Option(help="Flags of Spark's JVM.")] = SparkConfig().java_options,
) -> None:
    """Compare two ways to decode packets and write them."""
    console = Console()
    console.print(machine(), highlight=False)
    packets = load_packets(source, alerts)
    size = sum(map(len, packets))
    console.print(f"{alerts:,} alerts of {source}, {size / alerts / 1000:.1f} kB each", highlight=False)
    java_parts.ensure("spark", console)
    folder = Path(tempfile.mkdtemp(prefix="fink-ingest-"))
    try:
        write_messages(packets, folder / "messages")
        del packets
        spark = open_session(Config(spark=SparkConfig(java_options=java_options)), "benchmark")
        whole = tuple(field["name"] for field in json.loads(ztf_reading_schema())["fields"])
        for title, columns in {"Columns of the light curve": LIGHT_CURVE, "Whole packets, with cutouts": whole}.items():
            report(console, title, compare(spark, folder, columns, rounds, alerts), alerts, size)
        spark.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
