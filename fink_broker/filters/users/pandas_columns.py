"""Columns of alerts as users' functions take them, and the truth values they give back.

A function of fink-filters is called by Spark with pandas Series in the types of the packet: 32-bit floats stay so, a
null number is NaN, a null text None, a list an array, a struct a DataFrame. Here it gets the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Mask
from fink_broker.filters.users.isolation import WrongAnswer


def arguments_from(table: pa.Table, inputs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the arguments of a function, each its own copy: it may write to it.

    Parameters
    ----------
    table : pyarrow.Table
        Columns by path.
    inputs : mapping of str to sequence of str
        For each argument its column; of a light curve the lists of its history, and the last point.
    """
    arguments: dict[str, Any] = {}
    for name, paths in inputs.items():
        if len(paths) == 1:
            arguments[name] = as_pandas(_whole(table[paths[0]]))
        else:
            past, now = (_whole(table[path]) for path in paths)
            arguments[name] = _curves(past, now)
    return arguments


def as_pandas(array: pa.Array) -> pd.Series | pd.DataFrame:
    """Return a column as a Series, of structs as a DataFrame, in memory of its own."""
    if pa.types.is_struct(array.type):
        fields = [(field.name, pc.struct_field(array, field.name)) for field in array.type]
        return pd.DataFrame({name: as_pandas(values) for name, values in fields}, index=range(len(array)))
    if pa.types.is_list(array.type) and not pa.types.is_nested(array.type.value_type):
        lengths = pc.list_value_length(array).fill_null(0).to_numpy()
        lists = _cut(_values(array.flatten()), lengths)
        for row in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)):
            lists[row] = None
        return pd.Series(lists)
    return pd.Series(_values(array))


def truth_values(answer: Any, length: int) -> Mask:
    """Return what a function answered as an array of bool, nothing but True being true.

    Raises
    ------
    WrongAnswer
        If it is of another length, or holds other than truth values.
    """
    values = np.asarray(answer)
    if values.ndim != 1 or len(values) != length:
        shape = f"{len(values)} values" if values.ndim == 1 else f"a {type(answer).__name__}"
        raise WrongAnswer(f"it returned {shape} for {length} alerts")
    if values.dtype == bool:
        return values.copy()
    if values.dtype == object:
        return np.fromiter((_truth(value) for value in values), dtype=bool, count=length)
    if values.dtype.kind in "iuf":
        known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        if np.isin(known, (0, 1)).all():
            return values == 1
        raise WrongAnswer(f"it returned numbers such as {known[~np.isin(known, (0, 1))][0]} instead of True and False")
    raise WrongAnswer(f"it returned {_kind(values)} instead of True and False")


def _truth(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return False
    raise WrongAnswer(f"it returned a {type(value).__name__} among the truth values")


def _kind(values: np.ndarray) -> str:
    return "texts" if values.dtype.kind in "US" else f"values of type {values.dtype}"


def _whole(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def _values(array: pa.Array) -> np.ndarray:
    return np.array(array.to_pandas(maps_as_pydicts="lossy"))


def _curves(past: pa.Array, now: pa.Array) -> pd.Series:
    """Return the history and then the current point of each alert; a null history is an empty one."""
    lengths = pc.list_value_length(past).fill_null(0).to_numpy()
    source = np.empty(int(lengths.sum()) + len(now), dtype=np.int64)
    is_now = np.zeros(len(source), dtype=bool)
    is_now[np.cumsum(lengths + 1) - 1] = True
    flat = past.flatten()
    source[~is_now] = np.arange(len(flat))
    source[is_now] = len(flat) + np.arange(len(now))
    points = pa.concat_arrays([flat.cast(now.type), now]).take(pa.array(source))
    return pd.Series(_cut(_values(points), lengths + 1))


def _cut(flat: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    lists = np.empty(len(lengths), dtype=object)
    ends = np.cumsum(lengths)
    for row, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True)):
        lists[row] = flat[end - length : end]
    return lists
