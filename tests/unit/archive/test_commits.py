"""The commit log: numbers without a gap, however many commits there are."""

from __future__ import annotations

import pytest

from fink_broker.archive import AlertTable, Commit, commits
from fink_broker.archive.commits import CommitLog


def commit(name: str, inputs: tuple[str, ...] = ()) -> Commit:
    return Commit(name, list(inputs), [], {"in": 0, "out": 0}, 1.0, 2.0)


@pytest.fixture
def log(tmp_path, monkeypatch) -> CommitLog:
    """Return a log of seven commits, three in a folder."""
    monkeypatch.setattr(commits, "COMMITS_IN_A_FOLDER", 3)
    log = AlertTable(str(tmp_path)).log
    log.create()
    assert (log.end(), log.read_all(), log.read_from(0, 5)) == (0, [], [])
    for number in range(7):
        # from a process of its own each: nothing is remembered between two writes
        AlertTable(str(tmp_path)).log.write(commit(f"q-{number}"))
    return log


def ids(found) -> list[str]:
    return [entry.id for entry in found]


def test_commits_come_in_the_order_in_which_they_were_made(log: CommitLog):
    assert ids(log.read_all()) == [f"q-{number}" for number in range(7)]
    assert ids(log.newest_first()) == [f"q-{number}" for number in reversed(range(7))]
    assert log.end() == 7


@pytest.mark.parametrize(
    ("number", "most", "expected"),
    [(0, 2, [0, 1]), (2, 3, [2, 3, 4]), (1, 99, [1, 2, 3, 4, 5, 6]), (6, 1, [6]), (7, 5, []), (99, 5, [])],
)
def test_a_reader_goes_on_from_a_number(log: CommitLog, number: int, most: int, expected: list[int]):
    assert ids(log.read_from(number, most)) == [f"q-{one}" for one in expected]


def test_numbers_are_found_by_name(log: CommitLog):
    assert [log.number_of(f"q-{number}") for number in range(7)] == list(range(7))
    assert log.number_of("q-7") is None
    assert log.has("q-6")
    assert log.has("q-3")
    assert not log.has("q-7")


def test_a_folder_made_just_before_a_kill_hides_nothing(tmp_path, log: CommitLog):
    log.write(commit("q-7"))
    log.write(commit("q-8"))
    (tmp_path / "_commits" / "000003").mkdir()
    assert log.end() == 9
    assert log.has("q-8")
    log.write(commit("q-9"))
    assert ids(log.read_from(8, 5)) == ["q-8", "q-9"]


def test_a_half_written_commit_is_none(tmp_path, log: CommitLog):
    (tmp_path / "_commits" / "000002" / ".000000007-q-7.json.tmp").write_text("{")
    assert log.end() == 7
    assert not log.has("q-7")
    assert len(log.read_all()) == 7
