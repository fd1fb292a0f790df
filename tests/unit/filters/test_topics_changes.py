"""Changes of the topics file and of what it names: noticed, read once, and never waited for."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from fink_broker.filters import topic_reading, topics_file
from fink_broker.filters.places.limited_file import fingerprint
from fink_broker.filters.places.watchlist import Watchlist
from fink_broker.filters.topics_file import TopicsFile, read_topics, topic_files

GOOD = '[[topic]]\nname = "good"\ndescription = "d"\nrule = "candidate.drb > 0.9"\n'


def topic(**keys: str) -> str:
    """Return an entry; values are TOML."""
    given = {"name": '"mine"', "description": '"d"', "rule": '"candidate.drb > 0.9"'} | keys
    return "[[topic]]\n" + "".join(f"{key} = {value}\n" for key, value in given.items() if value)


def watch(path: Path, settle_seconds: float = 0, wait_seconds: float = 60) -> TopicsFile:
    return TopicsFile(path, settle_seconds=settle_seconds, wait_seconds=wait_seconds)


def names(topics: TopicsFile) -> list[str]:
    return [entry.name for entry in topics.filters]


def test_changes_are_noticed_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "topics.toml"
    topics = watch(file)
    assert not topics.changed()
    file.write_text(GOOD)
    assert topics.changed()
    assert names(topics) == ["good"]
    assert not topics.changed()
    os.utime(file, (1, 1))  # touched, not changed
    assert not topics.changed()
    file.write_text(GOOD + topic())
    assert topics.changed()
    assert names(topics) == ["good", "mine"]
    file.unlink()
    assert topics.changed()
    assert names(topics) == []


def test_a_broken_file_keeps_the_last_good_one_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "topics.toml"
    file.write_text(GOOD + topic())
    topics = watch(file)
    file.write_text(GOOD + '[[topic]]\nname = "mi')
    assert topics.changed()
    assert names(topics) == ["good", "mine"]
    assert "the 2 topics of its last version go on" in str(topics.problems[0])
    assert not topics.changed()
    file.write_text(GOOD)
    assert topics.changed()
    assert names(topics) == ["good"]
    assert topics.problems == []


def test_a_file_is_left_alone_while_it_is_being_written(tmp_path: Path) -> None:
    file = tmp_path / "topics.toml"
    file.write_text(GOOD)
    topics = watch(file, settle_seconds=60)
    file.write_text("")  # an editor has emptied it and writes in a moment
    assert not topics.changed()
    assert names(topics) == ["good"]
    file.unlink()  # another removes it and makes it anew
    assert not topics.changed()
    file.write_text(GOOD + topic())
    os.utime(file, (1e9, 1e9))
    assert topics.changed()
    assert names(topics) == ["good", "mine"]


def test_files_that_topics_name_are_watched_too(tmp_path: Path) -> None:
    (tmp_path / "targets.csv").write_text("ra,dec\n1,2\n")
    (tmp_path / "my_module.py").write_text("def f(candid): return candid > 0")
    file = tmp_path / "topics.toml"
    listed = topic(name='"listed"', rule="", watchlist='"targets.csv"')
    file.write_text(listed + topic(name='"made"', rule="", function='"my_module:f"'))
    topics = watch(file)
    before = [entry.identity for entry in topics.filters]
    (tmp_path / "targets.csv").write_text("ra,dec\n1,2\n3,4\n")
    assert topics.changed()
    after = [entry.identity for entry in topics.filters]
    assert after[0] != before[0]
    assert after[1] == before[1]
    (tmp_path / "my_module.py").write_text("def f(candid): return candid > 1")
    assert topics.changed()
    assert topics.filters[1].identity != after[1]
    (tmp_path / "targets.csv").write_text("nothing of use\n")
    assert topics.changed()
    assert names(topics) == ["made"]
    (tmp_path / "targets.csv").write_text("ra,dec\n5,6\n")
    assert topics.changed()
    assert names(topics) == ["listed", "made"]


def test_what_is_no_regular_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")
    os.mkfifo(tmp_path / "b.toml")
    listed = topic(name='"listed"', rule="", watchlist='"list.csv"')
    device = topic(name='"device"', rule="", area='"/dev/zero"')
    (tmp_path / "a.toml").write_text(listed + device + GOOD)
    found: list[TopicsFile] = []

    def look() -> None:
        found.append(watch(tmp_path))
        (tmp_path / "a.toml").write_text(listed + device + GOOD + topic())
        assert found[0].changed()

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(20)
    assert not looking.is_alive()
    assert names(found[0]) == ["good", "mine"]
    assert [(problem.file.name, problem.name) for problem in found[0].problems] == [
        ("a.toml", "listed"),
        ("a.toml", "device"),
        ("b.toml", ""),
    ]
    assert "it is no regular file" in str(found[0].problems[2])
    assert topic_files(tmp_path) == [tmp_path / "a.toml"]


def test_a_file_too_large_is_never_read(tmp_path: Path) -> None:
    for name, size in (("list.csv", 300 * 1024**2), ("map.fits", 2 * 1024**3), ("b.toml", 300 * 1024**2)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    listed = topic(name='"listed"', rule="", watchlist='"list.csv"') + topic(rule="", area='"map.fits"')
    (tmp_path / "a.toml").write_text(listed + GOOD)
    read_topics(tmp_path)  # what is imported does not count
    tracemalloc.start()
    try:
        topics = watch(tmp_path)
        os.truncate(tmp_path / "map.fits", 3 * 1024**3)
        assert not topics.changed()
        assert tracemalloc.get_traced_memory()[1] < 30 * 1024**2
    finally:
        tracemalloc.stop()
    assert names(topics) == ["good"]
    assert len([problem for problem in topics.problems if "is larger than" in str(problem)]) == 3


def age(file: Path) -> None:
    """Make a file look as if nobody had written it for long."""
    os.utime(file, (1e9, 1e9))


@pytest.mark.parametrize("together", [True, False], ids=["one file", "two files"])
def test_who_keeps_writing_a_list_keeps_no_edits_of_others_out(tmp_path: Path, together: bool) -> None:
    listed = topic(name='"listed"', rule="", watchlist='"list.csv"')
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    mine, other = tmp_path / "a.toml", tmp_path / ("a.toml" if together else "b.toml")
    mine.write_text(listed)
    other.write_text(listed + GOOD if together else GOOD)
    age(mine)
    topics = watch(tmp_path, settle_seconds=60)
    before = topics.filters[0]
    (tmp_path / "list.csv").write_text("ra,dec\n1,")  # half written
    assert not topics.changed()
    other.write_text(other.read_text() + topic())
    age(other)
    assert topics.changed()
    assert names(topics) == ["listed", "good", "mine"]
    assert topics.filters[0] is before
    assert not topics.changed()
    (tmp_path / "list.csv").write_text("ra,dec\n1,3\n")
    age(tmp_path / "list.csv")
    assert topics.changed()
    assert topics.filters[0].identity != before.identity


def test_a_topic_whose_list_is_being_written_begins_later_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "topics.toml"
    topics = watch(file, settle_seconds=60)
    (tmp_path / "list.csv").write_text("ra,dec\n")
    file.write_text(GOOD + topic(rule="", watchlist='"list.csv"'))
    age(file)
    assert topics.changed()
    assert names(topics) == ["good"]
    assert "'list.csv' is being written. The topic begins once" in str(topics.problems[0])
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    age(tmp_path / "list.csv")
    assert topics.changed()
    assert names(topics) == ["good", "mine"]
    assert topics.problems == []


def test_only_what_has_changed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "topics.toml"
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("ra,dec\n1,2\n")
    lists = "".join(topic(name=f'"{name}"', rule="", watchlist=f'"{name}.csv"') for name in ("one", "two"))
    file.write_text(GOOD + lists)
    topics = watch(file)
    good, one, two = topics.filters
    hashed: list[Path] = []

    def told(path: Path, most: int) -> str:
        hashed.append(path)
        return fingerprint(path, most)

    monkeypatch.setattr(topic_reading, "fingerprint", told)
    file.write_text("# a comment\n" + GOOD + lists)
    assert not topics.changed()
    file.write_text(lists + topic() + GOOD)
    assert topics.changed()
    assert [topics.filters[0], topics.filters[1], topics.filters[3]] == [one, two, good]
    assert topics.filters[0].rule is one.rule
    assert topics.filters[3].rule is good.rule
    assert hashed == []
    (tmp_path / "two.csv").write_text("ra,dec\n1,3\n")
    assert topics.changed()
    assert topics.filters[0] is one
    assert topics.filters[1].rule is not two.rule
    assert hashed == [tmp_path / "two.csv"]
    file.write_text(lists.replace("name", "radius_arcsec = 3.0\nname"))
    assert topics.changed()
    assert topics.filters[0].rule is not one.rule


def test_a_list_that_takes_its_time_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "topics.toml"
    file.write_text(GOOD)
    topics = watch(file, wait_seconds=0.01)
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    go_on, load = threading.Event(), Watchlist.load

    def slow(self: Watchlist) -> None:
        assert go_on.wait(30)
        load(self)

    monkeypatch.setattr(Watchlist, "load", slow)
    file.write_text(GOOD + topic(rule="", watchlist='"list.csv"'))
    begun = time.monotonic()
    assert not any(topics.changed() for _ in range(5))
    assert time.monotonic() - begun < 10
    assert names(topics) == ["good"]
    go_on.set()
    until = time.monotonic() + 30
    while not topics.changed():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert names(topics) == ["good", "mine"]
    assert not topics.changed()
    rule = topics.filters[1].rule
    assert isinstance(rule, Watchlist)
    assert "_discs" in vars(rule)  # ready before the first alert


def test_a_broken_file_is_not_read_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    file = tmp_path / "topics.toml"
    listed = topic(rule="", watchlist='"list.csv"')
    file.write_text(listed)
    topics = watch(file)
    before = topics.filters[0].identity
    file.write_text(listed + "[[topic")
    (tmp_path / "list.csv").write_text("ra,dec\n1,3\n")
    assert topics.changed()
    assert "until then the topic of its last version goes on" in str(topics.problems[0])
    read: list[object] = []
    monkeypatch.setattr(topics_file, "read_file", lambda *given: read.append(given))
    assert not topics.changed()
    assert read == []
    monkeypatch.undo()
    file.write_text(listed)
    assert topics.changed()
    assert topics.filters[0].identity != before
