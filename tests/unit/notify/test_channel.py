"""One webhook at work, with a Kafka that is a list in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from unit.notify.far_end import KEY, TOPIC, Answer, FarEnd, headers, packet, until, webhook

from fink_broker.notify import channel as channel_module
from fink_broker.notify.channel import Channel, Timing
from fink_broker.notify.notice import Notice

TIMING = Timing(window=60.0, first_pause=0.02, longest_pause=0.1, connect=1.0, answer=0.5)


class FakeMessage:
    """A Kafka message of a topic with one partition."""

    def __init__(self, offset: int, number: int, *, value: bytes | None = None, age: float = 0.0) -> None:
        self._offset, self._number, self._value = offset, number, value
        self._time = (1, int((time.time() - age) * 1000))

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return KEY

    def value(self) -> bytes:
        return packet(self._number) if self._value is None else self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return headers(self._number)

    def timestamp(self) -> tuple[int, int]:
        return self._time


class FakeKafka:
    """Messages, and the offset that is committed; it outlives the intakes that read it."""

    def __init__(self) -> None:
        self.messages: list[FakeMessage] = []
        self.committed = 0
        self.takes_commits = True

    def send(self, numbers: Iterable[int], **keys: Any) -> None:
        for number in numbers:
            self.messages.append(FakeMessage(len(self.messages), number, **keys))

    def intake(self, *_: object) -> FakeIntake:
        return FakeIntake(self)


class FakeIntake:
    """Stands for `fink_broker.notify.intake.Intake`."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka, self.position = kafka, kafka.committed
        self.begun, self.missing, self.trouble = {TOPIC}, (), ""

    def refresh(self) -> None:
        """There is but one topic."""

    def read(self, most: int, seconds: float) -> list[FakeMessage]:
        found = self.kafka.messages[self.position : self.position + most]
        self.position += len(found)
        if not found:
            time.sleep(min(seconds, 0.01))
        return found

    def commit(self, waiting: Iterable[Notice], *, again: bool = False) -> bool:
        if self.kafka.takes_commits:
            self.kafka.committed = min([self.position, *(notice.offset for notice in waiting)])
        return self.kafka.takes_commits

    def lag(self) -> int:
        return len(self.kafka.messages) - self.position

    def close(self) -> None:
        """Nothing to leave."""


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    kafka = FakeKafka()
    monkeypatch.setattr(channel_module, "Intake", kafka.intake)
    return kafka


@pytest.fixture
def start(far_end: FarEnd, tmp_path: Path):
    """Return a function that starts a channel to the far end; it is stopped after the test."""
    channels = []

    def begin(timing: Timing = TIMING, **changes: Any) -> Channel:
        channels.append(Channel(webhook(**{"url": far_end.url} | changes), {}, tmp_path / "notify", timing))
        channels[-1].start()
        return channels[-1]

    yield begin
    for channel in channels:
        end(channel)


def end(channel: Channel) -> None:
    channel.stop.set()
    channel.join(10)
    assert not channel.is_alive()


def identities(numbers: Iterable[int]) -> list[str]:
    return [f"{TOPIC} {2_500_000_000_000_000_000 + number}" for number in numbers]


