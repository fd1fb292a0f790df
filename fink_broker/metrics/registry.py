"""The numbers a service counts in its process, in one registry of Prometheus' own library.

A group is made when it is first asked for: a service tells only of what it does. The names of services and hosts are
no labels here; who reads the samples adds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

disable_created_metrics()

#: All numbers of this process.
REGISTRY = CollectorRegistry()

#: Upper edges of histograms, in seconds.
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


def exposition() -> str:
    """Return all numbers of this process in the text format of Prometheus."""
    return generate_latest(REGISTRY).decode()


@dataclass(frozen=True)
class SparkNumbers:
    """The progress of a streaming query, as Spark reports it after every batch.

    Parameters
    ----------
    batches, input_rows : Counter
        Batches, and rows in them.
    input_rate, processed_rate : Gauge
        Rows per second that came in and that were processed, of the last batch.
    batch_seconds : Histogram
        How long batches took, from their trigger to their end.
    phase_seconds : Counter
        The same by phase: ``latestOffset``, ``walCommit``, ``queryPlanning``, ``addBatch``, ...
    behind : Gauge
        Messages between where the last batch ended and the end of Kafka's partitions, ``of`` all partitions (their
        sum) and of the slowest partition (the largest).
    active : Gauge
        Whether the query runs.
    failures : Counter
        Ends of the query with an error; most are followed by a start.
    progressed : Gauge
        When Spark last reported, unix seconds.
    """

    batches: Counter
    input_rows: Counter
    input_rate: Gauge
    processed_rate: Gauge
    batch_seconds: Histogram
    phase_seconds: Counter
    behind: Gauge
    active: Gauge
    failures: Counter
    progressed: Gauge


@lru_cache(maxsize=1)
def spark_numbers() -> SparkNumbers:
    """Return the numbers of the streaming query of this process."""
    return SparkNumbers(
        Counter("fink_spark_batches", "Batches the streaming query has done.", registry=REGISTRY),
        Counter("fink_spark_input_rows", "Rows the streaming query has taken in.", registry=REGISTRY),
        Gauge("fink_spark_input_rows_per_second", "Rows that came in, a second, last batch.", registry=REGISTRY),
        Gauge("fink_spark_processed_rows_per_second", "Rows processed, a second, last batch.", registry=REGISTRY),
        Histogram("fink_spark_batch_seconds", "Time of a batch.", buckets=BATCH_SECONDS, registry=REGISTRY),
        Counter("fink_spark_phase_seconds", "Time of all batches, by phase.", ["phase"], registry=REGISTRY),
        Gauge("fink_spark_offsets_behind", "Messages behind the end of Kafka's topics.", ["of"], registry=REGISTRY),
        Gauge("fink_spark_query_active", "Whether the streaming query runs.", registry=REGISTRY),
        Counter("fink_spark_query_failures", "Ends of the query with an error.", registry=REGISTRY),
        Gauge("fink_spark_progress_timestamp_seconds", "When Spark last reported progress.", registry=REGISTRY),
    )


@dataclass(frozen=True)
class ApiNumbers:
    """What the REST API was asked.

    Parameters
    ----------
    requests : Counter
        Requests by route and status; 499: the client hung up.
    seconds : Histogram
        How long they took until the last byte, by route.
    rows : Counter
        Rows in answers, by route.
    """

    requests: Counter
    seconds: Histogram
    rows: Counter

    def count(self, route: str, status: int, seconds: float, rows: int) -> None:
        """Count one request."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        if rows:
            self.rows.labels(route).inc(rows)


@lru_cache(maxsize=1)
def api_numbers() -> ApiNumbers:
    """Return the numbers of the REST API of this process."""
    return ApiNumbers(
        Counter("fink_api_requests", "Requests, by route and status.", ["route", "status"], registry=REGISTRY),
        Histogram(
            "fink_api_request_seconds", "Time of a request.", ["route"], buckets=REQUEST_SECONDS, registry=REGISTRY
        ),
        Counter("fink_api_rows", "Rows in answers.", ["route"], registry=REGISTRY),
    )


@dataclass(frozen=True)
class HBaseNumbers:
    """What was written to HBase.

    Parameters
    ----------
    rows, size, seconds : Counter
        Rows, their bytes, and the time their requests took, by table; requests run side by side.
    waits : Counter
        Times HBase was away when it was asked.
    """

    rows: Counter
    size: Counter
    seconds: Counter
    waits: Counter


@lru_cache(maxsize=1)
def hbase_numbers() -> HBaseNumbers:
    """Return the numbers of what this process writes to HBase."""
    return HBaseNumbers(
        Counter("fink_hbase_written_rows", "Rows written to HBase.", ["table"], registry=REGISTRY),
        Counter("fink_hbase_written_bytes", "Bytes written to HBase.", ["table"], registry=REGISTRY),
        Counter("fink_hbase_write_seconds", "Time of write requests.", ["table"], registry=REGISTRY),
        Counter("fink_hbase_waits", "Times HBase was away.", registry=REGISTRY),
    )


@dataclass(frozen=True)
class SendingNumbers:
    """What was handed to Kafka.

    Parameters
    ----------
    messages, size : Counter
        Messages and their bytes.
    waits : Counter
        Times Kafka was away when it was needed.
    """

    messages: Counter
    size: Counter
    waits: Counter


@lru_cache(maxsize=1)
def sending_numbers() -> SendingNumbers:
    """Return the numbers of what this process sends to Kafka."""
    return SendingNumbers(
        Counter("fink_sent_messages", "Messages handed to Kafka.", registry=REGISTRY),
        Counter("fink_sent_bytes", "Bytes of these messages.", registry=REGISTRY),
        Counter("fink_kafka_waits", "Times Kafka was away.", registry=REGISTRY),
    )


@dataclass(frozen=True)
class StreamNumbers:
    """What checkstream sees of the input topics.

    Parameters
    ----------
    arriving, read : Gauge
        Messages a second that come into the topics, and that checkstream reads.
    behind : Gauge
        Messages it has not read yet.
    """

    arriving: Gauge
    read: Gauge
    behind: Gauge

    def tell(self, arriving: float, read: float, behind: int) -> None:
        """Replace what was last seen."""
        self.arriving.set(arriving)
        self.read.set(read)
        self.behind.set(behind)


@lru_cache(maxsize=1)
def stream_numbers() -> StreamNumbers:
    """Return the numbers of the checkstream of this process."""
    return StreamNumbers(
        Gauge("fink_stream_arriving_messages_per_second", "Messages that come into the topics.", registry=REGISTRY),
        Gauge("fink_stream_read_messages_per_second", "Messages that checkstream reads.", registry=REGISTRY),
        Gauge("fink_stream_behind_messages", "Messages checkstream has not read yet.", registry=REGISTRY),
    )


@contextmanager
def collecting(collector: Collector) -> Iterator[None]:
    """Have the numbers of a collector told while the block lasts."""
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)
