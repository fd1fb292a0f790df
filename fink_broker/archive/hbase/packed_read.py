"""Bytes to rows of a table, all columns or some; ``packed.py`` tells the format."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase.packed_layout import (
    CRC_BYTES,
    ID_BYTES,
    LONG,
    RESIDUE,
    Column,
    Layout,
    layout_of,
    width_of,
)
from fink_broker.archive.hbase.packed_unite import united
from fink_broker.errors import DataError

Bytes2D = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_SHORTEST = ID_BYTES + CRC_BYTES


class _Damaged(Exception):
    """Rows that are not as their schema says, by number."""

    def __init__(self, bad: Mask, why: str) -> None:
        super().__init__(why)
        self.row = int(np.argmax(bad))
        self.why = why


class _Rows(NamedTuple):
    """Rows of one schema, taken apart as far as all columns need it."""

    layout: Layout
    head: Bytes2D
    #: a flag a row and column
    nulls: Bytes2D
    #: which columns have a null
    some_null: Mask
    #: a length a row and piece
    lengths: Ints
    #: of every row its pieces, and one element for what is between rows
    pieces: pa.Array


def unpack(
    rows: Sequence[bytes],
    schema_of: Callable[[str], pa.Schema],
    columns: Sequence[str] | None = None,
    keys: Sequence[bytes] = (),
) -> pa.Table:
    """Return packed rows as a table, in their order.

    Rows of several schemas may be mixed: a column that a row's schema lacks is null there; a column whose type differs
    gets the type that holds all values exactly, text if there is no better.

    Parameters
    ----------
    rows : sequence of bytes
        What ``pack`` made.
    schema_of : callable
        Returns the canonical schema of an id, or raises `DataError`.
    columns : sequence of str, optional
        Columns wanted, in this order; one no row has is of type null. Default: all.
    keys : sequence of bytes, optional
        Keys of the rows, to name one that is damaged.

    Raises
    ------
    DataError
        If a row is damaged or is no packed row.
    """
    data = list(rows)
    bad = [number for number, row in enumerate(data) if len(row) < _SHORTEST or zlib.crc32(row) != RESIDUE]
    if bad:
        raise _error(bad[0], "its checksum does not match", keys)
    ids = [row[:ID_BYTES] for row in data]
    tables, places = [], []
    for each in dict.fromkeys(ids):
        at = np.flatnonzero(np.fromiter((other == each for other in ids), bool, len(ids)))
        group = data if len(at) == len(data) else [data[row] for row in at]
        try:
            tables.append(_unpack_group(group, layout_of(schema_of(each.hex())), columns))
        except _Damaged as damage:
            raise _error(int(at[damage.row]), damage.why, keys) from damage
        places.append(at)
    return united(tables, places, columns)


def _error(row: int, why: str, keys: Sequence[bytes]) -> DataError:
    name = f"{row} (key {keys[row].decode('ascii', 'backslashreplace')})" if row < len(keys) else str(row)
    return DataError(f"Row {name} of the archive is damaged: {why}.", "`fink archive check` writes it anew.")


def _unpack_group(rows: list[bytes], layout: Layout, columns: Sequence[str] | None) -> pa.Table:
    parts = _take_apart(pa.array(rows, pa.binary()), layout)
    if columns is None:
        return pa.table([_column(parts, column) for column in layout.columns], schema=layout.schema)
    wanted = [column for column in layout.columns if column.name in set(columns)]
    return pa.table([_column(parts, column) for column in wanted], names=[column.name for column in wanted])


def _take_apart(rows: pa.Array, layout: Layout) -> _Rows:
    """Split rows into heads and pieces, and make sure that lengths add up."""
    count = len(rows)
    _, offsets, data = rows.buffers()
    bounds = np.frombuffer(offsets, np.int32)[: count + 1].astype(np.int64)
    sizes, content = np.diff(bounds), np.frombuffer(data, np.uint8)
    _check(sizes >= layout.head + CRC_BYTES, "it is too short")
    heads = pc.binary_slice(rows, 0, layout.head).buffers()[2]
    head = np.frombuffer(heads, np.uint8)[: count * layout.head].reshape(count, layout.head)
    nulls = np.unpackbits(head[:, layout.bits], axis=1, count=len(layout.columns), bitorder="little")
    lengths = head[:, layout.head - layout.pieces :].astype(np.int64)
    long = lengths == LONG
    first = bounds[:-1] + layout.head
    if long.any():
        places = first[:, None] + 4 * (np.cumsum(long, axis=1) - long)
        first = first + 4 * long.sum(axis=1)
        _check(first + CRC_BYTES <= bounds[1:], "it is too short")
        lengths[long] = content[places[long][:, None] + np.arange(4)].view("<u4")[:, 0]
    ends = first[:, None] + np.cumsum(lengths, axis=1)
    _check(
        ends[:, -1] + CRC_BYTES == bounds[1:] if layout.pieces else first + CRC_BYTES == bounds[1:], "lengths differ"
    )
    cuts = np.column_stack([first, ends]).reshape(-1).astype(np.int32)
    pieces = pa.Array.from_buffers(pa.binary(), len(cuts) - 1, [None, pa.py_buffer(cuts), data])
    return _Rows(layout, head, nulls, np.asarray(nulls.any(axis=0)), lengths, pieces)


def _check(good: Mask, why: str) -> None:
    if not good.all():
        raise _Damaged(~good, why)


def _column(rows: _Rows, column: Column) -> pa.Array:
    count = len(rows.head)
    valid = None
    if rows.some_null[column.number]:
        valid = pa.py_buffer(np.packbits(rows.nulls[:, column.number] == 0, bitorder="little"))
    if pa.types.is_null(column.kind):
        return pa.nulls(count)
    if column.width:
        return _fixed(column.kind, rows.head[:, column.start : column.start + column.width], valid)
    if column.pieces == 1:
        _, offsets, data = _text(_piece(rows, column.piece), column.kind).buffers()
        return pa.Array.from_buffers(column.kind, count, [valid, offsets, data])
    return _list(rows, column, valid)


def _fixed(kind: pa.DataType, values: Bytes2D, valid: pa.Buffer | None = None) -> pa.Array:
    """Return an array of values that are given as bytes, a row each."""
    if pa.types.is_boolean(kind):
        data = np.packbits(values[:, 0] != 0, bitorder="little")
    else:
        data = np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(data)])


def _piece(rows: _Rows, number: int) -> pa.Array:
    """Return one piece of each row."""
    step = rows.layout.pieces + 1
    return rows.pieces.take(pa.array(np.arange(number, len(rows.head) * step, step)))


def _text(data: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return bytes as texts; what is no UTF-8 is damage."""
    try:
        return data.cast(kind)
    except pa.ArrowInvalid as error:
        raise _Damaged(np.array([_no_text(each) for each in data.to_pylist()]), "a text is not UTF-8") from error


