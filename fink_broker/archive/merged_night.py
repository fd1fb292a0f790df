"""A merged night: few sorted files instead of the many small ones batches brought, told by one small JSON file.

``_merged/<night>.json`` is replaced as a whole. It names the files of the night, and says which commits they stand for:
all of a number below ``until``. The night is these files and those of later commits, at any instant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from pyarrow import fs

from fink_broker.archive.commits import DataFile
from fink_broker.archive.storage import Storage
from fink_broker.errors import DataError, UsageError

MERGED = "_merged"
_LOCK = f"{MERGED}/.lock"


@dataclass(frozen=True)
class MergedFile:
    """One sorted Parquet file: path relative to its table, rows, bytes, its first and its last objectId."""

    path: str
    rows: int
    bytes: int
    first: str
    last: str

    def holds(self, object_id: str) -> bool:
        """Tell whether alerts of an object can be in it."""
        return self.first <= object_id <= self.last


@dataclass(frozen=True)
class MergedNight:
    """What a merged night consists of.

    Parameters
    ----------
    night : str
        Observing night, ``YYYYMMDD``.
    generation : int
        How often its files have been replaced; part of their names.
    until : int
        Commits of a number below are in them.
    files : tuple of MergedFile
        Sorted by objectId, one after the other; none where the night was removed for its age.
    details : dict
        What was done: ``tracklets``, ``reprocessed``, ``removed``.
    """

    night: str
    generation: int
    until: int
    files: tuple[MergedFile, ...]
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many alerts are in it."""
        return sum(file.rows for file in self.files)

    def data_files(self) -> list[DataFile]:
        """Return its files as those of commits."""
        return [DataFile(file.path, self.night, file.rows, file.bytes) for file in self.files]

    def to_json(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes, name: str = "") -> MergedNight:
        """Read it back; a name says in errors which file it was.

        Raises
        ------
        DataError
            If the text is none.
        """
        try:
            content = json.loads(text)
            content["files"] = tuple(MergedFile(**entry) for entry in content["files"])
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"The list of the files of a merged night, {name}, is damaged: {error}.",
                f"Put it back from a copy, or remove it: `fink archive check --night {_night_in(name)} --repair` then "
                "makes it from the merged files.",
            ) from error


class MergedNights:
    """The merged nights of a table.

    Parameters
    ----------
    storage : Storage
        The table's folder.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def names(self) -> list[str]:
        """Return the nights that are merged, the oldest first."""
        return [info.base_name.removesuffix(".json") for info in self._storage.find(MERGED, ".json")]

    def read(self, night: str) -> MergedNight | None:
        """Return what a night consists of, None if it is not merged.

        Raises
        ------
        DataError
            If the file that tells is damaged.
        """
        try:
            return MergedNight.from_json(self._storage.read(_path(night)), self._storage.uri(_path(night)))
        except FileNotFoundError:
            return None

    def removed(self, night: str) -> bool:
        """Tell whether alerts of a night were removed for their age; later ones may have come since."""
        merged = self.read(night)
        return merged is not None and bool(merged.details.get("removed"))

    def stamp(self, night: str) -> tuple[int, int] | None:
        """Return what changes whenever the files of a night are replaced, None if it is not merged."""
        info = self._storage.info(_path(night))
        return None if info.type == fs.FileType.NotFound else (info.size, info.mtime_ns)

    def until(self, night: str) -> int:
        """Return the number below which commits are in the merged files of a night; 0 if it is not merged."""
        merged = self.read(night)
        return 0 if merged is None else merged.until

    def write(self, merged: MergedNight) -> None:
        """Put merged files in force, and those of before out of it, at one instant."""
        self._storage.make_folder(MERGED)
        self._storage.write_atomically(_path(merged.night), merged.to_json())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process of this machine replace files of the table while the block lasts.

        A table that is not on a local disk has no such lock: there one has to see to it oneself.

        Raises
        ------
        UsageError
            If one does.
        """
        with self._storage.locked(_LOCK) as ours:
            if not ours:
                raise UsageError(
                    f"The table {self._storage.location} is being merged, reprocessed or cleaned by another process.",
                    "Wait until it is done.",
                )
            yield

    def is_busy(self) -> bool:
        """Tell whether a process of this machine is replacing files of the table."""
        with self._storage.locked(_LOCK) as free:
            return not free


def _night_in(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json") or "YYYYMMDD"


def _path(night: str) -> str:
    return f"{MERGED}/{night}.json"
