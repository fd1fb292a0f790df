"""How soon an alert that has just been distributed can be read through the API: a Kafka client asks at once."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from archived import science_rows
from confluent_kafka import Consumer
from distributing import commit_by_hand, distributing

from fink_broker.config import Config
from fink_broker.config.model import ApiConfig, DistributionConfig, FiltersConfig, HBaseConfig, StorageConfig
from fink_broker.portal import service
from fink_broker.service.hbase import HBaseServer
from fink_broker.service.ports import free_port
from fink_broker.stream import archive

pytestmark = pytest.mark.integration

READABLE_SECONDS = 5.0
BATCHES, ALERTS = 6, 40


@pytest.fixture
def config(kafka: str, hbase_config: Config, hbase: HBaseServer, tmp_path: Path) -> Config:
    """Return a configuration of distribution, archive and API on our Kafka and HBase, with tables of its own."""
    ports = hbase_config.hbase.model_dump() | {"tables": f"fresh{uuid.uuid4().hex[:8]}"}
    return Config(
        storage=StorageConfig(online=str(tmp_path / "online"), state=tmp_path / "state"),
        distribution=DistributionConfig(servers=kafka, prefix=f"t{uuid.uuid4().hex[:6]}_", partitions=1),
        filters=FiltersConfig(file=str(tmp_path / "topics.toml"), sdss="none"),
        hbase=HBaseConfig(**ports),
        api=ApiConfig(port=free_port(), resolvers=["none"]),
    )


@contextmanager
def running(run: Callable[..., None], config: Config, ready: str) -> Iterator[None]:
    """Run a service while the block lasts, from when it says that it is ready."""
    stop, up = threading.Event(), threading.Event()

    def say(text: str) -> None:
        if text.startswith(ready):
            up.set()

    thread = threading.Thread(target=run, args=(config, stop, say))
    thread.start()
    try:
        assert up.wait(60)
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def first_message(consumer: Consumer, candids: set[int]) -> int:
    """Wait for a message of one of some alerts; return its candid."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            candid = int(dict(message.headers())["candid"])
            if candid in candids:
                return candid
    raise AssertionError("no message came")


def test_a_freshly_distributed_alert_is_readable_through_the_api(
    config: Config, shared_data: Path, kafka: str, record_property: Callable[[str, object], None]
) -> None:
    rows = science_rows(shared_data).slice(0, BATCHES * ALERTS)
    (Path(config.filters.file)).write_text(
        '[[topic]]\nname = "all"\nowner = "jane@example.org"\ndescription = "Every alert."\nversion = "1"\n'
        'rule = "magpsf > 0"\noutput = "thin"\n'
    )
    url = f"http://{config.api.host}:{config.api.port}/api/v1/objects"
    waits = []
    with (
        running(archive.run, config, "running"),
        running(service.run, config, "serving"),
        distributing(config) as (job, _),
        httpx.Client(timeout=30) as client,
    ):
        consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
                "topic.metadata.refresh.interval.ms": 500,
            }
        )
        consumer.subscribe([job.topic("all")])
        for number in range(BATCHES):
            batch: pa.Table = rows.slice(number * ALERTS, ALERTS)
            objects = dict(zip(batch["candid"].to_pylist(), batch["objectId"].to_pylist(), strict=True))
            commit_by_hand(job.science, f"batch-{number}", batch)
            candid = first_message(consumer, set(objects))
            arrived = time.monotonic()
            question = {"objectId": objects[candid], "columns": "i:candid"}
            while candid not in [row["i:candid"] for row in client.get(url, params=question).json()]:
                assert time.monotonic() - arrived < READABLE_SECONDS, f"{candid} cannot be read"
                time.sleep(0.02)
            waits.append(time.monotonic() - arrived)
        consumer.close()
    record_property("seconds", waits)
    print("seconds from the topic to the API:", [round(wait, 2) for wait in waits])
    assert max(waits) < READABLE_SECONDS
