"""From nested columns to flat ones: structs by their parts, maps by the keys they declare, the rest as JSON text.

Which columns come of a column, and of which type, follows from its type and from what is declared of it, never from the
values beside which an alert happens to be flattened.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: A struct of more numbers than this is one text, as light-curve features are; each of them a column would be many.
MOST_PARTS = 8
#: What such a text is where there is no struct.
ABSENT_LIST = "[]"

_PLAIN = (pa.bool_(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.string())

#: What other types of single values become; each holds all they can say.
_WIDER = (
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_integer, pa.int64()),
    (pa.types.is_floating, pa.float32()),
)
#: Single values that Arrow writes as ISO 8601 or as digits.
_WRITTEN = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, pa.types.is_decimal, pa.types.is_duration)
_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)


def flatten(name: str, array: pa.Array, absent: Any = None) -> Iterator[tuple[str, pa.Array]]:
    """Give the flat columns of a column.

    Parameters
    ----------
    name : str
        Its name; parts are named ``<name>_<part>``.
    array : pyarrow.Array
        Its values.
    absent : object, optional
        What it holds where there is nothing to say: the keys of such a map become columns, and what a map holds
        beyond them is the JSON text of a column of its own name; a null text becomes such a text.
    """
    kind = array.type
    if is_text_list(kind):
        yield name, number_lists(array)
    elif pa.types.is_struct(kind):
        for field, part in zip(kind, array.flatten(), strict=True):
            yield from flatten(f"{name}_{field.name}", part)
    elif pa.types.is_map(kind):
        yield from _flatten_map(name, array, absent if isinstance(absent, Mapping) else {})
    else:
        stored = as_stored(array)
        yield name, stored.fill_null(absent) if isinstance(absent, str) and stored.type == pa.string() else stored


def as_stored(array: pa.Array) -> pa.Array:
    """Return an array in one of the types the archive keeps: plain ones, and lists of them; others become text.

    Numbers become wider ones. Times are ISO 8601 with their zone, decimals digits, bytes Base64; what is
    nested deeper is JSON.
    """
    kind = array.type
    if kind in _PLAIN:
        return array
    if pa.types.is_dictionary(kind):
        return as_stored(array.dictionary_decode())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _list_as_stored(array)
    for is_kind, plain in _WIDER:
        if is_kind(kind):
            return array.cast(plain)
    if any(is_kind(kind) for is_kind in _WRITTEN):
        return array.cast(pa.string())
    as_text = _base64 if any(is_kind(kind) for is_kind in _BYTES) else _text
    return pa.array([None if value is None else as_text(value) for value in array.to_pylist()], pa.string())


def _list_as_stored(array: pa.Array) -> pa.Array:
    """Return lists whose elements are as the archive keeps them; as JSON text where these are nested themselves."""
    if pa.types.is_nested(array.type.value_type):
        return pa.array([None if value is None else _text(value) for value in array.to_pylist()], pa.string())
    lists = array.cast(pa.list_(array.type.value_type))
    elements = as_stored(lists.values)
    if elements is lists.values:
        return lists
    return pa.ListArray.from_arrays(pa.array(lists.offsets.to_numpy()), elements, mask=lists.is_null())


def is_text_list(kind: pa.DataType) -> bool:
    """Tell whether a column is a struct of so many numbers that it is published as the text of a list."""
    return (
        pa.types.is_struct(kind)
        and kind.num_fields > MOST_PARTS
        and all(pa.types.is_floating(field.type) for field in kind)
    )


def number_lists(structs: pa.StructArray) -> pa.Array:
    """Return structs of numbers as JSON texts of lists, in the order of the fields.

    A number that is missing is ``NaN``, which Python's ``json`` reads back; a struct that is missing is ``[]``. Every
    number has the digits it takes to read back the same 64 bits.
    """
    fields = structs.type.num_fields
    numbers = [part.cast(pa.float64()).to_numpy(zero_copy_only=False) for part in structs.flatten()]
    texts = pc.cast(pa.array(np.stack(numbers, axis=1).ravel()), pa.string())
    whole = pc.match_substring_regex(texts, r"^-?\d+$")
    texts = pc.if_else(whole, pc.binary_join_element_wise(texts, "0", "."), texts)
    for ours, json_text in (("nan", "NaN"), ("-nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
        texts = pc.if_else(pc.equal(texts, ours), json_text, texts)
    offsets = pa.array(np.arange(len(structs) + 1, dtype=np.int32) * fields)
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), ", ")
    lists = pc.binary_join_element_wise("[", joined, "]", "")
    return pc.if_else(structs.is_valid(), lists, ABSENT_LIST)


def _flatten_map(name: str, array: pa.MapArray, declared: Mapping[str, Any]) -> Iterator[tuple[str, pa.Array]]:
    """Give a column for each declared key, and one of JSON text for what else the maps hold, null if that is nothing.

    The text of a map that declares no key is the whole map.
    """
    ends = array.offsets.to_numpy()
    lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), np.diff(ends), 0)
    owners = np.repeat(np.arange(len(array)), lengths)
    entries = pa.array(np.repeat(ends[:-1] - np.cumsum(lengths) + lengths, lengths) + np.arange(len(owners)))
    keys, values = array.keys.take(entries), array.items.take(entries)
    for key in declared:
        rows = np.flatnonzero(pc.equal(keys, key).fill_null(False).to_numpy(zero_copy_only=False))
        source = np.full(len(array), -1, dtype=np.int64)
        source[owners[rows]] = rows
        found = values.take(pa.array(source, mask=source < 0))
        if declared[key] is not None:
            found = found.fill_null(pa.scalar(declared[key], found.type))
        yield from flatten(f"{name}_{key}", found, declared[key])
    yield name, _rest(array, keys, owners, declared)


def _rest(array: pa.MapArray, keys: pa.Array, owners: npt.NDArray[np.int64], declared: Mapping[str, Any]) -> pa.Array:
    """Return the JSON text of what each map holds under keys that are not declared."""
    if not declared:
        return pa.array([None if pairs is None else _text(dict(pairs)) for pairs in array.to_pylist()], pa.string())
    known = pc.is_in(keys, value_set=pa.array(list(declared), keys.type)).to_numpy(zero_copy_only=False)
    texts: list[str | None] = [None] * len(array)
    for row in np.unique(owners[~known]).tolist():
        texts[row] = _text({key: value for key, value in array[row].as_py() if key not in declared})
    return pa.array(texts, pa.string())


def _text(value: Any) -> str:
    return json.dumps(value, default=_readable, ensure_ascii=False)


def _readable(value: Any) -> str:
    return _base64(value) if isinstance(value, bytes) else str(value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
