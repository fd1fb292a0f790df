"""What the board keeps of the past: the last seconds, minutes, hours and nights."""

from __future__ import annotations

import itertools

import pytest
from board_night import NIGHT, NOW, Clock, made

from fink_broker.monitor.board.history import History
from fink_broker.monitor.board.slots import Slots


def test_slots_count_the_last_seconds_and_forget_the_rest() -> None:
    clock = Clock()
    slots = Slots(clock)
    for back in range(7200, 0, -10):
        slots.add(clock.now - back, ("raw", "in"), 50)
    assert slots.totals(60.0)["raw", "in"] == pytest.approx(300, abs=50)
    assert slots.totals(3600.0)["raw", "in"] == pytest.approx(360 * 50, abs=100)
    assert slots.series(("raw", "in"), 600.0, 10.0) == tuple([5.0] * 60)
    clock.now += 3600
    slots.forget_old()
    assert len(slots._slots) <= 1
    assert slots.totals(60.0)["raw", "in"] == 0


def test_slots_take_what_comes_late_and_what_a_clock_puts_ahead() -> None:
    clock = Clock()
    slots = Slots(clock)
    slots.add(NOW - 2, ("raw", "in"), 1)
    for back in range(300, 0, -10):
        slots.add(NOW - back, ("topics", "in"), 10)
    slots.add(NOW + 1800, ("science", "in"), 7)
    assert slots.totals(600.0)["topics", "in"] == 300
    assert slots.totals(60.0)["topics", "in"] <= 70
    assert slots.totals(10.0)["science", "in"] == 7
    clock.now += 60
    assert slots.totals(10.0)["science", "in"] == 0


def test_no_alert_is_lost_between_hours_and_minutes() -> None:
    history = History()
    for minute in range(4 * 1440):
        moment = NOW - 60.0 * minute - 60
        history.add("raw", made(f"r-{minute}", [], {"in": 6, "out": 6}, moment, moment))
    rows = history.rows(NOW)
    assert sum(span.alerts["raw"] for _, span, _ in rows) == 6 * 4 * 1440
    assert [row for row in rows[1:-1] if not row[1].alerts["raw"]] == []
    assert all(begin + seconds == later for (begin, _, seconds), (later, *_) in itertools.pairwise(rows))


def test_a_night_that_was_counted_as_a_whole_is_not_added() -> None:
    def archived(name: str, alerts: int, **more: bool):
        told = {NIGHT: {"numbers": {"sci": alerts}, **more}}
        return made(name, [], {"in": alerts, "out": alerts}, NOW, NOW, nights=told)

    history = History()
    for commit in (archived("a-0", 10), archived("a-1", 10), archived("a-2", 30, whole=True), archived("a-3", 1)):
        history.add("archived", commit)
    assert history.nights()[0].archived == 31


def test_history_keeps_minutes_then_hours() -> None:
    history = History()
    for back in (10 * 86400, 4000, 60):
        history.add("raw", made(f"r-{back}", [], {"in": 600, "out": 600}, NOW - back - 30, NOW - back))
    history._minutes = {minute: span for minute, span in history._minutes.items() if minute > (NOW - 86400) // 60}
    rows = history.rows(NOW)
    assert [begin for begin, *_ in rows] == sorted(begin for begin, *_ in rows)
    assert sum(span.alerts["raw"] for _, span, _ in rows) == 1800
    assert {seconds for _, span, seconds in rows if span.alerts["raw"]} == {60, 3600}
    assert history.alerts_since(NOW - 86400) == 1200
    assert history.nights()[0].raw == 1800
    assert [round(rate, 1) for _, _, rate in history.batches()] == [20.0, 20.0, 20.0]
