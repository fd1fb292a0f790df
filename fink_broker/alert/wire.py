"""Alerts as clients read them: every row of a table one bare Avro datum, written for a whole batch at once.

A column costs a few vectorised steps, however many rows it has; the images are copied once, into the finished datum.
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
from pyarrow import types

from fink_broker.alert.wire_columns import pieces_of, time_text
from fink_broker.alert.wire_pieces import Piece, rows_of
from fink_broker.alert.wire_schema import wire_schema

#: So many rows are encoded at a time.
ROWS_AT_ONCE = 512

#: A table in smaller chunks than this is copied into one: every chunk costs as much as some hundred rows.
LEAST_IN_CHUNK = 128


def encode(table: pa.Table) -> list[bytes]:
    """Return each row as one Avro datum, without a header, in the schema that `wire_schema` gives.

    Parameters
    ----------
    table : pyarrow.Table
        Columns that `wire_schema` knows; slices and chunks of any kind.

    Raises
    ------
    DataError
        If a column has no type in Avro, or an unsigned number is too large for it.
    """
    _check(table.schema)
    if table.num_rows < LEAST_IN_CHUNK * max((column.num_chunks for column in table.columns), default=0):
        table = table.combine_chunks()
    datums: list[bytes] = []
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        datums += _encode(batch)
    return datums


def times_as_text(table: pa.Table) -> pa.Table:
    """Return a table whose columns of times are UTC text, ``yyyy-MM-dd HH:mm:ss.SSSSSS``.

    Parameters
    ----------
    table : pyarrow.Table
        Any table; times within structs and lists are left, and become text when they are encoded.
    """
    for number, field in enumerate(table.schema):
        if types.is_timestamp(field.type):
            table = table.set_column(number, field.name, time_text(table.column(number)))
    return table


@lru_cache(maxsize=8)
def _check(schema: pa.Schema) -> None:
    """Raise an error that says which column it is that cannot be sent, if there is one."""
    wire_schema(schema)


def _encode(batch: pa.RecordBatch) -> list[bytes]:
    pieces: list[Piece] = [piece for column in batch.columns for piece in pieces_of(column)]
    return rows_of(pieces, batch.num_rows)
