"""Rows of several schemas in one table, because an archive outlives the broker's versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def united(
    tables: Sequence[pa.Table], places: Sequence[npt.NDArray[np.int64]], columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the rows of tables whose columns may differ, in a given order.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
        The rows.
    places : sequence of numpy.ndarray
        For each table, which row of the whole each of its rows is.
    columns : sequence of str, optional
        Columns of the result. Default: all, the first table's first.
    """
    has = [dict(zip(table.column_names, table.columns, strict=True)) for table in tables]
    names = list(dict.fromkeys(name for each in has for name in each) if columns is None else dict.fromkeys(columns))
    rows = sum(map(len, places))
    if not tables or not names:
        return pa.table({name: pa.nulls(rows) for name in names})
    if len(tables) == 1:
        return (
            tables[0] if names == list(has[0]) else pa.table([_of(has[0], name, rows) for name in names], names=names)
        )
    order = np.empty(rows, dtype=np.int64)
    order[np.concatenate(places)] = np.arange(rows)
    sizes = [len(place) for place in places]
    joined = [_one_column([_of(each, name, size) for each, size in zip(has, sizes, strict=True)]) for name in names]
    return pa.table(joined, names=names).take(pa.array(order))


def _of(columns: Mapping[str, pa.ChunkedArray], name: str, rows: int) -> pa.ChunkedArray:
    """Return a column, nulls if there is none of this name."""
    return columns[name] if name in columns else pa.chunked_array([pa.nulls(rows)])


def _one_column(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return a column of all tables, of a type that holds all its values exactly."""
    for kind in _candidates([part.type for part in parts]):
        try:
            return pa.chunked_array([chunk for part in parts for chunk in part.cast(kind).chunks], kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a value that does not fit, or types too far apart
            continue
    texts = [pa.array([None if value is None else str(value) for value in part.to_pylist()]) for part in parts]
    return pa.chunked_array([text.cast(pa.string()) for text in texts], pa.string())


def _candidates(kinds: Sequence[pa.DataType]) -> list[pa.DataType]:
    """Return types to be tried in turn: the common one of all, a wider one where that is a float, text."""
    fields = [pa.schema([pa.field("column", kind)]) for kind in dict.fromkeys(kinds)]
    try:
        common = pa.unify_schemas(fields, promote_options="permissive").field(0).type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return [pa.string()]
    return [common, *([pa.float64()] if pa.types.is_floating(common) else []), pa.string()]
