"""The commit log of a table: one small JSON file a batch, written last and atomically.

A batch exists once its commit file does. Later stages read tables through the log, so they see whole batches
only; counts, provenance and latencies of every batch are there to be added up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from fink_broker.archive.storage import Storage
from fink_broker.errors import CountsDoNotClose, DataError

COMMITS = "_commits"
COMMITS_IN_A_FOLDER = 1000


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a batch: path relative to its table, observing night, rows and bytes."""

    path: str
    partition: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Commit:
    """What one batch did.

    Parameters
    ----------
    id : str
        ``<query>-<batch number>``: the same when the same batch runs again.
    inputs : list of str
        Ids of the commits of the table before that this batch took in (empty for the first table).
    files : list of DataFile
        What it added to its table.
    counts : dict
        Alerts: ``in``, ``out`` and every way in between (``rejected``, ``duplicate``, ``cut``). They close.
    started, committed : float
        Unix times in seconds.
    details : dict
        What else a stage wants to tell: offsets, reasons, failures, latencies.
    """

    id: str
    inputs: list[str]
    files: list[DataFile]
    counts: dict[str, int]
    started: float
    committed: float
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        aside = sum(number for name, number in self.counts.items() if name not in ("in", "out"))
        if self.counts["in"] != self.counts["out"] + aside:
            raise CountsDoNotClose(
                f"Batch {self.id} took in {self.counts['in']} alerts "
                f"but accounts for {self.counts['out'] + aside}: {self.counts}.",
                "Nothing of it was committed; it will run again from the same offsets.",
            )

    def to_json(self) -> bytes:
        """Return the commit as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Commit:
        """Read a commit back.

        Raises
        ------
        DataError
            If the text is no commit.
        """
        try:
            content = json.loads(text)
            content["files"] = [DataFile(**entry) for entry in content["files"]]
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"This is no commit of a table: {error}.", "Was the file edited by hand?") from error


class CommitLog:
    """All commits of one table, numbered from 0 without a gap in the order in which they were made.

    One process at a time writes to a log; any number read it. Commits lie in folders of a thousand, so that neither
    looking for new ones nor adding one takes longer the longer the broker runs.

    Parameters
    ----------
    storage : Storage
        The table's folder.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def create(self) -> None:
        """Make the folder of the log."""
        self._storage.make_folder(COMMITS)

    def end(self) -> int:
        """Return the number the next commit gets."""
        for folder in reversed(self._folders()):
            if numbers := self._names(folder):
                return max(numbers) + 1
        return 0

    def has(self, commit_id: str) -> bool:
        """Tell whether a batch is among the latest thousand commits: an older one never comes again."""
        return any(commit_id in self._names(folder).values() for folder in self._folders()[-2:])

    def number_of(self, commit_id: str) -> int | None:
        """Return the number of a commit, None if there is none; the latest are found first."""
        for folder in reversed(self._folders()):
            for number, name in self._names(folder).items():
                if name == commit_id:
                    return number
        return None

    def read_from(self, number: int, most: int) -> list[Commit]:
        """Return up to ``most`` commits from a number on, in order."""
        commits: list[Commit] = []
        for folder in self._folders_from(number):
            names = self._names(folder)
            wanted = [found for found in sorted(names) if found >= number][: most - len(commits)]
            commits += [self._read(found, names[found]) for found in wanted]
            if len(commits) == most:
                break
        return commits

    def read_all(self) -> list[Commit]:
        """Return all commits in the order in which they were made."""
        return list(reversed(list(self.newest_first())))

    def newest_first(self) -> Iterator[Commit]:
        """Give all commits, the latest first, each read when it is asked for."""
        for folder in reversed(self._folders()):
            names = self._names(folder)
            for number in sorted(names, reverse=True):
                yield self._read(number, names[number])

    def write(self, commit: Commit) -> None:
        """Make a batch exist."""
        number = self.end()
        self._storage.make_folder(_folder(number))
        self._storage.write_atomically(_path(number, commit.id), commit.to_json())

    def _folders(self) -> list[str]:
        return [f"{COMMITS}/{name}" for name in self._storage.folders(COMMITS)]

    def _folders_from(self, number: int) -> list[str]:
        return [folder for folder in self._folders() if folder >= _folder(number)]

    def _names(self, folder: str) -> dict[int, str]:
        """Return number → id of the commits in a folder."""
        stems = [info.base_name.removesuffix(".json") for info in self._storage.find(folder, ".json")]
        return {int(number): commit_id for number, _, commit_id in (stem.partition("-") for stem in stems)}

    def _read(self, number: int, commit_id: str) -> Commit:
        return Commit.from_json(self._storage.read(_path(number, commit_id)))


def _folder(number: int) -> str:
    return f"{COMMITS}/{number // COMMITS_IN_A_FOLDER:06d}"


def _path(number: int, commit_id: str) -> str:
    return f"{_folder(number)}/{number:09d}-{commit_id}.json"
