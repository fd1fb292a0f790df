"""Packed commits: the log answers the same, whether a thousand commits are a folder or a file."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from fink_broker.archive import AlertTable, Commit, DataFile, commits
from fink_broker.archive.commits import CommitLog
from fink_broker.archive.storage import Storage
from fink_broker.errors import DataError


def commit(number: int) -> Commit:
    night = f"2024010{number % 3}"
    files = [DataFile(f"night={night}/q-{number}.parquet", night, 1, 10)]
    return Commit(f"q-{number}", [f"before-{number}"], files, {"in": 1, "out": 1}, 1.0, 2.0, {"text": "é\n" * number})


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[CommitLog, CommitLog]:
    """Return a log of 17 commits, four in a folder, and the same log with its full folders packed."""
    monkeypatch.setattr(commits, "COMMITS_IN_A_FOLDER", 4)
    log = AlertTable(str(tmp_path / "plain")).log
    log.create()
    for number in range(17):
        log.write(commit(number))
    shutil.copytree(tmp_path / "plain", tmp_path / "packed")
    packed = AlertTable(str(tmp_path / "packed")).log
    assert packed.pack() == 3
    assert sorted(path.name for path in (tmp_path / "packed/_commits").glob("0*")) == [
        "000000.jsonl", "000001.jsonl", "000002.jsonl", "000003", "000004",
    ]  # fmt: skip
    return log, AlertTable(str(tmp_path / "packed")).log


def answers(log: CommitLog) -> list[object]:
    """Return all that a log can be asked."""
    return [
        log.end(),
        log.read_all(),
        list(log.newest_first()),
        [log.number_of(f"q-{number}") for number in range(-1, 18)],
        [log.read(f"q-{number}") for number in (0, 7, 16, 99)],
        [log.has(f"q-{number}") for number in range(12, 18)],
        [log.read_from(number, most) for number in range(19) for most in (1, 3, 99)],
        list(log.touching(lambda _, night: night == "20240101")),
        list(log.touching(lambda number, night: night == "20240102" and number > 5, 4)),
    ]


def test_packed_and_plain_logs_answer_the_same(logs: tuple[CommitLog, CommitLog]) -> None:
    plain, packed = logs
    assert [entry.id for entry in plain.read_all()] == [f"q-{number}" for number in range(17)]
    assert [number for number, _ in plain.touching(lambda _, night: night == "20240101")] == [1, 4, 7, 10, 13, 16]
    assert answers(packed) == answers(plain)


def test_packing_again_does_nothing(logs: tuple[CommitLog, CommitLog]) -> None:
    _, packed = logs
    before = answers(packed)
    assert packed.pack() == 0
    packed.write(commit(17))
    assert packed.pack() == 0
    assert packed.read_all()[:17] == before[1]


@pytest.mark.parametrize("step", ["write_atomically", "remove_folder"])
def test_a_kill_while_packing_hides_nothing(
    logs: tuple[CommitLog, CommitLog], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    plain, packed = logs

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(plain._storage, step, killed)
        with pytest.raises(Killed):
            plain.pack()
    again = CommitLog(plain._storage)
    assert again.read_all() == packed.read_all()
    again.pack()
    assert answers(CommitLog(plain._storage)) == answers(packed)


def test_readers_see_every_commit_while_folders_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "COMMITS_IN_A_FOLDER", 5)
    table = AlertTable(str(tmp_path))
    table.create()
    for number in range(60):
        table.log.write(commit(number))
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            log = AlertTable(str(tmp_path)).log
            found = [entry.id for entry in log.read_all()], log.number_of("q-3"), len(log.read_from(7, 20))
            if found != ([f"q-{number}" for number in range(60)], 3, 20):
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    assert AlertTable(str(tmp_path)).log.pack() == 10
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_two_at_once_pack_nothing_twice(logs: tuple[CommitLog, CommitLog]) -> None:
    plain, packed = logs
    with plain._storage.locked("_commits/.lock") as ours:
        assert ours
        assert CommitLog(plain._storage).pack() == 0
    assert CommitLog(plain._storage).pack() == 3
    assert answers(CommitLog(plain._storage)) == answers(packed)


def test_a_file_that_somebody_spoils_before_its_folder_goes_is_found(
    logs: tuple[CommitLog, CommitLog], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of the file while it is written: the folder stays until it was read back whole."""
    plain, packed = logs
    move = Storage.move

    def spoiled(self: Storage, source: str, target: str) -> None:
        if target.endswith(".jsonl"):
            path = Path(self.root, source)
            path.write_bytes(path.read_bytes()[:-40])
        move(self, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "move", spoiled)
        with pytest.raises(DataError):
            CommitLog(plain._storage).pack()
    assert sorted(path.name for path in (tmp_path / "plain/_commits").glob("0*0")) == ["000000"]
    assert CommitLog(plain._storage).pack() == 3  # the whole folder is what holds
    assert answers(CommitLog(plain._storage)) == answers(packed)


def test_what_is_left_of_a_folder_must_be_in_its_file(logs: tuple[CommitLog, CommitLog], tmp_path: Path) -> None:
    _, packed = logs
    left = tmp_path / "packed" / "_commits" / "000001"
    left.mkdir()
    (left / "000000005-of-another.json").write_bytes(b"{}")
    with pytest.raises(DataError, match="does not hold the commits of its folder"):
        CommitLog(packed._storage).pack()
    assert left.exists()


def test_a_damaged_pack_is_told(logs: tuple[CommitLog, CommitLog], tmp_path: Path) -> None:
    path = tmp_path / "packed" / "_commits" / "000001.jsonl"
    path.write_bytes(b"{" + path.read_bytes())
    with pytest.raises(DataError, match="no pack of commits"):
        AlertTable(str(tmp_path / "packed")).log.read_all()