def _no_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False


def _list(rows: _Rows, column: Column, valid: pa.Buffer | None) -> pa.Array:
    inner = column.kind.value_type
    lengths = rows.lengths[:, column.piece : column.piece + column.pieces]
    width = 4 if column.pieces == 3 else width_of(inner)
    counts, rest = np.divmod(lengths[:, 1], width)
    some_null = lengths[:, 0] > 0
    _check((rest == 0) & (~some_null | (lengths[:, 0] == counts)), "a list is cut")
    values = _bytes_of(_piece(rows, column.piece + 1)).reshape(-1, width)
    elements_valid = None
    if some_null.any():
        flags = np.ones(int(counts.sum()), dtype=bool)
        flags[np.repeat(some_null, counts)] = _bytes_of(_piece(rows, column.piece)) != 0
        elements_valid = pa.py_buffer(np.packbits(flags, bitorder="little"))
    if column.pieces == 2:
        elements = _fixed(inner, values, elements_valid)
    else:
        sizes = values.copy().view("<u4")[:, 0].astype(np.int64)
        elements = _texts(sizes, counts, lengths[:, 2], _piece(rows, column.piece + 2), elements_valid)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.Array.from_buffers(column.kind, len(counts), [valid, pa.py_buffer(offsets)], children=[elements])


def _texts(sizes: Ints, counts: Ints, totals: Ints, data: pa.Array, valid: pa.Buffer | None) -> pa.Array:
    """Return the texts of all lists, from their sizes and the bytes of each list."""
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    _check(np.diff(bounds[np.concatenate(([0], np.cumsum(counts)))]) == totals, "a list is cut")
    offsets = pa.py_buffer(bounds.astype(np.int32))
    raw = pa.Array.from_buffers(pa.binary(), len(sizes), [None, offsets, pa.py_buffer(_bytes_of(data))])
    try:
        texts = raw.cast(pa.string())
    except pa.ArrowInvalid as error:
        bad = np.repeat(np.arange(len(counts)), counts)[[_no_text(each) for each in raw.to_pylist()]]
        raise _Damaged(np.arange(len(counts)) == bad[0], "a text is not UTF-8") from error
    _, offsets, content = texts.buffers()
    return pa.Array.from_buffers(pa.string(), len(sizes), [valid, offsets, content])


def _bytes_of(pieces: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the bytes of pieces one after the other."""
    _, offsets, data = pieces.buffers()
    bounds = np.frombuffer(offsets, np.int32)[pieces.offset : pieces.offset + len(pieces) + 1]
    if data is None:
        return np.empty(0, dtype=np.uint8)
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
