"""Types of values in rules, how they are called in messages, and how two become one."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.errors import ConfigError

BOOLEAN, WHOLE, NUMBER, TEXT, NOTHING = pa.bool_(), pa.int64(), pa.float64(), pa.string(), pa.null()


def as_seen(kind: pa.DataType) -> pa.DataType:
    """Return the type in which rules compute: all texts are one type, so that kernels take any two of them."""
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return TEXT
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(as_seen(kind.value_type))
    return kind


def is_numeric(kind: pa.DataType) -> bool:
    """Tell whether values of a type can be computed with; null can be."""
    return kind in (WHOLE, NUMBER, NOTHING)


def describe(kind: pa.DataType) -> str:
    """Return a type in words."""
    words = {BOOLEAN: "true or false", WHOLE: "a whole number", NUMBER: "a number", TEXT: "a text", NOTHING: "null"}
    if kind in words:
        return words[kind]
    if pa.types.is_list(kind):
        plural = {BOOLEAN: "truth values", WHOLE: "whole numbers", NUMBER: "numbers", TEXT: "texts"}
        return f"a list of {plural.get(kind.value_type, 'structures')}"
    if pa.types.is_map(kind):
        return "a map"
    if pa.types.is_struct(kind):
        return "a structure"
    return f"of type {kind}"


def common(kinds: list[pa.DataType], where: str) -> pa.DataType:
    """Return the type that holds the values of all: whole numbers become numbers, null becomes anything.

    Parameters
    ----------
    kinds : list of pyarrow.DataType
        Types of the values that meet.
    where : str
        The expression in which they do.

    Raises
    ------
    ConfigError
        If there is none, as for a text and a number.
    """
    present = [kind for kind in dict.fromkeys(kinds) if kind != NOTHING]
    if not present:
        return NOTHING
    if len(present) == 1:
        return present[0]
    if set(present) == {WHOLE, NUMBER}:
        return NUMBER
    raise ConfigError(
        f"In {where}, {describe(present[0])} meets {describe(present[1])}.", _way_out(present[0], present[1])
    )


def _way_out(first: pa.DataType, second: pa.DataType) -> str:
    both = {first, second}
    if TEXT in both and both & {WHOLE, NUMBER}:
        return "Numbers stand without quotes, texts in quotes; cast(… as double) makes a number of a text."
    if BOOLEAN in both and both & {WHOLE, NUMBER}:
        return "Write a < x AND x < b for a < x < b; cast(… as int) makes 0 or 1 of a condition."
    if any(pa.types.is_list(kind) for kind in both):
        return "Take one value of the list: array_min(…), array_max(…), element_at(…, -1) for the last, size(…)."
    if any(pa.types.is_map(kind) for kind in both):
        return "Take one value of the map: element_at(…, 'key')."
    if any(pa.types.is_struct(kind) for kind in both):
        return "Name one of the fields of the structure: candidate.magpsf."
    return "Both must be of one type."
