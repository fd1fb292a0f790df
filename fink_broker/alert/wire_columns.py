"""Arrow columns as pieces of Avro data: each type in the layout of the Avro specification, nullable throughout."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from fink_broker.alert.lightcurve import Mask
from fink_broker.alert.wire_pieces import Branch, Bytes, Constant, Counts, Fixed, Piece, Text, Varint, Wide, run_of
from fink_broker.errors import DataError

#: Texts and bytes up to this length are copied in the matrix of narrow pieces, longer ones are left where they are.
LONGEST_NARROW = 256

#: So many entries of lists are encoded at a time: what is worked on then fits the processor's cache.
ENTRIES_AT_ONCE = 4096


Writer = Callable[[pa.Array, Mask | None], Iterator[Piece]]


def pieces_of(array: pa.Array, present: Mask | None = None) -> Iterator[Piece]:
    """Give the pieces of nullable values.

    Parameters
    ----------
    array : pyarrow.Array
        A value a row.
    present : numpy.ndarray of bool, shape (rows,), optional
        Rows in which the record around is there; nothing is written for others. Default: all.

    Raises
    ------
    DataError
        If Avro has no type for a value, or a number does not fit it.
    """
    array = _plain(array)
    if types.is_null(array.type):
        return
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        yield Branch(valid, present)
        present = valid if present is None else valid & present
    else:
        yield Constant(present)
    yield from _writer(array.type)(array, present)


def time_text(times: pa.Array) -> pa.Array:
    """Return times as UTC text ``yyyy-MM-dd HH:mm:ss.SSSSSS``, six digits always so that every reader parses one form.

    Parameters
    ----------
    times : pyarrow.Array or pyarrow.ChunkedArray of timestamp
        Of any unit; finer ones than microseconds are cut, those without a zone are in UTC.
    """
    in_utc = pc.cast(times, pa.timestamp("us"), safe=False)
    return pc.strftime(in_utc, format="%Y-%m-%d %H:%M:%S")


def _plain(array: pa.Array) -> pa.Array:
    """Return an array in one of the layouts that are written here."""
    change = _LAYOUTS.get(array.type.id)
    return array if change is None else _plain(change(array))


def _writer(kind: pa.DataType) -> Writer:
    writer = _WRITERS.get(kind.id)
    if writer is None:
        raise DataError(f"A column of type {kind} cannot be sent.", "Turn it into a number, a text or bytes.")
    return writer


def _floats(array: pa.Array, present: Mask | None) -> Iterator[Piece]:
    yield Fixed(_values(array, array.type.to_pandas_dtype()), present)


def _booleans(array: pa.Array, present: Mask | None) -> Iterator[Piece]:
    filled = array.fill_null(False) if array.null_count else array
    yield Fixed(filled.to_numpy(zero_copy_only=False).view(np.uint8), present)


def _integers(array: pa.Array, present: Mask | None) -> Iterator[Piece]:
    values = _values(array, array.type.to_pandas_dtype())
    if array.type.bit_width == 64 and types.is_unsigned_integer(array.type):
        written = values if present is None else values[present]
        if written.max(initial=0) > np.uint64(2**63 - 1):
            raise DataError("A number is above 2^63 - 1, the largest that Avro has.", "Send it as a text.")
    wide = values.astype(np.int64, copy=False)
    # what stands in memory for a null may be anything: it would widen the matrix for nothing
    yield Varint(wide if present is None else np.where(present, wide, 0), present)


def _texts(array: pa.Array, present: Mask | None) -> Iterator[Piece]:
    offsets, data = _offsets(array), _bytes_of(array)
    starts, lengths = offsets[:-1], np.diff(offsets)
    if present is not None:
        lengths = np.where(present, lengths, 0)
    yield Varint(lengths, present)
    longest = int(lengths.max(initial=0))
    in_one_run = int(lengths.sum()) == offsets[-1] - offsets[0]  # what stands for a null may hold bytes of its own
    if longest > LONGEST_NARROW or not in_one_run:
        yield Wide(data, starts, starts + lengths)
    elif longest:
        yield Text(data[offsets[0] : offsets[-1]], lengths, longest)


def _record(array: pa.Array, present: Mask | None) -> Iterator[Piece]:
    for number in range(array.type.num_fields):
        yield from pieces_of(array.field(number), present)


def _list(array: pa.Array, present: Mask | None) -> Iterator[Piece]:
    return _blocks(array, present, pieces_of)


def _map(array: pa.Array, present: Mask | None) -> Iterator[Piece]:
    return _blocks(array, present, _entry)  # in memory a map is a list of entries


def _entry(array: pa.Array) -> Iterator[Piece]:
    yield from _texts(_plain(array.field(0)), None)
    yield from pieces_of(array.field(1))


def _blocks(array: pa.Array, present: Mask | None, entry: Callable[[pa.Array], Iterator[Piece]]) -> Iterator[Piece]:
    """Give the pieces of lists: one block with its number of entries before it, then a zero."""
    offsets = _offsets(array)
    data, bounds = _run(array.values.slice(offsets[0], offsets[-1] - offsets[0]), entry)
    first, last = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    if present is not None:
        last = np.where(present, last, first)
    counts = last - first
    yield Varint(counts, counts > 0)  # an empty array has no block, only its end
    yield Wide(data, bounds[first], bounds[last])
    yield Constant(present)


def _run(entries: pa.Array, entry: Callable[[pa.Array], Iterator[Piece]]) -> tuple[Bytes, Counts]:
    """Return the entries of all lists in one run, and the bounds of each in it."""
    runs, bounds = [], [np.zeros(1, np.int64)]
    for start in range(0, len(entries), ENTRIES_AT_ONCE):
        some = entries.slice(start, ENTRIES_AT_ONCE)
        data, own = run_of(list(entry(some)), len(some))
        runs.append(data)
        bounds.append(own[1:] + bounds[-1][-1])
    data = np.concatenate(runs) if len(runs) > 1 else runs[0] if runs else np.empty(0, np.uint8)
    return data, np.concatenate(bounds)


def _values(array: pa.Array, kind: type) -> np.ndarray:
    """Return numbers as they stand in memory, whatever stands for a null."""
    buffer = array.buffers()[1]
    if buffer is None:
        return np.zeros(len(array), kind)
    return np.frombuffer(buffer, kind, offset=array.offset * np.dtype(kind).itemsize, count=len(array))


def _offsets(array: pa.Array) -> Counts:
    """Return where the values of each row begin, and the end of the last."""
    buffer = array.buffers()[1]
    large = types.is_large_list(array.type) or types.is_large_string(array.type) or types.is_large_binary(array.type)
    kind = np.dtype(np.int64 if large else np.int32)
    if buffer is None or buffer.size == 0:
        return np.zeros(len(array) + 1, np.int64)
    found = np.frombuffer(buffer, kind, offset=array.offset * kind.itemsize, count=len(array) + 1)
    return found.astype(np.int64)


def _bytes_of(array: pa.Array) -> Bytes:
    buffer = array.buffers()[2]
    return np.empty(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)


def _decoded(array: pa.DictionaryArray) -> pa.Array:
    if not len(array.dictionary):  # there may still be indices, in the fields of records that are null
        return pa.nulls(len(array), array.type.value_type)
    return array.dictionary_decode()


def _as_bytes(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.large_binary())


#: What turns a layout into one that is written here, by the number Arrow has for the type.
_LAYOUTS: dict[int, Callable[[pa.Array], pa.Array]] = {
    pa.dictionary(pa.int8(), pa.string()).id: _decoded,
    pa.timestamp("us").id: time_text,
    pa.string_view().id: _as_bytes,
    pa.binary_view().id: _as_bytes,
    pa.binary(1).id: _as_bytes,
    pa.list_(pa.null(), 1).id: lambda array: pc.cast(array, pa.list_(array.type.value_type)),
    pa.float16().id: lambda array: pc.cast(array, pa.float32()),
}

_KINDS: tuple[tuple[Writer, tuple[pa.DataType, ...]], ...] = (
    (_floats, (pa.float32(), pa.float64())),
    (_integers, (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    (_booleans, (pa.bool_(),)),
    (_texts, (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())),
    (_record, (pa.struct([]),)),
    (_list, (pa.list_(pa.null()), pa.large_list(pa.null()))),
    (_map, (pa.map_(pa.string(), pa.null()),)),
)
#: What writes a type, by the number Arrow has for it.
_WRITERS: dict[int, Writer] = {kind.id: writer for writer, kinds in _KINDS for kind in kinds}
