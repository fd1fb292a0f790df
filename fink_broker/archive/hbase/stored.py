"""Packed rows held against one another, and read in spite of damaged ones among them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.archive.hbase.packed import pack, unpack
from fink_broker.errors import DataError

log = logging.getLogger(__name__)

SchemaOf = Callable[[str], pa.Schema]


def readable(
    rows: Sequence[bytes], schema_of: SchemaOf, columns: Sequence[str] | None = None
) -> tuple[pa.Table, list[int]]:
    """Return the packed rows that can be read as a table, and which of the given rows these are.

    Parameters
    ----------
    rows : sequence of bytes
        What ``packed.pack`` made, or what became of it.
    schema_of : callable
        Returns the canonical schema of an id, or raises `DataError`.
    columns : sequence of str, optional
        Columns wanted. Default: all.

    Returns
    -------
    table : pyarrow.Table
        The rows that can be read; of no columns if there is none.
    good : list of int
        Which they are, in order.
    """
    try:
        return unpack(rows, schema_of, columns), list(range(len(rows)))
    except DataError as error:
        log.warning("%s", error)
    good = _good(rows, list(range(len(rows))), schema_of, columns)
    return unpack([rows[row] for row in good], schema_of, columns), good


def alike(ours: Sequence[bytes], theirs: Sequence[bytes], schema_of: SchemaOf) -> npt.NDArray[np.bool_]:
    """Tell which of two sequences of packed rows hold the same values.

    A column that one of two rows lacks is null there; numbers of different types are the same if they are equal. A row
    that cannot be read is like no other.
    """
    same = np.array([one == other for one, other in zip(ours, theirs, strict=True)], dtype=bool)
    unlike = np.flatnonzero(~same).tolist()
    if not unlike:
        return same
    both = [ours[row] for row in unlike] + [theirs[row] for row in unlike]
    table, good = readable(both, schema_of)
    if not good:
        return same
    _, packed = pack(table)  # under one schema, the same values are the same bytes
    again = dict(zip(good, packed, strict=True))
    for place, row in enumerate(unlike):
        one, other = again.get(place), again.get(place + len(unlike))
        same[row] = one is not None and one == other
    return same


def _good(rows: Sequence[bytes], places: list[int], schema_of: SchemaOf, columns: Sequence[str] | None) -> list[int]:
    """Return which of some rows can be read, looking through halves for those that cannot."""
    try:
        unpack([rows[place] for place in places], schema_of, columns)
    except DataError:
        if len(places) == 1:
            return []
        middle = len(places) // 2
        halves = places[:middle], places[middle:]
        return [place for half in halves for place in _good(rows, half, schema_of, columns)]
    return places
