"""Which columns the arguments of a user's function stand for: names as functions of fink-filters have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.errors import ConfigError
from fink_broker.filters.names import near_names
from fink_broker.filters.view import CANDIDATE, OPTIONAL_COLUMNS, PAST, all_paths

#: Arguments that are whole light curves, and the field of a measurement each holds.
CURVES = {
    "cjdc": "jd",
    "cfidc": "fid",
    "cmagpsfc": "magpsf",
    "csigmapsfc": "sigmapsf",
    "cmagnrc": "magnr",
    "csigmagnrc": "sigmagnr",
    "cmagzpscic": "magzpsci",
    "cisdiffposc": "isdiffpos",
    "cdiffmaglimc": "diffmaglim",
}
#: Further arguments that bear another name than their column.
OTHER_NAMES = {
    "cstampDatac": "cutoutScience.stampData",
    "linear_fit_slope": "lc_features_r.linear_fit_slope",
}


@dataclass(frozen=True)
class Argument:
    """An argument of a function.

    Parameters
    ----------
    name : str
        Its name.
    required : bool
        Whether the function cannot be called without it.
    """

    name: str
    required: bool = True


def possible_paths(name: str) -> tuple[str, ...]:
    """Return the columns that an argument may stand for, as long as no table is at hand to tell."""
    if name in CURVES:
        return (name, f"{PAST}.{CURVES[name]}", f"{CANDIDATE}.{CURVES[name]}")
    return (name, OTHER_NAMES.get(name, f"{CANDIDATE}.{name}"))


def paths_of(name: str, schema: pa.Schema) -> tuple[str, ...]:
    """Return what an argument stands for in a table: one column, or of a light curve its history and its last point.

    A column of the table comes first, then a field of ``candidate``, then one of another struct.

    Raises
    ------
    ConfigError
        If there is none of that name, or there are several.
    """
    if schema.get_field_index(name) >= 0 or name in OPTIONAL_COLUMNS:
        return (name,)
    if name in CURVES:
        wanted: tuple[str, ...] = (f"{PAST}.{CURVES[name]}", f"{CANDIDATE}.{CURVES[name]}")
    else:
        wanted = (OTHER_NAMES.get(name, f"{CANDIDATE}.{name}"),)
    known = all_paths(schema)
    if all(path in known for path in wanted):
        return wanted
    others = [path for path in known if path.endswith(f".{name}") and not path.startswith(f"{PAST}.")]
    if len(others) == 1:
        return (others[0],)
    if others:
        raise ConfigError(
            f"The argument '{name}' may be any of {', '.join(others)}.", "Take the whole column as an argument instead."
        )
    raise ConfigError(f"Alerts have no column for the argument '{name}'.", _hint(name, known))


def inputs_of(arguments: Iterable[Argument], schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the columns of all arguments of a function; one that has a default and no column is left out.

    Raises
    ------
    ConfigError
        If a required argument has no column.
    """
    inputs = {}
    for argument in arguments:
        try:
            inputs[argument.name] = paths_of(argument.name, schema)
        except ConfigError:
            if argument.required:
                raise
    return inputs


def raw_column(table: pa.Table, path: str) -> pa.Array:
    """Return a column in the type it is stored in; of a field of a list of structs, the lists of that field."""
    name, _, field = path.partition(".")
    if name not in table.column_names:
        return pa.nulls(len(table), OPTIONAL_COLUMNS[name])
    return _field(_single(table[name]), field)


def raw_columns(table: pa.Table, paths: Iterable[str]) -> pa.Table:
    """Return a flat table of some columns, each under its path."""
    wanted = list(dict.fromkeys(paths))
    # a column in pieces is put together once, however many of its fields are wanted
    roots = {path.partition(".")[0] for path in wanted} & set(table.column_names)
    whole = pa.table({name: _single(table[name]) for name in roots})
    columns: dict[str, Any] = {path: raw_column(whole, path) for path in wanted if path.partition(".")[0] in roots}
    absent = {path: pa.nulls(len(table), OPTIONAL_COLUMNS[path]) for path in wanted if path not in columns}
    return pa.table({path: columns[path] if path in columns else absent[path] for path in wanted})


def _single(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _field(array: pa.Array, field: str) -> pa.Array:
    if not field:
        return array
    if not pa.types.is_list(array.type):
        return pc.struct_field(array, field)
    lengths = pc.list_value_length(array).fill_null(0).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    return pa.ListArray.from_arrays(offsets, pc.struct_field(array.flatten(), field), mask=array.is_null())


def _hint(name: str, known: list[str]) -> str:
    leaves = list(dict.fromkeys([path.rpartition(".")[2] for path in known] + list(CURVES) + list(OTHER_NAMES)))
    return near_names(name, leaves, "arguments")
