"""The pace of requests, on a clock of the test's own."""

from __future__ import annotations

import random
import threading

import pytest
from fink_skyportal import pace as pace_module
from fink_skyportal.pace import Pace
from skyportal_rules.faults import Limit

#: requests a second of a pace of 5: a little less, as clocks differ
RATE = 4.9


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
    """Take turns, each answered at once, and return when they were, in seconds after the first."""
    stop, leave = Waits(clock), Waits(clock)
    times = []
    for _ in range(count):
        assert pace.take(stop, leave)
        pace.answered()
        times.append(clock.now)
    return [time - times[0] for time in times]


def test_rate_from_the_start_as_an_earlier_run_may_have_used_up_the_burst(clock: Clock) -> None:
    pace, started = Pace(5.0, 10), clock.now
    times = turns(pace, clock, 50)
    assert times == pytest.approx([number / RATE for number in range(50)])
    assert clock.now - started == pytest.approx(50 / RATE)


def test_rest_gives_a_burst_and_no_more(clock: Clock) -> None:
    pace = Pace(5.0, 10)
    turns(pace, clock, 3)
    clock.now += 3600
    times = turns(pace, clock, 12)
    assert times[9] == 0.0
    assert times[10:] == pytest.approx([1 / RATE, 2 / RATE])


@pytest.mark.parametrize("seed", range(5))
def test_however_long_requests_are_under_way_skyportal_never_has_too_many(clock: Clock, seed: int) -> None:
    """Requests arrive at any time between sending and answer, in any order, after rests of any length."""
    chance = random.Random(seed)
    limit = Limit(clock=lambda: clock.now)
    pace = Pace(5.0, 10)
    under_way: list[list[float]] = []  # times of arrival and answer
    arrived = 0
    while arrived < 500:
        clock.now += chance.choice([0.01, 0.01, 0.1, 3.0])
        while len(under_way) < 8 and not pace._try():
            arrives = chance.uniform(0, 2)
            under_way.append([clock.now + arrives, clock.now + arrives + chance.uniform(0, 2)])
        now = clock.now
        for request in sorted(under_way):
            if request[0] <= now:
                clock.now, request[0] = request[0], float("inf")
                arrived += 1
                assert limit.allows("token"), arrived
        clock.now = now
        for _ in [request for request in under_way if request[1] <= now]:
            pace.answered()
        under_way = [request for request in under_way if request[1] > now]


def test_unlimited(clock: Clock) -> None:
    assert turns(Pace(None), clock, 1000)[-1] == 0.0


def test_too_many_halves_the_rate_and_good_answers_bring_it_back(clock: Clock) -> None:
    pace = Pace(5.0, 10)
    pace.slow_down()
    assert turns(pace, clock, 3) == pytest.approx([0.0, 2 / RATE, 4 / RATE])
    for _ in range(50):
        pace.went_well()
    assert turns(pace, clock, 3) == pytest.approx([0.0, 1 / RATE, 2 / RATE])


def test_it_never_stands_still(clock: Clock) -> None:
    pace = Pace(5.0, 10)
    for _ in range(20):
        pace.slow_down()
    assert turns(pace, clock, 2)[1] == pytest.approx(10 / RATE)


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
    assert turns(pace, clock, 2)[1] == pytest.approx(2 / RATE)


def test_long_pause_ends_with_stop_and_short_one_does_not(clock: Clock) -> None:
    stop, leave = Waits(clock), Waits(clock)
    stop.set()
    pace = Pace(5.0, 1)
    for _ in range(2):
        assert pace.take(stop, leave)
        pace.answered()
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
            pace.answered()
            taken.append(1)
            if len(taken) >= 100:
                leave.set()

    threads = [threading.Thread(target=take) for _ in range(8)]
    started = pace_module.time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pace_module.time.monotonic() - started >= (len(taken) - 8) / 1000.0
