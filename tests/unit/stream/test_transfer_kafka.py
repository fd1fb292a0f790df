"""The topics of a transfer while Kafka is not sure of them yet."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from fink_broker.config.model import Config, DistributionConfig
from fink_broker.errors import ServiceError
from fink_broker.stream import kafka_io
from fink_broker.stream.transfer import kafka
from fink_broker.stream.transfer.kafka import TransferTopics


class Admin:
    """Answers a look for the ends of a topic as told, one answer after the other: an error, None (never), an offset."""

    def __init__(self, *answers: KafkaError | int | None) -> None:
        self.answers = list(answers)

    def __call__(self, options: dict) -> "Admin":
        return self

    def list_topics(self, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(topics={})

    def list_offsets(self, asked: dict, request_timeout: float) -> dict[object, Future]:
        answer, found = self.answers.pop(0), {}
        for place in asked:
            found[place] = Future()
            if isinstance(answer, KafkaError):
                found[place].set_exception(KafkaException(answer))
            elif answer is not None:
                found[place].set_result(SimpleNamespace(offset=answer))
        return found


def ends(monkeypatch: pytest.MonkeyPatch, *answers: KafkaError | int | None) -> list[int]:
    admin = Admin(*answers)
    monkeypatch.setattr(kafka, "AdminClient", admin)
    monkeypatch.setattr(kafka_io, "AdminClient", admin)
    config = Config(distribution=DistributionConfig(servers="127.0.0.1:1"))
    return TransferTopics(config, threading.Event(), print).ends("ftransfer_x", 2)


@pytest.mark.parametrize(
    "code", [KafkaError._NOENT, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART], ids=str
)
def test_a_topic_without_leaders_is_asked_again(monkeypatch, code):
    assert ends(monkeypatch, 0, KafkaError(code), 7) == [7, 7]


def test_an_answer_that_does_not_come_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(kafka, "_ANSWER_SECONDS", 0.05)
    assert ends(monkeypatch, 0, None, 7) == [7, 7]


def test_a_refusal_is_told(monkeypatch):
    with pytest.raises(ServiceError, match="Kafka refuses"):
        ends(monkeypatch, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
