"""Alerts of a night in piles by objectId, each small enough to be sorted in memory; what does not fit goes to disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: Kept in memory of all piles together.
MEMORY_BYTES = 192 * 1024**2
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
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, rows: pa.Table) -> None:
        """Put alerts on their piles; the largest go to disk when there is too much in memory."""
        place = np.searchsorted(self._bounds, keys_of(rows), side="right")
        for number in np.unique(place).tolist():
            part = rows.take(pa.array(np.flatnonzero(place == number))) if len(self) > 1 else rows
            self._held[number].append(part)
            self._bytes[number] += part.nbytes
        while sum(self._bytes) > self._most:
            self._spill(int(np.argmax(self._bytes)))

    def take(self, number: int) -> list[pa.Table]:
        """Return the alerts of a pile and forget them."""
        found = [*self._read(number), *self._held[number]]
        self._held[number], self._bytes[number] = [], 0
        self._path(number).unlink(missing_ok=True)
        return found

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.arrows"

    def _spill(self, number: int) -> None:
        """Add a pile's alerts in memory to its file: one Arrow stream after another, each of its own schema."""
        with self._path(number).open("ab") as file:
            for rows in self._held[number]:
                with pa.ipc.new_stream(file, rows.schema, options=_LZ4) as stream:
                    stream.write_table(rows)
        self._held[number], self._bytes[number] = [], 0

    def _read(self, number: int) -> Iterator[pa.Table]:
        if not self._path(number).exists():
            return
        with self._path(number).open("rb") as file:
            size = self._path(number).stat().st_size
            while file.tell() < size:
                with pa.ipc.open_stream(file) as stream:
                    yield stream.read_all()
