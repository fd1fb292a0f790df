"""Rate, summaries and pauses, with a clock of the test's own."""

from __future__ import annotations

import itertools
import random

import pytest
from unit.notify.far_end import notice

from fink_broker.notify.backoff import Backoff
from fink_broker.notify.pace import Pace
from fink_broker.notify.planner import GATHER_SECONDS, Planner

CLOCK = 1_700_000_000.0


def simulate(pace: Pace, arrivals: list[float], until: float, step: float = 0.25) -> list[tuple[float, int]]:
    """Return when there were posts, and of how many alerts."""
    posts, waiting, now, arrivals = [], 0, 0.0, sorted(arrivals)
    while now < until:
        while arrivals and arrivals[0] <= now:
            arrivals.pop(0)
            waiting += 1
        turn = pace.turn(now, waiting)
        if turn.post == "nothing":
            assert turn.wait > 0
            now += step
            continue
        number = 1 if turn.post == "one" else waiting
        posts.append((now, number))
        waiting -= number
        pace.note_post(now)
    assert waiting == 0, "nothing waits for ever"
    return posts


def most_in_a_minute(posts: list[tuple[float, int]]) -> int:
    return max(sum(1 for at, _ in posts if begin <= at < begin + 60) for begin, _ in posts)


def test_a_calm_topic_is_told_alert_by_alert() -> None:
    posts = simulate(Pace(30), [3.0 * n for n in range(100)], 400)
    assert [number for _, number in posts] == [1] * 100
    assert max(at - 3.0 * n for n, (at, _) in enumerate(posts)) < 0.5, "and at once"


def test_a_burst_is_told_in_singles_and_one_summary() -> None:
    posts = simulate(Pace(30), [0.0] * 200, 200)
    assert [number for _, number in posts] == [1] * 29 + [171]
    assert posts[-1][0] <= 61, "a minute later"


@pytest.mark.parametrize("per_minute", [1, 2, 3, 10, 30])
def test_the_rate_holds_whatever_comes(per_minute: int) -> None:
    chance = random.Random(per_minute)
    arrivals = [chance.uniform(0, 600) for _ in range(1500)] + [300.0] * 400
    posts = simulate(Pace(per_minute), arrivals, 900)
    assert sum(number for _, number in posts) == len(arrivals)
    assert most_in_a_minute(posts) <= per_minute


def test_a_flow_above_the_rate_has_about_one_summary_a_minute() -> None:
    posts = simulate(Pace(30), [n * 0.6 for n in range(1000)], 800)
    summaries = [at for at, number in posts if number > 1]
    assert all(later - at >= 60 for at, later in itertools.pairwise(summaries))
    assert len(summaries) >= 6


def test_a_gap_between_posts() -> None:
    posts = simulate(Pace(30, gap_seconds=1.0), [0.0] * 10, 30)
    assert all(later[0] - at[0] >= 1.0 for at, later in itertools.pairwise(posts))


def test_old_alerts_are_summarised_by_themselves() -> None:
    planner = Planner(Pace(30), stale_seconds=3600)
    waiting = [notice(n, sent=CLOCK - 7200) for n in range(5)] + [notice(9, sent=CLOCK)]
    assert planner.next(waiting, 0.0, CLOCK, more_to_come=True)[0] is None, "there may be more of them"
    post, _ = planner.next(waiting, 1.0, CLOCK, more_to_come=False)
    assert (post.kind, post.notices) == ("late", tuple(waiting[:5]))
    assert planner.next(waiting[5:], 2.0, CLOCK, more_to_come=True)[0].kind == "alert"
    planner.next(waiting, 3.0, CLOCK, more_to_come=True)
    late, _ = planner.next(waiting, 3.0 + GATHER_SECONDS, CLOCK, more_to_come=True)
    assert late.kind == "late", "on a topic that never rests they are told all the same"


def test_pauses_double_up_to_a_bound_and_are_spread() -> None:
    backoff = Backoff(1.0, 300.0, random.Random(3))
    pauses = [backoff.failed() for _ in range(40)]
    for number, pause in enumerate(pauses):
        whole = min(300.0, 2.0**number)
        assert whole / 2 <= pause <= whole
    assert len(set(pauses)) == 40
    backoff.succeeded()
    assert backoff.failed() <= 1.0


def test_what_the_far_end_asks_for_is_the_least() -> None:
    backoff = Backoff()
    assert backoff.failed(30.0) == 30.0
    assert Backoff(longest=10.0).failed(1e9) == 3600.0, "up to an hour"
    assert backoff.failed(0.0) >= 1.0
