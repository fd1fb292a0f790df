"""Sending, and reading back what was sent, where Kafka is slow, forgetful or refuses."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from fink_broker.config.model import Config, StorageConfig
from fink_broker.errors import DataError, ServiceError
from fink_broker.stream import sending
from fink_broker.stream.distribution import PLAN, Distribution, Plan
from fink_broker.stream.sending import Sender, find_ends, sent_since

OPTIONS = {"bootstrap.servers": "localhost:1"}


def message(offset: int | None) -> SimpleNamespace:
    return SimpleNamespace(topic=lambda: "t", partition=lambda: 3, offset=lambda: offset)


@pytest.fixture
def sender() -> Sender:
    return Sender(OPTIONS, "lz4", threading.Event())


def test_where_topics_end_is_learnt_from_deliveries(sender):
    sender._delivered(None, message(41))
    assert sender.ends == {"t": {3: 42}}
    # Kafka had it already and does not say where
    sender._delivered(None, message(None))
    sender._delivered(None, message(-1001))
    assert sender.ends == {"t": {3: 42}}


def test_nothing_more_is_sent_after_a_message_was_lost(sender):
    sender._delivered(KafkaError(KafkaError._MSG_TIMED_OUT), message(None))
    with pytest.raises(KafkaException, match="_MSG_TIMED_OUT"):
        sender.send("t", 0, b"", b"", [])
    with pytest.raises(KafkaException, match="_MSG_TIMED_OUT"):
        sender.flush()


def test_a_job_that_is_to_end_does_not_wait_for_a_kafka_that_is_away(monkeypatch):
    monkeypatch.setattr(sending, "STOP_SECONDS", 0.5)
    stop = threading.Event()
    sender = Sender(OPTIONS, "lz4", stop)
    sender.send("t", 0, b"k", b"v", [])
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(KafkaException, match="_TIMED_OUT"):
        sender.flush()


class Admin:
    """A Kafka that knows some topics and answers with offsets, or never."""

    def __init__(self, *looks: dict[str, int], answers: bool = True) -> None:
        self.looks, self.answers = list(looks), answers

    def __call__(self, options: dict) -> Admin:
        return self

    def list_topics(self, timeout: float):
        there = self.looks[0] if len(self.looks) == 1 else self.looks.pop(0)
        self.there = there
        return SimpleNamespace(topics={name: SimpleNamespace(partitions=[0]) for name in there})

    def list_offsets(self, asked: dict) -> dict:
        found = {}
        for place in asked:
            found[place] = Future()
            if self.answers:
                found[place].set_result(SimpleNamespace(offset=self.there[place.topic]))
        return found


def test_a_topic_kafka_does_not_know_yet_is_no_end(monkeypatch):
    monkeypatch.setattr(sending, "AdminClient", Admin({"a": 5}))
    assert find_ends(OPTIONS, ["a"]) == {"a": {0: 5}}
    with pytest.raises(KafkaException) as told:
        find_ends(OPTIONS, ["a", "b"])
    assert told.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert find_ends(OPTIONS, ["a", "b"], all_there=False) == {"a": {0: 5}}


def test_a_kafka_that_does_not_answer_is_trouble_that_passes(monkeypatch):
    monkeypatch.setattr(sending, "AdminClient", Admin({"a": 5}, answers=False))
    monkeypatch.setattr(sending, "ANSWER_SECONDS", 0.1)
    with pytest.raises(KafkaException) as told:
        find_ends(OPTIONS, ["a"])
    Distribution._must_pass(told.value.args[0])


def test_what_is_still_on_its_way_is_waited_for(monkeypatch):
    monkeypatch.setattr(sending, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(sending, "AdminClient", Admin({"a": 5}, {"a": 7}, {"a": 9}, {"a": 9}))
    seen = []
    monkeypatch.setattr(sending, "_read_back", lambda consumer, starts, ends: seen.append((starts, ends)) or {})
    low = SimpleNamespace(get_watermark_offsets=lambda place, timeout: (0, 9), close=lambda: None)
    monkeypatch.setattr(sending, "Consumer", lambda options: low)
    sent_since(OPTIONS, {"a": {0: 5}}, lambda _text: None)
    assert seen == [({("a", 0): 5}, {"a": {0: 9}})]


@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_what_time_does_not_mend_ends_the_job(code):
    with pytest.raises(ServiceError):
        Distribution._must_pass(KafkaError(code))


@pytest.mark.parametrize(
    "code", [KafkaError._ALL_BROKERS_DOWN, KafkaError._MSG_TIMED_OUT, KafkaError._FATAL, KafkaError._NOENT]
)
def test_what_may_pass_is_waited_out(code):
    Distribution._must_pass(KafkaError(code))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"inputs": ["a"]}', b'{"inputs": 3, "ends": {"t": 1}}'])
def test_a_damaged_plan_is_told(tmp_path, content):
    job = Distribution(Config(storage=StorageConfig(online=str(tmp_path), state=tmp_path / "state")))
    folder = tmp_path / "checkpoints" / "distribution"
    folder.mkdir(parents=True)
    assert job._read_plan() is None
    (folder / PLAN).write_bytes(content)
    with pytest.raises(DataError, match=r"plan\.json.*damaged"):
        job._read_plan()


def test_a_plan_is_read_back():
    plan = Plan(["a", "b"], {"t": {0: 5, 7: 9}})
    assert Plan.from_json(plan.to_json()) == plan
