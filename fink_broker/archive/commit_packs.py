"""A thousand commits in one file: old parts of a commit log take one file to open instead of a thousand.

The first line is the index: for each commit its number, id, where its text begins and how long it is (bytes after
the first line), and the observing nights it has files of. Then comes one commit a line. So what a commit is called,
and which nights it touches, is known without reading any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fink_broker.archive.storage import Storage
from fink_broker.errors import DataError

SUFFIX = ".jsonl"
_HEAD_BYTES = 1 << 17


@dataclass(frozen=True)
class Entry:
    """Where a commit is in its pack: number, id, first byte, bytes, and nights of its files."""

    number: int
    id: str
    start: int
    length: int
    nights: tuple[str, ...]


class Pack:
    """A file of many commits, opened for reading; it never changes.

    Parameters
    ----------
    storage : Storage
        The table's folder.
    path : str
        The file, relative to it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If it is no pack.
    """

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage, self._path = storage, path
        first = self._first_line()
        try:
            found = [Entry(n, name, begin, size, tuple(nights)) for n, name, begin, size, nights in json.loads(first)]
        except (ValueError, TypeError) as error:
            raise DataError(
                f"The file {storage.uri(path)} is no pack of commits: {error}.", "Put it back from a copy."
            ) from error
        self._begin = len(first)
        self.entries = {entry.number: entry for entry in found}

    @property
    def ids(self) -> dict[int, str]:
        """Number and id of each commit."""
        return {entry.number: entry.id for entry in self.entries.values()}

    def texts(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """Give the JSON text of some commits, in the order asked for."""
        with self._storage.open(self._path) as stream:
            for number in numbers:
                entry = self.entries[number]
                yield stream.read_at(entry.length, self._begin + entry.start)

    def _first_line(self) -> bytes:
        with self._storage.open(self._path) as stream:
            size, head = stream.size(), b""
            while b"\n" not in head and len(head) < size:
                head += stream.read(_HEAD_BYTES)
        line, newline, _ = head.partition(b"\n")
        return line + newline


def packed(commits: Iterable[tuple[int, str, tuple[str, ...], bytes]]) -> bytes:
    """Return the content of a pack.

    Parameters
    ----------
    commits : iterable of tuple
        Number, id, nights of its files, and JSON text (one line) of each commit, in order.
    """
    index, texts, start = [], [], 0
    for number, commit_id, nights, text in commits:
        index.append([number, commit_id, start, len(text), list(nights)])
        texts.append(text)
        start += len(text) + 1
    return b"\n".join([json.dumps(index, separators=(",", ":")).encode(), *texts, b""])
