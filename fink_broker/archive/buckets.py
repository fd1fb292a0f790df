"""Alerts of a night in piles by objectId, each small enough to be sorted in memory; what does not fit goes to disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: Kept in memory of all piles together.
MEMORY_BYTES = 192 * 1024**2
#: What a column of a table takes beside its values, about 700 bytes measured: more than the values of a few alerts.
COLUMN_BYTES = 700
#: Tables of a pile that are made one, so that what columns take does not grow with the number of files.
_TABLES_TOGETHER = 64
#: Characters of an objectId by which piles are told apart.
_KEY_LENGTH = 64
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")

Keys = npt.NDArray[np.bytes_]


def keys_of(rows: pa.Table) -> Keys:
    """Return by what alerts are put on piles: their objectIds, shape (n,), empty where there is none."""
    if "objectId" not in rows.column_names:
        return np.zeros(len(rows), dtype="S1")
    texts = pc.utf8_slice_codeunits(pc.fill_null(rows["objectId"].cast(pa.string()), ""), 0, _KEY_LENGTH)
    return np.array(texts.cast(pa.binary()).to_pylist(), dtype=np.bytes_)


def bounds_of(keys: Keys, piles: int) -> Keys:
    """Return the first key of each pile but the first, so that piles are of about one size and no object is in two.

    Parameters
    ----------
    keys : numpy.ndarray
        Keys of all alerts, in any order.
    piles : int
        How many piles are wanted; there may be fewer in the end.
    """
    if len(keys) == 0 or piles < 2:
        return keys[:0]
    ordered = np.sort(keys)
    firsts = ordered[(np.arange(1, piles) * len(ordered)) // piles]
    return np.unique(firsts[firsts > ordered[0]])


class Buckets:
    """The piles.

    Parameters
    ----------
    folder : pathlib.Path
        Empty folder on a local disk.
    bounds : numpy.ndarray
        From `bounds_of`.
    memory_bytes : int
        What is kept in memory of all piles together.
    """

    def __init__(self, folder: Path, bounds: Keys, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder, self._bounds, self._most = folder, bounds, memory_bytes
        self._held: list[list[pa.Table]] = [[] for _ in range(len(bounds) + 1)]
        self._bytes = [0] * len(self._held)
        self._loose = [0] * len(self._held)
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, rows: pa.Table) -> None:
        """Put alerts on their piles; the largest go to disk when there is too much in memory."""
        place = np.searchsorted(self._bounds, keys_of(rows), side="right")
        for number in np.unique(place).tolist():
            part = rows.take(pa.array(np.flatnonzero(place == number))) if len(self) > 1 else rows
            self._put(number, part)
        while self.bytes > self._most:
            self._spill(int(np.argmax(self._bytes)))

    def take(self, number: int) -> list[pa.Table]:
        """Return the alerts of a pile and forget them."""
        found = [*self._read(number), *self._held[number]]
        self._forget(number)
        self._path(number).unlink(missing_ok=True)
        return found

    @property
    def bytes(self) -> int:
        """What all piles take in memory, in bytes."""
        return sum(self._bytes)

    def _put(self, number: int, part: pa.Table) -> None:
        """Keep a table in memory; the last ones of a pile are made one when there are many."""
        held = self._held[number]
        held.append(part)
        self._bytes[number] += memory_of(part)
        self._loose[number] += 1
        if self._loose[number] == _TABLES_TOGETHER:
            together = _one_of_each_schema(held[-_TABLES_TOGETHER:])
            del held[-_TABLES_TOGETHER:]
            held += together
            self._bytes[number], self._loose[number] = sum(map(memory_of, held)), 0

    def _forget(self, number: int) -> None:
        self._held[number], self._bytes[number], self._loose[number] = [], 0, 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.arrows"

    def _spill(self, number: int) -> None:
        """Add a pile's alerts in memory to its file: one Arrow stream after another, each of its own schema."""
        with self._path(number).open("ab") as file:
            for rows in _one_of_each_schema(self._held[number]):
                with pa.ipc.new_stream(file, rows.schema, options=_LZ4) as stream:
                    stream.write_table(rows)
        self._forget(number)

    def _read(self, number: int) -> Iterator[pa.Table]:
        if not self._path(number).exists():
            return
        with self._path(number).open("rb") as file:
            size = self._path(number).stat().st_size
            while file.tell() < size:
                with pa.ipc.open_stream(file) as stream:
                    yield stream.read_all()


def memory_of(rows: pa.Table) -> int:
    """Return about how many bytes a table takes in memory."""
    return int(rows.nbytes) + COLUMN_BYTES * sum(_leaves(field.type) for field in rows.schema)


def _leaves(kind: pa.DataType) -> int:
    """Return how many columns of plain values a type consists of."""
    return sum(_leaves(kind.field(number).type) for number in range(kind.num_fields)) if kind.num_fields else 1


def _one_of_each_schema(parts: Sequence[pa.Table]) -> list[pa.Table]:
    """Return tables as one of each schema, in the order in which schemas come."""
    alike: dict[pa.Schema, list[pa.Table]] = {}
    for part in parts:
        alike.setdefault(part.schema, []).append(part)
    return [pa.concat_tables(tables).combine_chunks() for tables in alike.values()]
