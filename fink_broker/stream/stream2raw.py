"""stream2raw: from Kafka messages to the raw table, each alert once, whatever happens.

in = out + rejected + duplicate, for every batch.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.types import StructType

from fink_broker.alert.schema import ztf_reading_schema
from fink_broker.alert.survey import SURVEYS, Survey
from fink_broker.archive import AlertTable, Commit, DataFile, Layout
from fink_broker.config import Config
from fink_broker.config.kafka_access import input_access
from fink_broker.stream import kafka_io
from fink_broker.stream.columns import ADDED_COLUMNS
from fink_broker.stream.decode import (
    ALERT,
    MOST_SCHEMAS,
    ORIGIN,
    REASON,
    UNKNOWN_SCHEMA,
    VALUE,
    WriterSchemas,
    decode,
    discover,
    night_column,
    schema_of_bare_packets,
    split,
)
from fink_broker.stream.dedup import SeenCandids, pack, remember
from fink_broker.stream.query import Batch
from fink_broker.stream.run import run_job
from fink_broker.stream.warmup import blank_messages

log = logging.getLogger(__name__)

#: looks at a batch for schemas not met before: a stream of ever new ones must not hold the job up
MOST_LOOKS = 4


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the job until told to stop (a service entry point)."""
    run_job(Stream2Raw(config), config, stop, say)


