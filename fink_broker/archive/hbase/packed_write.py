"""Rows of a table to bytes; ``packed.py`` tells the format."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase.packed_layout import (
    CRC_BYTES,
    ID_BYTES,
    LONG,
    MOST_BYTES,
    Column,
    Layout,
    layout_of,
    width_of,
)
from fink_broker.archive.hbase.packed_schema import canonical
from fink_broker.errors import DataError

Bytes2D = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def pack(table: pa.Table) -> tuple[str, list[bytes]]:
    """Return the rows of a table as bytes, and the id of their schema.

    Parameters
    ----------
    table : pyarrow.Table
        Flat columns: numbers, booleans, texts, bytes, times, lists of numbers or texts; nulls and NaN anywhere.

    Returns
    -------
    id : str
        Id of ``packed_schema.canonical(table.schema)``, which must be kept where readers find it.
    rows : list of bytes
        A packed row for each row.

    Raises
    ------
    DataError
        If a column cannot be packed, or the rows are more than 2 GiB.
    """
    schema = canonical(table.schema)
    layout = layout_of(schema)
    arrays = [_one_array(column, field.type) for column, field in zip(table.columns, schema, strict=True)]
    if table.num_rows == 0:
        return layout.id, []
    if table.nbytes > MOST_BYTES // 2:
        raise DataError("Too many alerts to be archived at once.", "Make `archive.batch_alerts` smaller.")
    head = _pack_head(layout, arrays, table.num_rows)
    pieces = [piece for column, array in zip(layout.columns, arrays, strict=True) for piece in _cut(column, array)]
    longer = _pack_lengths(layout, head, pieces)
    whole = pc.binary_join_element_wise(_same_length(head), longer, *pieces, b"").to_pylist()
    return layout.id, [row + zlib.crc32(row).to_bytes(CRC_BYTES, "little") for row in whole]


def _one_array(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return array if array.type == kind else array.cast(kind)


def _pack_head(layout: Layout, arrays: Sequence[pa.Array], rows: int) -> Bytes2D:
    """Return id, null bits and values of one width of all rows; lengths of pieces are still 0."""
    head = np.zeros((rows, layout.head), dtype=np.uint8)
    head[:, :ID_BYTES] = np.frombuffer(bytes.fromhex(layout.id), np.uint8)
    nulls = np.zeros((rows, len(arrays)), dtype=np.uint8)
    for column, array in zip(layout.columns, arrays, strict=True):
        if array.null_count:
            nulls[:, column.number] = np.asarray(array.is_null())
        if column.width:
            head[:, column.start : column.start + column.width] = _fixed_bytes(array).reshape(rows, column.width)
    head[:, layout.bits] = np.packbits(nulls, axis=1, bitorder="little")
    return head


def _fixed_bytes(array: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the bytes of values of one width; those of nulls are 0."""
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    if array.null_count:
        array = array.fill_null(pa.scalar(False if pa.types.is_boolean(array.type) else 0).cast(array.type))
    values = np.ascontiguousarray(np.asarray(array))
    return values.astype(values.dtype.newbyteorder("<"), copy=False).view(np.uint8)


def _cut(column: Column, array: pa.Array) -> list[pa.Array]:
    """Return the pieces of a column, each an array of bytes without nulls."""
    if not column.pieces:
        return []
    if column.pieces == 1:
        array = array.cast(pa.binary())
        return [array.fill_null(b"") if array.null_count else array]
    counts = np.asarray(pc.fill_null(pc.list_value_length(array), 0)).astype(np.int64)
    elements = array.flatten()
    valid = _valid_piece(elements, counts)
    if column.pieces == 2:
        return [valid, _ragged(_fixed_bytes(elements), counts * width_of(elements.type))]
    texts = (elements.fill_null("") if elements.null_count else elements).cast(pa.binary())
    sizes = np.asarray(pc.binary_length(texts)).astype(np.int64)
    bounds = np.concatenate(([0], np.cumsum(sizes)))[np.concatenate(([0], np.cumsum(counts)))]
    return [valid, _ragged(sizes.astype("<u4").view(np.uint8), counts * 4), _ragged(_data_of(texts), np.diff(bounds))]


def _data_of(texts: pa.Array) -> pa.Buffer:
    """Return the bytes of an array of bytes, one after the other."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return pa.py_buffer(b"")
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return data.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))


def _valid_piece(elements: pa.Array, counts: Ints) -> pa.Array:
    """Return a byte an element for the lists in which one is null, nothing for others."""
    if not elements.null_count:
        return _ragged(b"", np.zeros(len(counts), dtype=np.int64))
    valid = np.asarray(elements.is_valid()).astype(np.uint8)
    list_of = np.repeat(np.arange(len(counts)), counts)
    some_null = np.bincount(list_of, weights=1 - valid, minlength=len(counts)) > 0
    return _ragged(valid[some_null[list_of]], np.where(some_null, counts, 0))


def _ragged(data: pa.Buffer | npt.NDArray[np.uint8] | bytes, sizes: Ints) -> pa.Array:
    """Return an array of bytes: pieces of ``data`` of some sizes, one after the other."""
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    if bounds[-1] > MOST_BYTES:
        raise DataError("Too many alerts to be archived at once.", "Make `archive.batch_alerts` smaller.")
    buffers = [None, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(sizes), buffers)


def _same_length(rows: Bytes2D) -> pa.Array:
    return _ragged(rows.reshape(-1), np.full(len(rows), rows.shape[1], dtype=np.int64))


def _pack_lengths(layout: Layout, head: Bytes2D, pieces: Sequence[pa.Array]) -> pa.Array:
    """Put the lengths of pieces into the head, and return those that do not fit a byte."""
    if not pieces:
        return _ragged(b"", np.zeros(len(head), dtype=np.int64))
    lengths = np.column_stack([np.asarray(pc.binary_length(piece)) for piece in pieces]).astype(np.int64)
    head[:, layout.head - layout.pieces :] = np.minimum(lengths, LONG)
    longer = lengths >= LONG
    return _ragged(lengths[longer].astype("<u4").view(np.uint8), 4 * longer.sum(axis=1))
