"""Patience with Kafka: what passes is waited out, a refusal is said in one sentence."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from fink_broker.config.model import Config, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.stream import distribution, kafka_io
from fink_broker.stream.distribution import Distribution


class Admin:
    """Answers one creation of topics after the other with an error or None."""

    def __init__(self, *answers: int | None) -> None:
        self.answers, self.asked = list(answers), 0
        self.there: dict[str, int] = {}
        self.widened: dict[str, int] = {}

    def __call__(self, options: dict) -> Admin:
        return self

    def list_topics(self, timeout: float):
        topics = {name: SimpleNamespace(partitions=dict.fromkeys(range(n))) for name, n in self.there.items()}
        return SimpleNamespace(topics=topics)

    def create_partitions(self, wanted, operation_timeout: float) -> dict[str, Future]:
        self.widened = {new.topic: new.new_total_count for new in wanted}
        done: Future = Future()
        done.set_result(None)
        return dict.fromkeys(self.widened, done)

    def create_topics(self, wanted, operation_timeout: float) -> dict[str, Future]:
        self.asked += 1
        code, futures = self.answers.pop(0), {}
        for topic in wanted:
            futures[topic.topic] = Future()
            if code is None:
                futures[topic.topic].set_result(None)
            else:
                futures[topic.topic].set_exception(KafkaException(KafkaError(code)))
        return futures


def start(monkeypatch, tmp_path, admin: Admin) -> list[str]:
    """Run the distribution until its topics are there; return what it said."""
    monkeypatch.setattr(kafka_io, "AdminClient", admin)
    monkeypatch.setattr(distribution, "Sender", lambda *_: SimpleNamespace(look=lambda _topics: None))
    stop, said = threading.Event(), []
    monkeypatch.setattr(stop, "wait", lambda _seconds: stop.is_set())
    monkeypatch.setattr(Distribution, "_recover", lambda *_: stop.set())
    storage = StorageConfig(online=str(tmp_path), state=tmp_path / "state")
    Distribution(Config(storage=storage)).run(stop, said.append)
    return said


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError.NOT_CONTROLLER])
def test_a_kafka_that_is_slow_is_asked_again(monkeypatch, tmp_path, code):
    admin = Admin(code, None)
    said = start(monkeypatch, tmp_path, admin)
    assert admin.asked == 2
    assert said[-1] == "running"
    assert any(line.startswith("waiting for Kafka") for line in said)


def test_topics_another_has_just_created_are_fine(monkeypatch, tmp_path):
    said = start(monkeypatch, tmp_path, Admin(KafkaError.TOPIC_ALREADY_EXISTS))
    assert said[-1] == "running"


def test_a_refusal_is_said(monkeypatch, tmp_path):
    with pytest.raises(ServiceError, match=r"Kafka refused to create the topic fink_\w+_ztf"):
        start(monkeypatch, tmp_path, Admin(KafkaError.INVALID_REPLICATION_FACTOR))


def test_topics_with_too_few_partitions_get_more(monkeypatch, tmp_path):
    admin = Admin(None)
    admin.there = {"fink_vra_ztf": 1, "fink_unknowns_ztf": 99}
    start(monkeypatch, tmp_path, admin)
    assert admin.widened == {"fink_vra_ztf": Config().distribution.partitions}
