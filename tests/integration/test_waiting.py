"""What Kafka holds and the raw table has not taken in."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer
from pipeline import create_topic

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.config.model import Config, KafkaConfig, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.monitor.waiting import messages_waiting

pytestmark = pytest.mark.integration


def waiting(servers, topic, folder, starting_offsets="earliest"):
    kafka = KafkaConfig(servers=servers, topic=topic, starting_offsets=starting_offsets)
    return messages_waiting(Config(kafka=kafka, storage=StorageConfig(online=str(folder))), {})


def take_in(folder, name, offsets):
    counts, now = {"in": 0, "out": 0}, time.time()
    commit = Commit(name, [], [], counts, started=now, committed=now, details={"offsets": offsets})
    AlertTable(Layout(str(folder)).table("raw")).log.write(commit)


def test_what_no_commit_has_taken_in_waits(kafka, tmp_path):
    topic = f"waiting_{time.time_ns()}"
    create_topic(kafka, topic, partitions=2)
    producer = Producer({"bootstrap.servers": kafka})
    for partition in (0, 0, 0, 1, 1):
        producer.produce(topic, b"message", partition=partition)
    assert producer.flush(60) == 0
    AlertTable(Layout(str(tmp_path)).table("raw")).create()

    assert waiting(kafka, topic, tmp_path) == 5
    assert waiting(kafka, topic, tmp_path, "latest") == 0
    assert waiting(kafka, "no_such_topic_.*", tmp_path) == 0
    take_in(tmp_path, "q-0", {topic: {"0": [None, 1]}})
    assert waiting(kafka, topic, tmp_path) == 4
    assert waiting(kafka, topic, tmp_path, "latest") == 2
    take_in(tmp_path, "q-1", {topic: {"0": [1, 3], "1": [None, 2]}})
    assert waiting(kafka, topic, tmp_path) == 0
    # a topic made anew, longer than what is left in it now
    take_in(tmp_path, "q-2", {topic: {"0": [0, 1]}})
    assert waiting(kafka, topic, tmp_path) == 2


def test_a_silent_kafka_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("fink_broker.monitor.waiting.ANSWER_SECONDS", 0.5)
    with pytest.raises(ServiceError, match=r"Kafka at 127\.0\.0\.1:9 does not answer"):
        waiting("127.0.0.1:9", "ztf", tmp_path)
