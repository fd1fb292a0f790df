"""What a webhook keeps in files: settled alerts, numbers, and what was refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.notify.far_end import notice

from fink_broker.notify import status as status_module
from fink_broker.notify.posted import Posted
from fink_broker.notify.status import Counters, Status, read_statuses


def test_settled_alerts_are_known_after_a_restart(tmp_path: Path) -> None:
    Posted(tmp_path / "a.posted").add(["topic 1", "topic 2"])
    again = Posted(tmp_path / "a.posted")
    assert "topic 1" in again
    assert "topic 3" not in again


def test_memory_and_file_are_bounded(tmp_path: Path) -> None:
    posted = Posted(tmp_path / "a.posted", most=10)
    for number in range(1000):
        posted.add([f"topic {number}"])
        assert len(posted) <= 10
    assert len((tmp_path / "a.posted").read_text().splitlines()) <= 20
    again = Posted(tmp_path / "a.posted", most=10)
    assert [f"topic {n}" in again for n in (989, 990, 999)] == [False, True, True]


def test_a_disk_that_cannot_be_written_is_told_and_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    posted = Posted(tmp_path / "a.posted")
    (tmp_path / "a.posted").mkdir()
    posted.add(["topic 1"])
    assert "topic 1" in posted
    assert "cannot be written" in caplog.text


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    status = Status(tmp_path / "notify", "a", {"kind": "slack"})
    status.counters.posted, status.counters.begun, status.counters.waiting = 3, ["t"], 7
    status.save(at_once=True)
    counters = Status(tmp_path / "notify", "a").counters
    assert (counters.posted, counters.begun, counters.waiting, counters.doing) == (3, ["t"], 0, "starting")
    (told,) = read_statuses(tmp_path)
    assert (told["name"], told["kind"], told["posted"]) == ("a", "slack", 3)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"posted": "many", "begun": 3}', "\x00"])
def test_a_broken_file_of_numbers_begins_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert Status(tmp_path, "a").counters == Counters()


def test_what_was_refused_is_kept(tmp_path: Path) -> None:
    status = Status(tmp_path, "a")
    status.set_aside([notice(1), notice(2)], "HTTP 400: no")
    status.set_aside_unreadable(("topic", 1, 5), {"candid": "3"}, "It cannot be decoded.")
    lines = [json.loads(line) for line in (tmp_path / "a.refused.jsonl").read_text().splitlines()]
    assert [line["offset"] for line in lines] == [1, 2, 5]
    assert lines[0]["values"]["objectId"] == "ZTF240000001"
    assert lines[0]["answer"] == "HTTP 400: no"
    assert lines[2]["headers"] == {"candid": "3"}
    assert (status.counters.refused, status.counters.unreadable) == (2, 1)


def test_the_file_of_refused_alerts_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "ROTATE_BYTES", 5000)
    status = Status(tmp_path, "a")
    for number in range(100):
        status.set_aside([notice(number)], "no")
    sizes = [path.stat().st_size for path in tmp_path.glob("a.refused.jsonl*")]
    assert len(sizes) == 2
    assert max(sizes) < 6000


def test_what_cannot_be_kept_in_a_file_stands_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    status = Status(tmp_path, "a")
    status.refused_path.mkdir()
    status.set_aside([notice(1)], "no")
    assert "ZTF240000001" in caplog.text
