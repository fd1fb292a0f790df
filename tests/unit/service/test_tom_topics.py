"""Which topics the TOM follows, and how many alerts still wait for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.service.tom import topics

CONFIG = Config.model_validate({"tom": {"topics": ["sn_candidates", "vra", "sn_candidates"]}})
SN, VRA = "fink_sn_candidates_ztf", "fink_vra_ztf"

#: by topic and partition: the first offset there is, the next one to come, what is committed
Kafka = dict[tuple[str, int], tuple[int, int, int]]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    holds: Kafka = {}

    class Consumer:
        def __init__(self, options: dict[str, Any]) -> None:
            self.group = options["group.id"]

        def list_topics(self, topic: str | None = None, timeout: float = 0) -> SimpleNamespace:
            names = {name for name, _ in holds}
            found = {name: SimpleNamespace(partitions=[p for n, p in holds if n == name]) for name in names}
            return SimpleNamespace(topics=found)

        def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
            assert all(self.group == f"mine.{place.topic}" for place in places)
            return [TopicPartition(p.topic, p.partition, holds[p.topic, p.partition][2]) for p in places]

        def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
            return holds[place.topic, place.partition][:2]

        def close(self) -> None:
            """Nothing to close."""

    monkeypatch.setattr(topics, "Consumer", Consumer)
    return holds


def waiting(*names: str) -> int:
    return topics.waiting(CONFIG, {}, {name: f"mine.{name}" for name in names})


def test_filters_have_topics_each_once() -> None:
    assert topics.wanted(CONFIG) == [SN, VRA]


def test_only_topics_there_are_can_be_followed(kafka: Kafka) -> None:
    assert topics.existing(CONFIG, {}) == []
    kafka[VRA, 0] = kafka["fink_blazar_ztf", 0] = (0, 0, OFFSET_INVALID)
    assert topics.existing(CONFIG, {}) == [VRA]


def test_what_waits_is_counted_from_what_is_committed(kafka: Kafka) -> None:
    kafka[SN, 0] = (0, 10, 7)
    kafka[SN, 1] = (0, 5, OFFSET_INVALID)  # none committed: all wait
    kafka[SN, 2] = (4, 9, 2)  # some have expired
    kafka[VRA, 0] = (0, 3, 3)
    assert waiting(SN, VRA) == 3 + 5 + 5
    assert waiting(VRA) == 0


def test_a_topic_made_anew_does_not_count_against_others(kafka: Kafka) -> None:
    kafka[SN, 0] = (0, 1, 8)
    kafka[VRA, 0] = (0, 2, 0)
    assert waiting(SN, VRA) == 2


def test_a_kafka_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def list_topics(*_args: object, **_options: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    away = SimpleNamespace(list_topics=list_topics, close=lambda: None)
    monkeypatch.setattr(topics, "Consumer", lambda _options: away)
    with pytest.raises(ServiceError, match="does not answer"):
        topics.existing(CONFIG, {})
