"""From nested columns to flat ones: structs and maps by their parts, long structs of numbers as JSON text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: A struct of more numbers than this is one text, as light-curve features are; each of them a column would be many.
MOST_PARTS = 8
#: Keys of a map that declares none of its own become columns up to this many.
MOST_KEYS = 32
#: What such a text is where there is no struct.
ABSENT_LIST = "[]"

_PLAIN = (pa.bool_(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string())

#: What other plain types become.
_WIDER = (
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_integer, pa.int64()),
    (pa.types.is_floating, pa.float32()),
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
        What it holds where there is nothing to say: the keys of such a map always become columns, and a null text
        becomes such a text.
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
    """Return an array in one of the types the archive keeps: plain ones, and lists of them; others become text."""
    kind = array.type
    if kind in _PLAIN:
        return array
    if pa.types.is_dictionary(kind):
        return as_stored(array.dictionary_decode())
    if pa.types.is_list(kind) and kind.value_type in _PLAIN:
        return array
    for is_kind, plain in _WIDER:
        if is_kind(kind):
            return array.cast(plain, safe=False)
    return pa.array([None if value is None else _text(value) for value in array.to_pylist()], pa.string())


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
    """Give a column for each declared key and each key met; one of JSON text where those are too many."""
    ends = array.offsets.to_numpy()
    lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), np.diff(ends), 0)
    owners = np.repeat(np.arange(len(array)), lengths)
    entries = pa.array(np.repeat(ends[:-1] - np.cumsum(lengths) + lengths, lengths) + np.arange(len(owners)))
    keys, values = array.keys.take(entries), array.items.take(entries)
    names = dict.fromkeys([*declared, *sorted(key for key in pc.unique(keys).to_pylist() if key is not None)])
    if len(names) > MOST_KEYS:
        yield name, pa.array([None if pairs is None else _text(dict(pairs)) for pairs in array.to_pylist()])
        return
    for key in names:
        rows = np.flatnonzero(pc.equal(keys, key).fill_null(False).to_numpy(zero_copy_only=False))
        source = np.full(len(array), -1, dtype=np.int64)
        source[owners[rows]] = rows
        found = values.take(pa.array(source, mask=source < 0))
        if declared.get(key) is not None:
            found = found.fill_null(pa.scalar(declared[key], found.type))
        yield from flatten(f"{name}_{key}", found, declared.get(key))


def _text(value: Any) -> str:
    return json.dumps(value, default=_readable, ensure_ascii=False)


def _readable(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