def refused(tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "notify" / "test.refused.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_alerts_are_posted_in_order_and_committed(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    kafka.send(range(20))
    channel = start()
    until(lambda: kafka.committed == 20, "all committed")
    assert far_end.told() == identities(range(20))
    assert channel.status.counters.posted == 20


def test_repeats_are_told_once(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    kafka.send([1, 2, 1, 3, 3])
    channel = start()
    until(lambda: kafka.committed == 5, "all committed")
    end(channel)
    kafka.send([2, 4])
    again = start()
    until(lambda: kafka.committed == 7, "all committed")
    assert far_end.told() == identities([1, 2, 3, 4])
    assert again.status.counters.repeats == 3


def test_a_burst_ends_in_a_summary(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    kafka.send(range(200))
    channel = start(Timing(window=1.0), per_minute=10)
    until(lambda: kafka.committed == 200, "all committed")
    assert [len(post["alerts"]) for post in far_end.accepted] == [1] * 9 + [191]
    assert sorted(far_end.told()) == sorted(identities(range(200)))
    assert (channel.status.counters.posted, channel.status.counters.summarised) == (9, 191)


def test_a_far_end_that_fails_at_random(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    faults = [Answer(500), Answer(429, headers={"Retry-After": "0"}), Answer(cut=True), Answer(), Answer(503)]
    far_end.behave = lambda number: faults[number * 7 % 5 if number % 3 else 3]
    kafka.send(range(60))
    channel = start()
    until(lambda: kafka.committed == 60, "all committed")
    assert sorted(far_end.told()) == sorted(identities(range(60))), "each once"
    assert channel.status.counters.retries == len(far_end.asked) - len(far_end.accepted) > 10


def test_nothing_is_committed_before_it_is_accepted(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    far_end.behave = lambda number: Answer(200 if number < 3 else 500)
    kafka.send(range(10))
    channel = start()
    until(lambda: channel.status.counters.retries > 3, "some failures")
    assert kafka.committed == 3
    assert "HTTP 500" in channel.status.counters.last_error
    end(channel)
    assert kafka.committed == 3
    far_end.behave = lambda _: Answer()
    start()
    until(lambda: kafka.committed == 10, "all committed")
    assert far_end.told() == identities(range(10)), "the restart lost nothing and told nothing twice"


def test_a_kill_between_answer_and_commit_tells_nothing_twice(
    start: Callable, far_end: FarEnd, kafka: FakeKafka
) -> None:
    kafka.takes_commits = False
    kafka.send(range(5))
    channel = start()
    until(lambda: channel.status.counters.posted == 5, "all posted")
    end(channel)
    assert kafka.committed == 0
    kafka.takes_commits = True
    start()
    until(lambda: kafka.committed == 5, "all committed")
    assert far_end.told() == identities(range(5))


def test_retry_after_is_honoured(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    far_end.behave = lambda number: Answer(429, headers={"Retry-After": "1"}) if number == 0 else Answer()
    kafka.send([1])
    start()
    until(lambda: kafka.committed == 1, "committed")
    assert far_end.asked[1][0] - far_end.asked[0][0] >= 1.0


def test_what_is_refused_is_set_aside(start: Callable, far_end: FarEnd, kafka: FakeKafka, tmp_path: Path) -> None:
    far_end.behave = lambda number: Answer(400, b"invalid_payload") if number == 1 else Answer()
    kafka.send(range(3))
    channel = start()
    until(lambda: kafka.committed == 3, "all committed")
    assert far_end.told() == identities([0, 2])
    (entry,) = refused(tmp_path)
    assert (entry["values"]["objectId"], entry["answer"]) == ("ZTF240000001", "HTTP 400: invalid_payload")
    assert (channel.status.counters.posted, channel.status.counters.refused) == (2, 1)


def test_a_message_that_cannot_be_read_is_set_aside(
    start: Callable, far_end: FarEnd, kafka: FakeKafka, tmp_path: Path
) -> None:
    kafka.send([1])
    kafka.send([2], value=b"\xff\xff")
    kafka.send([3])
    channel = start()
    until(lambda: kafka.committed == 3, "all committed")
    assert far_end.told() == identities([1, 3])
    (entry,) = refused(tmp_path)
    assert (entry["offset"], entry["headers"]["objectId"]) == (1, "ZTF240000002")
    assert channel.status.counters.unreadable == 1


def test_after_a_long_outage_old_alerts_are_one_summary(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    kafka.send(range(300), age=25 * 3600.0)
    kafka.send(range(300, 303))
    start()
    until(lambda: kafka.committed == 303, "all committed")
    assert [(post["kind"], post["count"]) for post in far_end.accepted] == [("late", 300)] + [("alert", 1)] * 3


def test_an_outage_ends_in_a_summary_of_what_came_meanwhile(start: Callable, far_end: FarEnd, kafka: FakeKafka) -> None:
    away = threading.Event()
    far_end.behave = lambda _: Answer(500) if not away.is_set() else Answer()
    kafka.send([0])
    channel = start(Timing(window=1.0, first_pause=0.02, longest_pause=0.1), per_minute=5)
    until(lambda: channel.status.counters.retries > 2, "some failures")
    kafka.send(range(1, 101))
    until(lambda: channel.status.counters.waiting == 101, "all read")
    away.set()
    until(lambda: kafka.committed == 101, "all committed")
    assert [post["count"] for post in far_end.accepted] == [1] * 4 + [97]
    assert sorted(far_end.told()) == sorted(identities(range(101)))


def test_memory_is_bounded_while_a_far_end_is_away(
    start: Callable, far_end: FarEnd, kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "MOST_WAITING", 50)
    far_end.behave = lambda _: Answer(500)
    kafka.send(range(120))
    channel = start(Timing(window=0.5, first_pause=0.02, longest_pause=0.1), per_minute=3)
    until(lambda: channel.status.counters.lag == 70, "as much is read as may be")
    time.sleep(0.2)
    assert channel.status.counters.waiting == 50
    far_end.behave = lambda _: Answer()
    until(lambda: kafka.committed == 120, "all committed")
    assert max(post["count"] for post in far_end.accepted) <= 50
    assert sorted(far_end.told()) == sorted(identities(range(120)))


def test_a_fault_of_our_own_is_told_without_the_address(
    start: Callable,
    kafka: FakeKafka,
    far_end: FarEnd,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"something with {far_end.url}")

    monkeypatch.setattr(channel_module, "body", fail)
    kafka.send([1])
    channel = start()
    channel.join(10)
    assert channel.crashed
    assert kafka.committed == 0
    assert "RuntimeError" in channel.status.counters.last_error
    assert "RuntimeError: something with" in caplog.text
    assert "verysecretword" not in caplog.text + json.dumps(channel.status.path.read_text())


def test_no_secret_in_logs_or_files_whatever_fails(
    start: Callable, far_end: FarEnd, kafka: FakeKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    echo = far_end.url.encode()
    answers = [Answer(500, echo), Answer(404, echo), Answer(cut=True), Answer(302, headers={"Location": far_end.url})]
    far_end.behave = lambda number: answers[number] if number < 4 else Answer(200, echo)
    kafka.send(range(4))
    start()
    until(lambda: kafka.committed == 4, "all committed")
    written = "".join(path.read_text() for path in (tmp_path / "notify").iterdir())
    assert "HTTP 404" in written
    assert not any(secret in written + caplog.text for secret in ("verysecretword", "T0SECRET", "B0SECRET"))
