"""Real Kafka and real Spark on the loopback, started once by the project's own code."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api import served_archive  # noqa: F401 - a fixture
from browser import browser, context, visit, web  # noqa: F401 - fixtures
from fink_client import FinkClient
from pipeline import create_topic
from rich.console import Console

from fink_broker.config.model import (
    Config,
    DistributionConfig,
    FiltersConfig,
    HBaseConfig,
    KafkaConfig,
    StorageConfig,
    StreamConfig,
)
from fink_broker.science.testing import offline_config
from fink_broker.service import java_parts
from fink_broker.service.hbase import HBaseServer
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.ports import free_port
from fink_broker.stream.session import open_session


@pytest.fixture(scope="session")
def kafka_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Return the configuration of a Kafka of our own, at ports nobody uses."""
    ports = KafkaConfig(embedded_port=free_port(), embedded_sasl_port=free_port())
    return Config(storage=StorageConfig(state=tmp_path_factory.mktemp("kafka")), kafka=ports)


@pytest.fixture(scope="session")
def kafka(kafka_config: Config) -> Iterator[str]:
    """Return host:port of a Kafka of our own, where nobody is asked for a password."""
    java_parts.ensure("kafka", Console(stderr=True))
    server = KafkaServer(kafka_config)
    server.start()
    server.wait_until_up(threading.Event())
    yield server.servers
    server.terminate()


@pytest.fixture(scope="session")
def hbase_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Return the configuration of an HBase of our own, at ports nobody uses; `hbase` runs it."""
    ports = HBaseConfig(embedded_port=free_port(), embedded_zookeeper_port=free_port(), embedded_heap_mib=512)
    return Config(storage=StorageConfig(state=tmp_path_factory.mktemp("hbase")), hbase=ports)


@pytest.fixture(scope="session")
def hbase(hbase_config: Config) -> Iterator[HBaseServer]:
    """Return an HBase of our own, up, shared by all tests of this run: each names tables of its own."""
    java_parts.ensure("hbase", Console(stderr=True))
    server = HBaseServer(hbase_config)
    server.start()
    server.wait_until_up(threading.Event())
    yield server
    server.terminate()


@pytest.fixture(scope="session")
def spark():
    """Return the Spark session all tests of this run share."""
    java_parts.ensure("spark", Console(stderr=True))
    session = open_session(Config(), "tests")
    yield session
    session.stop()


@pytest.fixture
def topic(kafka: str) -> str:
    """Return a fresh input topic of four partitions."""
    name = f"ztf_20240101_{uuid.uuid4().hex[:8]}"
    create_topic(kafka, name)
    return name


@pytest.fixture
def make_config(tmp_path: Path, kafka: str) -> Callable[..., Config]:
    """Return a function that configures jobs which read a topic and keep their tables below tmp_path."""

    def make(topic: str, *, folder: Path = tmp_path, kafka_keys=None, **stream) -> Config:
        return Config(
            storage=StorageConfig(online=str(folder / "online"), state=folder / "state"),
            kafka=KafkaConfig(servers=kafka, topic=topic, **(kafka_keys or {})),
            distribution=DistributionConfig(servers=kafka, prefix=f"t{uuid.uuid4().hex[:6]}_", partitions=3),
            crossmatch=offline_config().crossmatch,
            filters=FiltersConfig(sdss="none", file=str(folder / "topics.toml")),
            stream=StreamConfig(**{"trigger_seconds": 0.2, **stream}),
        )

    return make


@pytest.fixture
def new_client(tmp_path: Path):
    """Return a function that gives a client with an empty home."""

    def make(version: str, servers: str) -> FinkClient:
        group = uuid.uuid4().hex[:8]
        return FinkClient(version, tmp_path / f"home-{group}", servers, f"group-{group}")

    return make
