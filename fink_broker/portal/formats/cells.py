"""Arrow columns as texts, a whole column at once: numbers as JSON writes them, and all else.

A float64 has at most 10 decimals, a float32 the least decimals that give it back (0.33816424, where its double would be
0.3381642401…); integers are exact.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

#: decimals of a float64
DECIMALS = 10
#: characters that a JSON text cannot hold as they are
_SPECIAL = r'[\x00-\x1f"\\\x7f]'


def json_texts(column: pa.Array) -> pa.Array:
    """Return the cells of a column as JSON: null and NaN are ``null``, lists are lists.

    Parameters
    ----------
    column : pyarrow.Array
        n cells of any type: boolean, integer, float, text, bytes (base64), time (ISO), list, struct, map.

    Returns
    -------
    pyarrow.StringArray
        n texts, none of them null.
    """
    kind = column.type
    if pa.types.is_floating(kind):
        return pc.fill_null(number_texts(column, finite_only=True), "null")
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return pc.fill_null(pc.cast(column, pa.string()), "null")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
        return _quoted(pc.cast(column, pa.string()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(column)
    return pa.array([json.dumps(_plain(cell.as_py()), ensure_ascii=False) for cell in column], pa.string())


def texts_of_columns(table: pa.Table, texts_of: Callable[[pa.Array], pa.Array]) -> list[pa.Array]:
    """Return every column as texts; columns of one type are turned into texts together.

    A call of Arrow takes some 20 µs however few rows there are: column by column, one row of 160 columns would take as
    long as a thousand.

    Parameters
    ----------
    table : pyarrow.Table
        n rows, m columns.
    texts_of : callable
        From cells of one type to as many texts.

    Returns
    -------
    list of pyarrow.StringArray
        m columns of n texts.
    """
    by_type: dict[pa.DataType, list[int]] = {}
    for index, kind in enumerate(table.schema.types):
        by_type.setdefault(kind, []).append(index)
    texts: list[pa.Array] = [None] * table.num_columns
    for indices in by_type.values():
        chunks = [chunk for index in indices for chunk in table.column(index).chunks]
        together = texts_of(pa.concat_arrays(chunks))
        for place, index in enumerate(indices):
            texts[index] = together.slice(place * table.num_rows, table.num_rows)
    return texts


def number_texts(column: pa.Array, *, finite_only: bool) -> pa.Array:
    """Return floats as texts that read as floats again; null stays null.

    Parameters
    ----------
    column : pyarrow.FloatingPointArray
        n numbers.
    finite_only : bool
        Whether NaN and infinities are null too.
    """
    numbers = _rounded(column) if pa.types.is_float64(column.type) else column
    if finite_only:
        numbers = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, numbers.type))
    texts = pc.cast(numbers, pa.string())
    whole = pc.equal(numbers, pc.floor(numbers))
    if pc.any(whole).as_py():  # 30 is an integer to whoever reads it, 30.0 is not
        bare = pc.match_substring_regex(texts, r"^-?[0-9]+$")
        texts = pc.if_else(bare, pc.binary_join_element_wise(texts, ".0", ""), texts)
    return texts


def _rounded(column: pa.Array) -> pa.Array:
    """Return float64s with at most 10 decimals; large ones have none beyond those, and would overflow on the way."""
    is_small = pc.less(pc.abs(column), 2**53 / 10.0**DECIMALS)
    return pc.if_else(is_small, pc.round(pc.if_else(is_small, column, 0.0), DECIMALS), column)


def _quoted(column: pa.Array) -> pa.Array:
    """Return texts in quotes, what JSON cannot hold escaped."""
    special = pc.match_substring_regex(column, _SPECIAL)
    if pc.any(special).as_py():
        escaped = [json.dumps(cell.as_py(), ensure_ascii=False)[1:-1] for cell in column.filter(special)]
        column = pc.replace_with_mask(column, pc.fill_null(special, False), pa.array(escaped, pa.string()))
    return pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null")


def _lists(column: pa.Array) -> pa.Array:
    """Return lists as JSON: their elements first, all at once, then joined list by list."""
    if pa.types.is_fixed_size_list(column.type):
        column = pc.cast(column, pa.list_(column.type.value_type))
    elements = json_texts(column.flatten())
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(pc.cast(lengths, pa.int64()))])
    joined = pc.binary_join(pa.ListArray.from_arrays(pc.cast(offsets, pa.int32()), elements), ",")
    return pc.if_else(pc.is_valid(column), pc.binary_join_element_wise("[", joined, "]", ""), "null")


def _plain(value: object) -> object:
    """Return a cell of an unusual type in terms JSON knows."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
