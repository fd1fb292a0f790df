"""How far the broker is behind the end of Kafka's topics."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from board_night import NOW, PARTITIONS, TOPIC, MadeUpNight

from fink_broker.config.model import Config, KafkaConfig
from fink_broker.errors import ServiceError
from fink_broker.monitor.board import lag
from fink_broker.monitor.board.lag import LagWatcher, lag_view, made_anew, read_ends


def test_lag_is_what_no_batch_has_taken_in(night: MadeUpNight, make_board) -> None:
    night.step(NOW)
    board = make_board()
    board.look()
    taken = board._reader.ledger.taken
    assert taken == {(TOPIC, part): 6 for part in range(PARTITIONS)}
    ends = {(TOPIC, 0): (0, 10), (TOPIC, 1): (8, 10), ("other", 0): (2, 5)}
    assert [each.waiting for each in lag_view(ends, taken, NOW, whole=True).partitions] == [3, 4, 2]
    assert lag_view(ends, taken, NOW, whole=False).total == 6
    assert lag_view({}, taken, NOW, whole=True).text == "No input topic is there yet."


def test_of_very_many_partitions_those_with_most_waiting_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "MOST_PARTITIONS", 2)
    ends = {(f"ztf_{night}", 0): (0, 100) for night in range(20260101, 20260109)}
    taken = dict.fromkeys(ends, 100) | {("ztf_20260107", 0): 70, ("ztf_20260108", 0): 10}
    view = lag_view(ends, taken, NOW, whole=True)
    told = [(each.topic, each.waiting) for each in view.partitions]
    assert told == [("ztf_20260107", 30), ("ztf_20260108", 90)]
    assert (view.total, view.count) == (120, 8)


def test_a_topic_made_anew_waits_whole_until_its_first_batch() -> None:
    place = (TOPIC, 0)
    for whole in (True, False):
        ends = {place: (0, 100)}
        anew = made_anew(ends, {place: 5000})
        assert lag_view(ends, {place: 5000}, NOW, whole=whole, anew=anew).total == 100
        assert lag_view(ends, {place: 60}, NOW, whole=whole, anew=anew).total == 40


def test_what_was_taken_in_since_kafka_was_asked_makes_no_topic_anew() -> None:
    watcher = LagWatcher(Config(kafka=KafkaConfig(servers="127.0.0.1:1")), {})
    place = (TOPIC, 0)
    watcher._ends, watcher._taken_before, watcher._asked = {place: (0, 100)}, {place: 90}, NOW
    assert watcher.view({place: 130}, NOW + 2).total == 0
    watcher._taken_before = {place: 5000}
    assert watcher.view({place: 5000}, NOW + 2).total == 100


class _Kafka:
    """A Kafka that knows of one partition and tells nothing of it."""

    def __init__(self) -> None:
        self.topics = {TOPIC: SimpleNamespace(partitions={0: None})}

    def list_topics(self, timeout: float) -> _Kafka:
        return self

    def get_watermark_offsets(self, place: object, timeout: float) -> None:
        return None


def test_what_kafka_does_not_tell_is_not_taken_for_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceError, match=r"did not tell in time how far ztf_20261120_programid1 \[0\] reaches"):
        read_ends(_Kafka(), "ztf_.*")  # type: ignore[arg-type]
    watcher = LagWatcher(Config(kafka=KafkaConfig(servers="127.0.0.1:1")), {})
    assert watcher.view({}, NOW).state == "asking"
    watcher._ends, watcher._asked = {(TOPIC, 0): (0, 5)}, NOW
    assert (watcher.view({}, NOW + 50).state, watcher.view({}, NOW + 50).total) == ("known", 5)
    late = watcher.view({}, NOW + 61)
    assert (late.state, late.text) == ("unknown", "Kafka at 127.0.0.1:1 takes long to answer.")
