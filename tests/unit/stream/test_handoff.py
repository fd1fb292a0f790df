"""Each commit of the table before is taken in once, in order, also by the next process."""

from __future__ import annotations

import shutil

import pytest

from fink_broker.archive import AlertTable, Commit
from fink_broker.errors import DataError
from fink_broker.stream.handoff import COMMITS_PER_BATCH, Intake


def add(table: AlertTable, name: str, inputs: tuple[str, ...] = ()) -> None:
    table.log.write(Commit(name, list(inputs), [], {"in": 0, "out": 0}, 1.0, 2.0))


@pytest.fixture
def tables(tmp_path) -> tuple[AlertTable, AlertTable]:
    raw, science = AlertTable(str(tmp_path / "raw")), AlertTable(str(tmp_path / "science"))
    raw.create()
    science.create()
    return raw, science


def started(raw: AlertTable, science: AlertTable) -> Intake:
    intake = Intake(raw, science)
    intake.recover()
    return intake


def ids(intake: Intake) -> list[str]:
    return [commit.id for commit in intake.waiting()]


def test_a_job_goes_on_where_its_commits_end(tables):
    raw, science = tables
    intake = started(raw, science)
    assert ids(intake) == []
    for number in range(3):
        add(raw, f"r-{number}")
    assert ids(intake) == ["r-0", "r-1", "r-2"]
    assert ids(intake) == ["r-0", "r-1", "r-2"], "what is not committed comes again"
    add(science, "s-0", ("r-0", "r-1", "r-2"))
    intake.take(intake.waiting())
    assert ids(intake) == []
    add(raw, "r-3")
    assert ids(intake) == ["r-3"]
    assert ids(started(raw, science)) == ["r-3"], "the next process knows it from the commits"


def test_a_job_far_behind_takes_some_at_once(tables):
    raw, science = tables
    for number in range(COMMITS_PER_BATCH + 2):
        add(raw, f"r-{number}")
    intake = started(raw, science)
    first = intake.waiting()
    intake.take(first)
    assert len(first) == COMMITS_PER_BATCH
    assert ids(intake) == [f"r-{COMMITS_PER_BATCH}", f"r-{COMMITS_PER_BATCH + 1}"]


def test_a_table_that_was_replaced_is_told_and_taken_in_from_its_start(tables):
    raw, science = tables
    add(raw, "r-0")
    add(raw, "r-1")
    add(science, "s-0", ("r-0", "r-1"))
    running = started(raw, science)
    shutil.rmtree(raw.storage.root)
    raw.create()
    add(raw, "other-0")
    with pytest.raises(DataError, match="fewer batches than were taken in"):
        running.waiting()
    assert ids(started(raw, science)) == ["other-0"]
