"""The commit log of a table: one small JSON file a batch, written last and atomically.

A batch exists once its commit file does. Later stages read tables through the log, so they see whole batches
only; counts, provenance and latencies of every batch are there to be added up.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from fink_broker.archive.storage import Storage
from fink_broker.errors import CountsDoNotClose, DataError

COMMITS = "_commits"


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
    """All commits of one table.

    Parameters
    ----------
    storage : Storage
        The table's folder.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def uri(self) -> str:
        """Folder of the log, as Spark opens it."""
        return self._storage.uri(COMMITS)

    def create(self) -> None:
        """Make the folder of the log."""
        self._storage.make_folder(COMMITS)

    def ids(self) -> list[str]:
        """Return the ids of all commits, by name."""
        return [info.base_name.removesuffix(".json") for info in self._storage.find(COMMITS, ".json")]

    def has(self, commit_id: str) -> bool:
        """Tell whether a batch is committed."""
        return self._storage.exists(f"{COMMITS}/{commit_id}.json")

    def read(self, commit_id: str) -> Commit:
        """Return one commit."""
        return Commit.from_json(self._storage.read(f"{COMMITS}/{commit_id}.json"))

    def read_all(self) -> list[Commit]:
        """Return all commits in the order in which they were made."""
        return sorted((self.read(commit_id) for commit_id in self.ids()), key=lambda commit: commit.committed)

    def write(self, commit: Commit) -> None:
        """Make a batch exist."""
        self._storage.write_atomically(f"{COMMITS}/{commit.id}.json", commit.to_json())
