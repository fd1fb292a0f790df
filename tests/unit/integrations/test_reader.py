"""How far a partition may be committed, and settings a reader refuses; real Kafka is in the integration tests."""

from __future__ import annotations

import itertools
import random

import pytest
from fink_skyportal.alerts.progress import Progress
from fink_skyportal.alerts.reader import AlertReader, ReaderError, Received

PLACE = ("fink_sn_candidates_ztf", 0)
OTHER = ("fink_sn_candidates_ztf", 1)


def reading(*offsets: int) -> Progress:
    progress = Progress()
    progress.begin([PLACE, OTHER], {})
    assert all(progress.hand_out(PLACE, offset) for offset in offsets)
    return progress


def test_only_what_is_done_without_a_gap_may_be_committed() -> None:
    progress = reading(5, 6, 8)  # offsets of a topic need not be without gaps
    assert progress.due() == {}
    progress.done(PLACE, 6)
    assert progress.due() == {}
    progress.done(PLACE, 5)
    assert progress.due() == {PLACE: 7}
    progress.done(PLACE, 8)
    assert progress.due() == {PLACE: 9}


def test_in_any_order_of_doing_nothing_unfinished_is_passed_over() -> None:
    for order in itertools.permutations(range(5)):
        progress, done = reading(*range(5)), set()
        for offset in order:
            progress.done(PLACE, offset)
            done.add(offset)
            upto = next(number for number in range(6) if number not in done)
            assert progress.due() == ({PLACE: upto} if upto else {})


def test_what_is_committed_is_not_due_again() -> None:
    progress = reading(0, 1)
    progress.done(PLACE, 0)
    progress.committed(PLACE, 1)
    assert progress.due() == {}
    progress.done(PLACE, 1)
    assert progress.due() == {PLACE: 2}
    assert progress.due([OTHER]) == {}


def test_a_message_of_a_partition_that_is_gone_is_not_handed_out() -> None:
    progress = reading(0)
    progress.lose([PLACE])
    assert not progress.hand_out(PLACE, 1)
    progress.done(PLACE, 0)
    assert progress.due() == {}


def test_unknown_messages_are_ignored() -> None:
    progress = reading(0)
    progress.done(PLACE, 7)
    progress.done(("fink_vra_ztf", 0), 0)
    assert progress.due() == {}


def test_a_topic_made_anew_begins_anew() -> None:
    progress = reading(8, 9)
    progress.done(PLACE, 8)
    assert progress.hand_out(PLACE, 0)
    progress.done(PLACE, 9)
    assert progress.due() == {}
    progress.done(PLACE, 0)
    assert progress.due() == {PLACE: 1}


@pytest.mark.parametrize(
    ("committed", "further"),
    [(5, 7), (6, 7), (7, None), (9, None), (3, None), (None, 7)],
    ids=["nobody went on", "a commit came through", "all of it", "another read on", "set back", "never committed"],
)
def test_a_partition_that_comes_back_goes_on_where_it_was_unless_another_read_on(
    committed: int | None, further: int | None
) -> None:
    progress = reading(5, 6, 7)
    for offset in (5, 6):
        progress.done(PLACE, offset)
    progress.lose([PLACE, OTHER])
    assert progress.unsure([PLACE, OTHER]) == [PLACE]
    assert progress.begin([PLACE, OTHER], {PLACE: committed}) == ({} if further is None else {PLACE: further})
    assert progress.due() == ({} if further is None else {PLACE: 7})


def test_what_was_committed_of_a_topic_that_is_unknown_now_does_not_count() -> None:
    progress = reading(5, 6)
    progress.done(PLACE, 5)
    progress.committed(PLACE, 6)
    progress.done(PLACE, 6)
    progress.lose([PLACE])
    assert progress.begin([PLACE], {PLACE: None}) == {}


def test_an_alert_in_hand_while_its_partition_is_away_counts_when_it_comes_back() -> None:
    progress = reading(5, 6)
    progress.done(PLACE, 5)
    progress.lose([PLACE])
    progress.done(PLACE, 6)
    assert progress.begin([PLACE], {PLACE: 5}) == {PLACE: 7}


def test_random_histories_lose_nothing() -> None:
    """Whatever is taken away and given back when: what is before a commit was done."""
    choose = random.Random(1)
    for _ in range(200):
        progress, done, position, committed = Progress(), set(), 0, None
        progress.begin([PLACE], {})
        for _ in range(60):
            step = choose.choice(["read", "read", "done", "done", "commit", "fail", "lose"])
            if step == "read" and progress.hand_out(PLACE, position):
                position += 1
            elif step == "done" and position:
                offset = choose.randrange(position)
                done.add(offset)
                progress.done(PLACE, offset)
            elif step == "commit" and PLACE in (due := progress.due()):
                committed = due[PLACE]
                progress.committed(PLACE, committed)
                assert set(range(committed)) <= done
            elif step == "lose":
                progress.lose([PLACE])
                asked = {place: committed for place in progress.unsure([PLACE])}
                position = progress.begin([PLACE], asked).get(PLACE, committed or 0)
                assert set(range(position)) <= done


@pytest.mark.parametrize(("servers", "group", "topics"), [("", "g", ["t"]), ("h:1", "", ["t"]), ("h:1", "g", [])])
def test_what_is_missing_is_told(servers: str, group: str, topics: list[str]) -> None:
    with pytest.raises(ReaderError, match="must be given"):
        AlertReader(servers, group, topics)


def test_no_text_shows_password_or_alert() -> None:
    with AlertReader("127.0.0.1:9", "g", ["t"], "astro", "a-password", say=lambda _: None) as reader:
        assert "a-password" not in f"{reader!r} {vars(reader)} {vars(reader._connection)}"
    received = Received("t", 0, 1, b"the key", b"the value", {"objectId": "a"}, "")
    assert "the" not in repr(received)
