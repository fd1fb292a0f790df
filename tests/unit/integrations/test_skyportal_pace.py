"""The pace of requests, on a clock of the test's own."""

from __future__ import annotations

import threading

import pytest
from fink_skyportal import pace as pace_module
from fink_skyportal.pace import Pace


class Clock:
    """A clock that only waits move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Waits(threading.Event):
    """An event whose waits move the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.now += timeout or 0.0
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pace_module, "time", made)
    return made


def turns(pace: Pace, clock: Clock, count: int) -> list[float]:
    """Take turns and return when they were, in seconds after the first."""
    stop, leave = Waits(clock), Waits(clock)
    times = []
    for _ in range(count):
        assert pace.take(stop, leave)
        times.append(clock.now)
    return [time - times[0] for time in times]


def test_burst_then_rate(clock: Clock) -> None:
    times = turns(Pace(5.0, 10), clock, 30)
    assert times[:10] == [0.0] * 10
    assert times[10:] == pytest.approx([0.2 * number for number in range(1, 21)])


def test_rest_gives_the_burst_back_and_no_more(clock: Clock) -> None:
    pace = Pace(5.0, 10)
    turns(pace, clock, 30)
    clock.now += 3600
    times = turns(pace, clock, 12)
    assert times[9] == 0.0
    assert times[10:] == pytest.approx([0.2, 0.4])


def test_unlimited(clock: Clock) -> None:
    assert turns(Pace(None), clock, 1000)[-1] == 0.0


def test_too_many_halves_the_rate_and_good_answers_bring_it_back(clock: Clock) -> None:
    pace = Pace(5.0, 10)
    pace.slow_down()
    assert turns(pace, clock, 3) == pytest.approx([0.0, 0.4, 0.8])
    for _ in range(50):
        pace.went_well()
    assert turns(pace, clock, 3) == pytest.approx([0.0, 0.2, 0.4])


def test_it_never_stands_still(clock: Clock) -> None:
    pace = Pace(5.0, 10)
    for _ in range(20):
        pace.slow_down()
    assert turns(pace, clock, 2)[1] == pytest.approx(2.0)


@pytest.mark.parametrize("rate", [5.0, None])
def test_asked_pause_holds_for_all(clock: Clock, rate: float | None) -> None:
    pace = Pace(rate, 10)
    pace.slow_down(3.0)
    started = clock.now
    turns(pace, clock, 1)
    assert clock.now - started >= 3.0


def test_answers_to_requests_under_way_at_the_same_time_count_once(clock: Clock) -> None:
    pace = Pace(5.0, 10)
    for _ in range(8):
        pace.slow_down(1.0)
    clock.now += 1.0
    assert turns(pace, clock, 2)[1] == pytest.approx(0.4)


def test_long_pause_ends_with_stop_and_short_one_does_not(clock: Clock) -> None:
    stop, leave = Waits(clock), Waits(clock)
    stop.set()
    pace = Pace(5.0, 1)
    assert pace.take(stop, leave)
    assert pace.take(stop, leave)
    pace.slow_down(3600.0)
    assert not pace.take(stop, leave)


def test_nothing_is_sent_after_leave(clock: Clock) -> None:
    stop, leave = Waits(clock), Waits(clock)
    leave.set()
    assert not Pace(None).take(stop, leave)


def test_threads_share_it() -> None:
    pace, taken = Pace(1000.0, 5), []
    stop, leave = threading.Event(), threading.Event()

    def take() -> None:
        while pace.take(stop, leave):
            taken.append(1)
            if len(taken) >= 100:
                leave.set()

    threads = [threading.Thread(target=take) for _ in range(8)]
    started = pace_module.time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pace_module.time.monotonic() - started >= (len(taken) - 5 - 8) / 1000.0