class Stream2Raw:
    """The job: a Kafka source, the decoding, the raw and the rejected table."""

    name = "stream2raw"
    input_in_checkpoint = True

    def __init__(self, config: Config) -> None:
        layout = Layout(config.storage.online)
        self.config = config
        self.survey = SURVEYS[config.survey]
        self.raw, self.rejected = AlertTable(layout.table("raw")), AlertTable(layout.table("rejected"))
        self.writers = WriterSchemas(ztf_reading_schema(), ADDED_COLUMNS)
        self.seen = SeenCandids(config.stream.dedup_alerts)
        self._schema_names: dict[str, str] = {}
        if config.kafka.packet_format != "container":
            self.writers.learn(0, schema_of_bare_packets(config))

    def wait_for_input(self, stop: threading.Event, say: Callable[[str], None]) -> bool:
        """Wait until the input Kafka answers."""
        return kafka_io.wait_for_kafka(input_access(self.config, os.environ), stop, say)

    def warm_up(self, spark: SparkSession, folder: Path) -> None:
        """Decode a blank packet."""
        containers = self.config.kafka.model_copy(update={"packet_format": "container"})
        other = Stream2Raw(self.config.model_copy(update={"kafka": containers}))
        messages = split(blank_messages(spark, folder, ztf_reading_schema()), "container")
        _, decoded = other._write_alerts(messages, str(folder / "raw"))
        other._write_rejected(decoded, str(folder / "rejected"))

    def recover(self, spark: SparkSession) -> None:
        """Clear half-written batches and remember the candids of the committed ones."""
        self.raw.create()
        self.rejected.create()
        unfinished = {*self.rejected.recover(committed=self.raw.log), *self.raw.recover()}
        for commit_id in sorted(unfinished):
            log.info("batch %s was cut short; it runs again", commit_id)
        commits = self.raw.log.newest_first()
        self.seen = remember(self.config.stream.dedup_alerts, (commit.details["candids"] for commit in commits))

    def source(self, spark: SparkSession) -> DataFrame:
        """Return the stream of Kafka messages."""
        kafka = self.config.kafka
        connection = kafka_io.spark_options(input_access(self.config, os.environ))
        return (
            spark.readStream.format("kafka")
            .options(**connection)
            # a pattern also finds topics that do not exist yet, and survives one that is deleted
            .option("subscribePattern", kafka.topic)
            .option("startingOffsets", kafka.starting_offsets)
            # messages that Kafka no longer has are counted and reported (`lost_offsets`), not waited for
            .option("failOnDataLoss", "false")
            .option("maxOffsetsPerTrigger", self.config.stream.max_alerts_per_batch)
            .option("kafka.metadata.max.age.ms", 5000)
            .option("kafka.max.partition.fetch.bytes", 16 * 1024 * 1024)
            .load()
        )

    def process(self, batch: Batch) -> None:
        """Decode, drop repeats, write, commit."""
        if self.raw.log.has(batch.id):
            return
        started = time.time()
        messages = split(batch.rows, self.config.kafka.packet_format)
        counted, decoded = self._write_alerts(messages, self.raw.staging(batch.id))
        offsets = read_offsets(batch)
        lost = max(0, expected(offsets) - counted["in"])
        if counted["in"] == lost == 0:
            self.raw.discard(batch.id)
            return
        reasons: dict[str, int] = {}
        if counted["rejected"]:
            self._write_rejected(decoded, self.rejected.staging(batch.id))
            reasons = self._count_reasons(batch.id)
        candids, duplicates = self._drop_repeats(batch.id)
        files, rejected_files = self.raw.publish(batch.id), self.rejected.publish(batch.id)
        commit = Commit(
            id=batch.id,
            inputs=[],
            files=files,
            counts={
                "in": counted["in"],
                "out": sum(file.rows for file in files),
                "rejected": sum(file.rows for file in rejected_files),
                "duplicate": duplicates,
            },
            started=started,
            committed=time.time(),
            details={
                "offsets": offsets,
                "lost_offsets": lost,
                "reasons": reasons,
                "rejected_files": [_as_dict(file) for file in rejected_files],
                "candids": pack(candids),
                "schema": self._schema_name(decoded),
            },
        )
        self.raw.commit(commit)
        self.rejected.discard(batch.id)
        self.seen.add(candids)
        self._report(commit)

    def _write_alerts(self, messages: DataFrame, folder: str) -> tuple[dict[str, int], DataFrame]:
        """Write the readable alerts of a batch to a folder; return counts and the decoded messages."""
        if not self.writers.known:
            discover(messages, self.writers)
        for attempt in range(MOST_LOOKS):
            decoded = decode(messages, self.writers, self.config, self.survey)
            observed = Observation()
            reason = F.col(REASON)
            counting = decoded.observe(
                observed,
                F.count(F.lit(1)).alias("in"),
                F.count(reason).alias("rejected"),
                F.count(F.when(reason == UNKNOWN_SCHEMA, 1)).alias("unknown"),
            )
            alerts = _raw_columns(counting.where(reason.isNull()), self.survey)
            files = alerts.sparkSession.sparkContext.defaultParallelism
            alerts.coalesce(files).write.mode("overwrite").partitionBy("night").parquet(folder)
            counted = observed.get
            # what is of a schema still unknown at the last look stays rejected, whole
            if not counted["unknown"] or attempt == MOST_LOOKS - 1 or not discover(messages, self.writers):
                break
        self.writers.forget_beyond(MOST_SCHEMAS)
        return counted, decoded

    def _write_rejected(self, decoded: DataFrame, folder: str) -> None:
        """Write the messages that are no alerts, whole, to a folder."""
        rejected = decoded.where(F.col(REASON).isNotNull()).select(
            f"{ORIGIN}.*", REASON, VALUE, F.date_format(f"{ORIGIN}.timestamp", "yyyyMMdd").alias("date")
        )
        rejected.coalesce(1).write.mode("overwrite").partitionBy("date").parquet(folder)

    def _count_reasons(self, commit_id: str) -> dict[str, int]:
        """Return how many messages of a batch were rejected for each reason."""
        reasons: dict[str, int] = {}
        for path in self.rejected.staged(commit_id):
            whole = f"{self.rejected.storage.root}/{path}"
            files = self.rejected.storage.files
            column = pq.read_table(whole, columns=[REASON], filesystem=files, partitioning=None)[REASON]
            for entry in pc.value_counts(column).to_pylist():
                reasons[entry["values"]] = reasons.get(entry["values"], 0) + entry["counts"]
        return reasons

    def _drop_repeats(self, commit_id: str) -> tuple[np.ndarray, int]:
        """Take repeated candids out of the staged files; return the candids that stay and how many went.

        Repeats are rare, so the files are written first and only those that hold one are written again.
        """
        files = self.raw.storage.files
        staged = [f"{self.raw.storage.root}/{path}" for path in self.raw.staged(commit_id)]
        columns = [
            pq.read_table(path, columns=["candid"], filesystem=files, partitioning=None)["candid"].to_numpy()
            for path in staged
        ]
        candids = np.concatenate(columns) if columns else np.empty(0, dtype=np.int64)
        repeats = self.seen.repeats(candids)
        if repeats.any():
            start = 0
            for path, column in zip(staged, columns, strict=True):
                here = repeats[start : start + len(column)]
                start += len(column)
                if here.any():
                    table = pq.read_table(path, filesystem=files, partitioning=None).filter(~here)
                    pq.write_table(table, path, filesystem=files, use_dictionary=False)
        return candids[~repeats], int(repeats.sum())

    def _schema_name(self, decoded: DataFrame) -> str:
        """Keep the schema of the alerts of a batch beside the table and return its name."""
        if self.writers.reading not in self._schema_names:
            columns = _raw_columns(decoded, self.survey).drop("night")
            self._schema_names[self.writers.reading] = self.raw.keep_schema(columns.schema.json())
        return self._schema_names[self.writers.reading]

    def _report(self, commit: Commit) -> None:
        counts = commit.counts
        log.info("%s alerts in, %s raw (%s)", counts["in"], counts["out"], commit.id)
        for reason, number in commit.details["reasons"].items():
            log.warning("%s rejected: %s", number, reason)
        if commit.details["lost_offsets"]:
            log.error(
                "%s messages of this batch were lost: they expired, or their topic was deleted or made anew",
                commit.details["lost_offsets"],
            )


