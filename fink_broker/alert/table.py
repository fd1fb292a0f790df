"""Batches of alerts for science from tables: Parquet files of alerts, as the broker and others keep them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.batch import CUTOUT, field_types
from fink_broker.alert.lightcurve import HISTORY
from fink_broker.errors import DataError


def struct_from_table(
    table: pa.Table,
    root: Sequence[str],
    candidate: Sequence[str],
    history: Sequence[str],
    cutouts: Sequence[str] = (),
) -> pa.StructArray:
    """Return the rows of a table of alerts as the struct array that the science pipeline takes.

    Parameters
    ----------
    table : pyarrow.Table
        Nested as packets are: ``candidate`` a struct, ``prv_candidates`` a list of structs, cutouts structs.
    root, candidate, history, cutouts : sequence of str
        What is wanted of the alert, of ``candidate``, of ``prv_candidates``, and which images. What the table lacks
        is null.

    Raises
    ------
    DataError
        If the table has no candid, ``candidate`` or ``prv_candidates`` are not nested so, or a field is of
        another kind.
    """
    try:
        return _struct(table, root, candidate, history, cutouts)
    except pa.ArrowException as error:
        raise DataError(f"The table holds no alerts: {error}.", "Give a table nested as packets are.") from error


def _struct(
    table: pa.Table, root: Sequence[str], candidate: Sequence[str], history: Sequence[str], cutouts: Sequence[str]
) -> pa.StructArray:
    types, candidate_types, history_types = field_types()
    if "candid" not in table.column_names or "candidate" not in table.column_names:
        raise DataError(
            "The table holds no alerts: it lacks the columns candid and candidate.",
            "Give a file of packets, or of the raw or the science table.",
        )
    columns = {name: _column(table, name, types[name]) for name in root}
    now = _single(table["candidate"])
    if not pa.types.is_struct(now.type):
        raise DataError("The column candidate of the table is no struct.", "Give a table nested as packets are.")
    columns |= {name: _member(now, name, candidate_types[name]) for name in candidate}
    past = _single(table["prv_candidates"]) if "prv_candidates" in table.column_names else pa.nulls(len(table))
    columns |= {HISTORY + name: _lists(past, name, history_types[name]) for name in history}
    for name in cutouts:
        image = _column(table, CUTOUT + name, None)
        columns[CUTOUT + name] = _member(image, "stampData", pa.binary())
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _single(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _column(table: pa.Table, name: str, kind: pa.DataType | None) -> pa.Array:
    if name not in table.column_names:
        return pa.nulls(len(table), kind or pa.null())
    array = _single(table[name])
    return array if kind is None else pc.cast(array, kind, safe=False)


def _member(struct: pa.Array, name: str, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_struct(struct.type) or struct.type.get_field_index(name) < 0:
        return pa.nulls(len(struct), kind)
    return pc.cast(pc.struct_field(struct, name), kind, safe=False)


def _lists(past: pa.Array, name: str, kind: pa.DataType) -> pa.Array:
    """Return one field of lists of structs as lists of that field."""
    wanted = pa.list_(kind)
    if pa.types.is_null(past.type):
        return pa.nulls(len(past), wanted)
    if not (pa.types.is_list(past.type) or pa.types.is_large_list(past.type)):
        raise DataError("The column prv_candidates of the table is no list.", "Give a table nested as packets are.")
    lengths = pc.list_value_length(past).fill_null(0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths.cast(pa.int32()))])
    values = _member(past.flatten(), name, kind)
    return pa.ListArray.from_arrays(offsets, values, mask=past.is_null())
