import itertools
import re
import threading
import time

import pytest
from rich.console import Console

from fink_broker.config.model import Config, SimulatorConfig
from fink_broker.errors import ServiceError, UsageError
from fink_broker.simulate.pacing import FixedRate, OwnPace, Waiter, pace_of
from fink_broker.simulate.producer import Sender
from fink_broker.simulate.progress import SendingProgress
from fink_broker.simulate.replay import Replay
from fink_broker.simulate.topics import Topics

JD = 2460000.6
SECOND = 1 / 86400
NOWHERE = "127.0.0.1:9"  # the discard port: nobody listens


class FakeTime(threading.Event):
    """A clock that goes forward only by waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def wait(self, timeout=None) -> bool:
        self.now += timeout
        return self.is_set()

    def clock(self) -> float:
        return self.now


def times_sent(pace, jds, work: float = 0.0) -> list[float]:
    """Return the seconds after the first at which alerts are sent, each taking some work."""
    fake, sent = FakeTime(), []
    waiter = Waiter(pace, fake, lambda: None, fake.clock)
    for jd in jds:
        assert waiter.wait(jd)
        sent.append(fake.now - 100.0)
        fake.now += work
    return sent


def test_a_fixed_rate_is_even_and_makes_up_for_the_time_sending_takes():
    assert times_sent(FixedRate(4), [JD] * 9, work=0.1) == pytest.approx([n / 4 for n in range(9)])


def test_after_an_interruption_it_does_not_burst():
    fake = FakeTime()
    waiter = Waiter(FixedRate(10), fake, lambda: None, fake.clock)
    assert waiter.wait(JD)
    fake.now += 60  # Kafka was away
    before = fake.now
    for _ in range(30):
        waiter.wait(JD)
    assert fake.now - before == pytest.approx(1.9)  # a second's worth is made up for, not a minute's


def test_no_rate_is_no_wait():
    assert times_sent(FixedRate(0), [JD] * 100) == [0.0] * 100


def test_the_nights_own_pace_is_sped_up_and_days_between_are_left_out():
    jds = [JD + 30 * n * SECOND for n in (0, 1, 2, 1)] + [JD + 5, JD + 5 + 30 * SECOND]
    assert times_sent(OwnPace(3), jds) == pytest.approx([0, 10, 20, 20, 20, 30], abs=1e-3)


def test_the_configuration_chooses_the_pace():
    assert isinstance(pace_of(SimulatorConfig(pace="night")), OwnPace)
    assert isinstance(pace_of(SimulatorConfig(rate=3)), FixedRate)


def test_while_waiting_other_work_is_done_and_a_stop_ends_it():
    fake, calls = FakeTime(), itertools.count()
    waiter = Waiter(FixedRate(0.01), fake, lambda: next(calls), fake.clock)
    assert waiter.wait(JD)
    assert waiter.wait(JD)
    assert next(calls) > 900
    fake.set()
    assert not waiter.wait(JD)
    assert fake.now - 100 < 101


def mock_sender(stop=None, said=None, **options) -> Sender:
    """Return a sender to a Kafka that the client library plays itself."""
    say = (said if said is not None else []).append
    return Sender(
        "",
        stop or threading.Event(),
        say,
        options={"test.mock.num.brokers": 1, "allow.auto.create.topics": True, **options},
    )


def test_packets_are_counted_when_kafka_has_them():
    sender = mock_sender(**{"queue.buffering.max.messages": 10})  # so that room has to be waited for
    for number in range(200):
        assert sender.send(f"t{number % 2}", bytes(1000))
    sender.finish()
    assert (sender.delivered, sender.bytes, sender.failed.total(), sender.waiting) == (200, 200_000, 0, 0)
    assert sender.topics == {"t0": 100, "t1": 100}


def test_a_packet_too_large_is_a_failure_of_its_own():
    sender = mock_sender(**{"message.max.bytes": 5000})
    for size in (10, 10_000, 10):
        assert sender.send("t", bytes(size))
    sender.finish()
    assert sender.delivered == 2
    assert list(sender.failed.values()) == [1]
    assert "too large" in next(iter(sender.failed))


def test_what_kafka_has_not_taken_is_given_up_some_seconds_after_a_stop(monkeypatch):
    monkeypatch.setattr("fink_broker.simulate.producer.STOP_SECONDS", 0.3)
    stop, said = threading.Event(), []
    sender = Sender(NOWHERE, stop, said.append)
    for _ in range(5):
        assert sender.send("t", b"packet")
    stop.set()
    began = time.monotonic()
    sender.finish()
    assert time.monotonic() - began < 3
    assert (sender.delivered, sender.given_up, sender.failed.total()) == (0, 5, 0)
    assert not sender.send("t", b"packet")
    assert len(said) == 1
    assert re.fullmatch(rf"waiting for Kafka at {re.escape(NOWHERE)}: [1-5] alerts are in the queue", said[0])


def test_a_full_queue_does_not_keep_it_from_stopping():
    stop = threading.Event()
    sender = Sender(NOWHERE, stop, lambda _text: None, options={"queue.buffering.max.messages": 1})
    assert sender.send("t", b"packet")
    threading.Timer(0.3, stop.set).start()
    assert not sender.send("t", b"packet")


def test_an_absent_kafka_is_waited_for_until_told_to_stop():
    stop, said = threading.Event(), []
    config = Config(simulator=SimulatorConfig(servers=NOWHERE, source="synthetic", limit=3))
    threading.Timer(2.5, stop.set).start()
    with SendingProgress(said.append) as progress:
        Replay(config, stop, progress).run()
    assert said == [f"waiting for Kafka at {NOWHERE}"]


def test_a_pattern_is_no_topic_to_write_to():
    topics = Topics(NOWHERE, 1, threading.Event(), lambda _text: None)
    with pytest.raises(UsageError, match="cannot be the name of a topic"):
        topics.ensure(r"ztf_\d{8}")


def test_a_fatal_error_of_the_connection_ends_the_run():
    class Fatal:
        def fatal(self) -> bool:
            return True

        def code(self) -> int:
            return 0

        def str(self) -> str:
            return "out of order"

    sender = mock_sender()
    sender._on_error(Fatal())
    with pytest.raises(ServiceError, match="out of order"):
        sender.send("t", b"packet")


def test_a_log_gets_a_line_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("fink_broker.simulate.progress.time.monotonic", lambda: now[0])
    said: list[str] = []
    with SendingProgress(said.append) as progress:
        for second in range(11):
            now[0] = float(second)
            progress.show(second * 1000, 20_000)
    assert said == ["sent 5,000 of 20,000 alerts, 1000/s", "sent 10,000 of 20,000 alerts, 1000/s"]


def test_a_terminal_gets_a_bar_that_makes_way_for_lines():
    said: list[str] = []
    console = Console(force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with console.capture() as capture, SendingProgress(said.append, console) as progress:
        time.sleep(0.15)
        progress.show(7, 10)
        progress.say("a line")
    assert said == ["a line"]
    assert "7/10" in capture.get()