def _raw_columns(decoded: DataFrame, survey: Survey) -> DataFrame:
    """Return the columns of the raw table: the packet whole, where it came from, when, and its night."""
    return decoded.select(
        f"{ALERT}.*",
        ORIGIN,
        F.current_timestamp().alias("brokerIngestTimestamp"),
        night_column(F.col(ALERT)["candidate"]["jd"], survey).alias("night"),
    )


def raw_schema(spark: SparkSession, config: Config) -> StructType:
    """Return the schema of the raw table as long as no writer brings new fields, ``night`` included."""
    reading = ztf_reading_schema()
    alert = from_avro(F.lit(None).cast("binary"), reading).alias(ALERT)
    origin = "named_struct('topic', '', 'partition', 0, 'offset', 0L, 'timestamp', timestamp_seconds(0))"
    blank = spark.range(1).select(alert, F.expr(origin).alias(ORIGIN))
    return _raw_columns(blank, SURVEYS[config.survey]).schema


def read_offsets(batch: Batch) -> dict[str, dict[str, list[int | None]]]:
    """Return the offsets of a batch: topic → partition → [from, until), from Spark's checkpoint.

    A partition that was not there in the batch before begins at an offset nobody wrote down: None.
    """
    until = _offsets_line(batch, batch.number)
    before = _offsets_line(batch, batch.number - 1) if batch.number else {}
    ranges: dict[str, dict[str, list[int | None]]] = {}
    for topic, partitions in until.items():
        for partition, end in partitions.items():
            begin = before.get(topic, {}).get(partition)
            if begin != end:
                ranges.setdefault(topic, {})[partition] = [begin, end]
    return ranges


def _offsets_line(batch: Batch, number: int) -> dict[str, Any]:
    text = batch.checkpoint.read(f"offsets/{number}").decode()
    lines = [line for line in text.splitlines() if re.match(r"^\{", line)]
    offsets: dict[str, Any] = json.loads(lines[-1])
    return offsets


def expected(offsets: dict[str, dict[str, list[int | None]]]) -> int:
    """Return how many messages offsets promise, where their beginning is known.

    A partition that ends before it began is one of a topic made anew, and Spark goes on from its end: what is
    before that is promised, and not given.
    """
    return sum(
        end - begin if end >= begin else end
        for partitions in offsets.values()
        for begin, end in partitions.values()
        if begin is not None and end is not None
    )


def _as_dict(file: DataFile) -> dict[str, Any]:
    return {"path": file.path, "rows": file.rows, "bytes": file.bytes}
