"""What a reader has in hand when partitions are taken away, and which refusals are final; Kafka is a stand-in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from fink_skyportal.alerts import connection, reader
from fink_skyportal.alerts.connection import Connection, LoginRefused
from fink_skyportal.alerts.reader import AlertReader

TOPIC = "fink_sn_candidates_ztf"


class Message:
    """A message without content: what it says is not of interest here."""

    def __init__(self, partition: int, offset: int) -> None:
        self._place = TOPIC, partition, offset

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._place[2]

    def key(self) -> bytes:
        return b""

    def value(self) -> bytes:
        return b""


class Consumer:
    """Stands in for a consumer: gives messages in turn, and calls the functions among them."""

    def __init__(self, _settings: dict[str, Any]) -> None:
        self.incoming: list[Any] = []
        self.committed_offsets: list[TopicPartition] = []

    def subscribe(self, _topics: list[str], **told: Callable[..., None]) -> None:
        self.told = told

    def list_topics(self, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(topics={TOPIC: SimpleNamespace(error=None)})

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        self.committed_offsets += offsets
        return offsets

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return places

    def poll(self, timeout: float) -> Message | None:
        while self.incoming and callable(self.incoming[0]):
            self.incoming.pop(0)()
        return self.incoming.pop(0) if self.incoming else None

    def tell(self, what: str, *partitions: int) -> Callable[[], None]:
        return lambda: self.told[what](self, [TopicPartition(TOPIC, number) for number in partitions])


@pytest.mark.parametrize("how", ["on_revoke", "on_lost"])
def test_what_is_collected_of_a_partition_that_is_taken_away_is_left_to_whoever_has_it_now(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(reader, "Consumer", Consumer)
    alerts = AlertReader("kafka.test:9092", "group", [TOPIC], say=lambda _: None)
    consumer = alerts._consumer
    consumer.incoming = [
        consumer.tell("on_assign", 0, 1),
        Message(0, 5),
        Message(1, 7),
        consumer.tell(how, 0),
        Message(1, 8),
        consumer.tell("on_assign", 0),
        Message(0, 5),
    ]
    received = alerts.poll_many(10, 0.0)
    assert [(one.partition, one.offset) for one in received] == [(1, 7), (1, 8), (0, 5)]
    for one in received:
        alerts.done(one)
    alerts.commit()
    assert {(place.partition, place.offset) for place in consumer.committed_offsets} == {(0, 6), (1, 9)}


class Kafka:
    """Stands in for Kafka, which answers or does not."""

    def __init__(self) -> None:
        self.is_answering = False

    def list_topics(self, timeout: float) -> SimpleNamespace:
        if not self.is_answering:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics={TOPIC: SimpleNamespace(error=None)})


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that the test sets (s)."""
    clock = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


def refused(now: SimpleNamespace, *times: float) -> Connection:
    made = Connection("kafka.test:9092", "group", [TOPIC], "astro", stop=threading.Event(), say=lambda _: None)
    for now.seconds in times:
        made.check(Kafka(), now.seconds)
        made.note(KafkaError(KafkaError._AUTHENTICATION))
    return made


def test_a_login_that_is_refused_for_long_is_wrong(now: SimpleNamespace) -> None:
    with pytest.raises(LoginRefused, match="refuses the user astro: check user and password"):
        refused(now, 0.0, 1.0, 2.0, 3.5).check(Kafka(), now.seconds)


def test_refusals_while_kafka_starts_are_not_held_against_a_reader_that_was_busy(now: SimpleNamespace) -> None:
    kafka = Kafka()
    waiting = refused(now, 0.0, 0.1)
    now.seconds = 60.0
    waiting.check(kafka, now.seconds)  # away by now: nobody refuses anything
    kafka.is_answering = True
    waiting.check(kafka, now.seconds)
    waiting.note(KafkaError(KafkaError._AUTHENTICATION))
    now.seconds = 61.0
    waiting.check(kafka, now.seconds)
