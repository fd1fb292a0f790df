"""distribution: from the science table to filtered Kafka topics.

Every alert of a committed science batch is evaluated once by all filters; each topic it passed gets it at least
once. A kill between sending and committing sends the batch again, with the same headers, by which readers drop
repeats.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from confluent_kafka import KafkaException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from fink_broker.alert.survey import SURVEYS
from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.config import Config
from fink_broker.config.secrets import distribution_credentials
from fink_broker.filters.engine import TOPICS, add_topics
from fink_broker.stream import kafka_io
from fink_broker.stream.enrich import enrich
from fink_broker.stream.handoff import Intake, pulse, read_alerts
from fink_broker.stream.messages import messages
from fink_broker.stream.query import Batch
from fink_broker.stream.run import run_job
from fink_broker.stream.stream2raw import raw_schema
from fink_broker.stream.warmup import blank_alerts

log = logging.getLogger(__name__)

#: upper edges of the latency histogram in seconds; the last counts all beyond
LATENCY_EDGES = np.concatenate([np.arange(0.25, 10.01, 0.25), np.arange(11, 61), np.geomspace(75, 86400, 30)])


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the job until told to stop (a service entry point)."""
    run_job(Distribution(config), config, stop, say)


class Distribution:
    """The job: the science table's commits, all filters in one pass, Kafka topics."""

    name = "distribution"
    input_in_checkpoint = False

    def __init__(self, config: Config) -> None:
        layout = Layout(config.storage.online)
        self.config = config
        self.survey = SURVEYS[config.survey]
        self.science, self.topics = AlertTable(layout.table("science")), AlertTable(layout.table("topics"))
        self._intake = Intake(self.science, self.topics)

    def topic(self, filter_name: str) -> str:
        """Return the topic of a filter."""
        return self.survey.output_topic(self.config.distribution.prefix, filter_name)

    def wait_for_input(self, stop: threading.Event, say: Callable[[str], None]) -> bool:
        """Wait until the output Kafka answers, and create the topics: clients may subscribe from here on."""
        settings = self.config.distribution
        self.science.create()
        options = kafka_io.client_options(
            self.config.output_servers,
            settings.security_protocol,
            settings.sasl_mechanism,
            distribution_credentials(os.environ),
        )
        while kafka_io.wait_for_kafka(options, stop, say):
            try:
                self._create_topics(options)
                return True
            except KafkaException as error:
                say(f"waiting for Kafka to create the topics ({error.args[0].str()})")
                stop.wait(1.0)
        return False

    def _create_topics(self, options: dict[str, str]) -> None:
        settings = self.config.distribution
        created = kafka_io.create_topics(
            options,
            [self.topic(name) for name in settings.topics],
            settings.partitions,
            settings.replication,
            {
                "retention.ms": str(int(settings.retention_days * 86_400_000)),
                "max.message.bytes": str(kafka_io.MAX_MESSAGE_BYTES),
                "compression.type": "producer",
            },
        )
        for name in created:
            log.info("created the topic %s", name)

    def warm_up(self, spark: SparkSession, folder: Path) -> None:
        """Filter and encode a blank alert, and send it nowhere."""
        raw = blank_alerts(spark, folder, raw_schema(spark, self.config))
        science = spark.read.schema(enrich(raw, self.config).schema).parquet(*raw.inputFiles())
        routed, _ = self._route(science)
        routed.write.format("noop").mode("overwrite").save()

    def recover(self, spark: SparkSession) -> None:
        """See which science batches are done."""
        self.topics.create()
        self._intake.recover()

    def source(self, spark: SparkSession) -> DataFrame:
        """Return the stream at whose beat the science table's commits are looked for."""
        return pulse(spark)

    def process(self, batch: Batch) -> None:
        """Filter, encode, send, commit."""
        commits = self._intake.waiting()
        if not commits or self.topics.log.has(batch.id):
            return
        started = time.time()
        total = sum(commit.counts["out"] for commit in commits)
        sent = self._send(read_alerts(batch.rows.sparkSession, self.science, commits)) if total else {}
        now = time.time()
        commit = Commit(
            id=batch.id,
            inputs=[commit.id for commit in commits],
            files=[],
            counts={"in": total, "out": total},
            started=started,
            committed=now,
            details={
                "topics": {self.topic(name): number for name, number in sent.items() if number},
                **latencies(now - self._kafka_times(commits)),
            },
        )
        self.topics.commit(commit)
        self._intake.take(commits)
        log.info("%s alerts, %s messages (%s)", total, sum(sent.values()), batch.id)

    def _send(self, alerts: DataFrame) -> dict[str, int]:
        """Send the alerts to the topics they pass; return how many went to each."""
        settings = self.config.distribution
        connection = kafka_io.spark_options(
            self.config.output_servers,
            settings.security_protocol,
            settings.sasl_mechanism,
            distribution_credentials(os.environ),
        )
        routed, observed = self._route(alerts)
        (
            routed.write.format("kafka")
            .mode("append")
            .options(**connection)
            .option("kafka.compression.type", settings.compression)
            .option("kafka.max.request.size", kafka_io.MAX_MESSAGE_BYTES)
            .option("kafka.batch.size", 1024 * 1024)
            .option("kafka.linger.ms", 20)
            .option("kafka.acks", "all")
            .option("kafka.enable.idempotence", "true")
            .save()
        )
        return dict(observed.get)

    def _route(self, alerts: DataFrame) -> tuple[DataFrame, Observation]:
        """Return the messages of alerts, and what will know how many pass each filter once they are sent."""
        settings, observed = self.config.distribution, Observation()
        routed = add_topics(alerts, settings.topics).observe(
            observed,
            *[F.count(F.when(F.array_contains(TOPICS, name), 1)).alias(name) for name in settings.topics],
        )
        return messages(routed, settings.prefix, settings.partitions, self.survey), observed

    def _kafka_times(self, commits: list[Commit]) -> np.ndarray:
        """Return when the alerts of some commits came into Kafka (unix seconds, shape (n,))."""
        times = [np.empty(0)]
        for commit in commits:
            for file in commit.files:
                with self.science.storage.files.open_input_file(f"{self.science.storage.root}/{file.path}") as stream:
                    origin = pq.ParquetFile(stream).read(columns=["origin.timestamp"])
                column = origin["origin"].combine_chunks().field("timestamp")
                times.append(column.cast("int64").to_numpy(zero_copy_only=False) / 1e6)
        return np.concatenate(times)


def latencies(seconds: np.ndarray) -> dict[str, Any]:
    """Return the distribution of latencies: percentiles, and a histogram that can be added to others.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
        From Kafka in to Kafka out.
    """
    if len(seconds) == 0:
        return {}
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99])
    bins = np.searchsorted(LATENCY_EDGES, seconds)
    numbers = np.bincount(np.minimum(bins, len(LATENCY_EDGES) - 1), minlength=len(LATENCY_EDGES))
    return {
        "latency_seconds": {"p50": p50, "p95": p95, "p99": p99, "max": float(seconds.max())},
        "latency_histogram": [
            [round(float(edge), 3), int(number)] for edge, number in zip(LATENCY_EDGES, numbers, strict=True) if number
        ],
    }
