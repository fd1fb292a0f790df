"""A real query on a real Kafka is told of: Spark's progress, its Java process; and it is on Prometheus' page."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest
from pipeline import running, send, total, until
from prometheus_client.parser import text_string_to_metric_families

from fink_broker.metrics.beacon import Beacon
from fink_broker.metrics.sample import ServiceSample
from fink_broker.monitor.board.snapshot import Snapshot
from fink_broker.monitor.board.views import Status
from fink_broker.monitor.exposition import exposition
from fink_broker.service.state import Process, ServiceState
from fink_broker.stream.progress import progress_counted
from fink_broker.stream.stream2raw import Stream2Raw

pytestmark = pytest.mark.integration

ALERTS = 30


def number(sample: ServiceSample, name: str) -> float:
    """Return the sum of a number a service counts, 0 if it has not told of it."""
    families = text_string_to_metric_families(sample.metrics)
    return sum(entry.value for family in families for entry in family.samples if entry.name == name)


def test_a_job_tells_of_its_query(spark, kafka, topic, make_config, unpacked, tmp_path: Path) -> None:
    config = make_config(topic)
    job, process = Stream2Raw(config), psutil.Process()
    java = [Process.of(child) for child in process.children(recursive=True) if child.name() == "java"]
    state = ServiceState(
        "stream2raw", Process.of(process), time.time(), str(tmp_path / "log"), "", [], children=java, up=True
    )
    beacon = Beacon(config, lambda: state)
    before = beacon.sample()
    send(kafka, topic, unpacked("ztf_public_20231018")[:ALERTS])

    def grown(name: str) -> float:
        return number(beacon.sample(), name) - number(before, name)

    with progress_counted(spark, rows=True), running(job, config, spark):
        until(lambda: grown("fink_spark_input_rows_total") == ALERTS, "all is counted", 120)
        sample = beacon.sample()
    assert total(job.raw, "in") == ALERTS
    assert (sample.name, sample.pid, sample.up, sample.ended) == ("stream2raw", os.getpid(), True, None)
    assert sample.memory_mib > process.memory_info().rss / 2**20 + 200, "Java is counted"
    assert number(sample, "fink_spark_query_active") == 1
    assert grown("fink_spark_batches_total") == grown("fink_spark_batch_seconds_count") > 0
    assert grown("fink_spark_phase_seconds_total") > 0
    assert number(sample, "fink_spark_offsets_behind") == 0
    assert number(beacon.sample(), "fink_spark_query_active") == 0, "the query has ended"

    page = exposition(Snapshot(time.time(), "1.0", "ztf", Status("ok", "")), [sample]).decode()
    rows = number(sample, "fink_spark_input_rows_total")
    assert f'fink_spark_input_rows_total{{host="{sample.host}",service="stream2raw"}} {rows}' in page
