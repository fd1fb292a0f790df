"""The pieces of which Avro data are put together, for many rows at once.

A narrow piece is at most some hundred bytes wide: the narrow pieces that follow one another share a matrix of bytes,
a row of it a row of the table, and a mask that says which of them are written. All rows then come out of the matrix
in one step, whatever each of them leaves out. A wide piece is a range of bytes for each row in a buffer that stands
elsewhere; it is not copied before the row is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Mask

Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]


class Narrow(ABC):
    """A piece that has its place in a matrix of bytes."""

    #: most bytes it takes in any row
    width: int

    @abstractmethod
    def write(self, cells: Bytes, kept: Mask) -> Counts | int:
        """Write it.

        Parameters
        ----------
        cells : numpy.ndarray of uint8, shape (rows, width)
            Where to write; all zero.
        kept : numpy.ndarray of bool, shape (rows, width)
            Where to say which bytes count; all True.

        Returns
        -------
        int or numpy.ndarray of int64, shape (rows,)
            How many bytes count, in all rows or in each.
        """


class Constant(Narrow):
    """A zero byte where there is a value: the end of an array, or the branch of a union that nobody leaves.

    Parameters
    ----------
    present : numpy.ndarray of bool, shape (rows,), optional
        Rows that have it. Default: all.
    """

    width = 1

    def __init__(self, present: Mask | None) -> None:
        self._present = present

    def write(self, cells: Bytes, kept: Mask) -> Counts | int:
        """Write it: the byte is zero already."""
        return _keep(kept, self._present)


class Branch(Narrow):
    """Which branch of ``[type, "null"]`` a value takes: 0 for a value, 2 (the zig-zag of 1) for null.

    Parameters
    ----------
    valid : numpy.ndarray of bool, shape (rows,)
        Where there is a value.
    present : numpy.ndarray of bool, shape (rows,), optional
        Rows whose surrounding record is there. Default: all.
    """

    width = 1

    def __init__(self, valid: Mask, present: Mask | None) -> None:
        self._valid, self._present = valid, present

    def write(self, cells: Bytes, kept: Mask) -> Counts | int:
        """Write it."""
        np.left_shift((~self._valid).view(np.uint8), 1, out=cells[:, 0])
        return _keep(kept, self._present)


class Fixed(Narrow):
    """Values that take the same number of bytes in Avro as in memory, little-endian: booleans, floats, doubles.

    Parameters
    ----------
    values : numpy.ndarray, shape (rows,)
        The values.
    present : numpy.ndarray of bool, shape (rows,), optional
        Rows that have one. Default: all.
    """

    def __init__(self, values: np.ndarray, present: Mask | None) -> None:
        self.width = values.itemsize
        self._values, self._present = values, present

    def write(self, cells: Bytes, kept: Mask) -> Counts | int:
        """Write them bit by bit, NaN too."""
        whole = np.dtype(f"<u{self.width}")  # numbers as a whole: far faster than byte for byte
        cells.view(whole)[:, 0] = self._values.view(whole)
        return _keep(kept, self._present)


class Varint(Narrow):
    """Whole numbers: zig-zag, 7 bits a byte, the lowest first (Avro 1.11 specification, "Binary Encoding").

    Parameters
    ----------
    values : numpy.ndarray of int64, shape (rows,)
        The numbers.
    present : numpy.ndarray of bool, shape (rows,), optional
        Rows that have one. Default: all.
    """

    def __init__(self, values: npt.NDArray[np.int64], present: Mask | None) -> None:
        self._zigzag = ((values << 1) ^ (values >> 63)).view(np.uint64)
        self._present = present
        longest = int(self._zigzag.max(initial=0))
        self.width = max(1, -(-longest.bit_length() // 7))

    def write(self, cells: Bytes, kept: Mask) -> Counts | int:
        """Write as many bytes of each as it needs."""
        if self.width == 1:
            cells[:, 0] = self._zigzag
            return _keep(kept, self._present)
        left = self._zigzag
        counts: Counts = np.ones(len(left), np.int64)
        for place in range(self.width):
            rest = left >> np.uint64(7)
            goes_on = rest != 0
            cells[:, place] = (left & np.uint64(0x7F)) | (goes_on.view(np.uint8) << 7)
            if place + 1 < self.width:
                kept[:, place + 1] = goes_on
                counts += goes_on
            left = rest
        if self._present is None:
            return counts
        kept &= self._present[:, None]
        return counts * self._present


class Text(Narrow):
    """Short texts or bytes, without the length before them.

    Parameters
    ----------
    data : numpy.ndarray of uint8
        The bytes of all rows, one after the other.
    lengths : numpy.ndarray of int64, shape (rows,)
        How many belong to each row; none where there is no value.
    width : int
        The most of them.
    """

    def __init__(self, data: Bytes, lengths: Counts, width: int) -> None:
        self.width = width
        self._data, self._lengths = data, lengths

    def write(self, cells: Bytes, kept: Mask) -> Counts | int:
        """Write them."""
        if len(self._data) == cells.size:
            cells[:] = self._data.reshape(cells.shape)
            return self.width
        np.less(np.arange(self.width), self._lengths[:, None], out=kept)
        cells[kept] = self._data
        return self._lengths


@dataclass(frozen=True)
class Wide:
    """A range of bytes for every row.

    Parameters
    ----------
    data : numpy.ndarray of uint8
        Where they stand.
    starts, ends : numpy.ndarray of int64, shape (rows,)
        First byte of each row, and the one after its last; the same where there is none.
    """

    data: Bytes
    starts: Counts
    ends: Counts

    def slices(self) -> Iterator[memoryview]:
        """Give the bytes of each row."""
        view = self.data.data
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield view[start:end]


Piece = Narrow | Wide


def rows_of(pieces: Sequence[Piece], rows: int) -> list[bytes]:
    """Return the bytes of every row: all pieces, one after the other."""
    return [b"".join(row) for row in _slices(pieces, rows)]


def run_of(pieces: Sequence[Piece], rows: int) -> tuple[Bytes, Counts]:
    """Return the bytes of all rows in one run, and where each row begins in it.

    Returns
    -------
    data : numpy.ndarray of uint8
        The bytes.
    starts : numpy.ndarray of int64, shape (rows + 1,)
        First byte of each row, and the end.
    """
    groups = _wide(pieces, rows)
    starts: Counts = np.zeros(rows + 1, np.int64)
    for group in groups:
        starts[1:] += group.ends - group.starts
    np.cumsum(starts, out=starts)
    if len(groups) == 1 and not isinstance(pieces[0], Wide):
        return groups[0].data, starts
    joined = b"".join(part for row in _rows(groups, rows) for part in row)
    return np.frombuffer(joined, np.uint8), starts


def _slices(pieces: Sequence[Piece], rows: int) -> Iterator[tuple[memoryview, ...]]:
    return _rows(_wide(pieces, rows), rows)


def _rows(groups: list[Wide], rows: int) -> Iterator[tuple[memoryview, ...]]:
    if not groups:
        return iter([()] * rows)
    return zip(*[group.slices() for group in groups], strict=True)


def _wide(pieces: Sequence[Piece], rows: int) -> list[Wide]:
    """Return pieces all of which are wide: the narrow ones that follow one another become one."""
    groups: list[Wide] = []
    for is_wide, following in groupby(pieces, key=lambda piece: isinstance(piece, Wide)):
        members: list[Any] = list(following)
        groups += members if is_wide else [_matrix(members, rows)]
    return groups


def _matrix(pieces: Sequence[Narrow], rows: int) -> Wide:
    width = sum(piece.width for piece in pieces)
    cells, kept = np.zeros((rows, width), np.uint8), np.ones((rows, width), np.bool_)
    lengths: Counts = np.zeros(rows, np.int64)
    at = 0
    for piece in pieces:
        lengths += piece.write(cells[:, at : at + piece.width], kept[:, at : at + piece.width])
        at += piece.width
    ends = np.cumsum(lengths)
    return Wide(cells[kept], ends - lengths, ends)


def _keep(kept: Mask, present: Mask | None) -> Counts | int:
    """Keep a piece of constant width where it is present; return its bytes."""
    width = kept.shape[1]
    if present is None:
        return width
    kept[:] = present[:, None]
    return width * present.astype(np.int64)
