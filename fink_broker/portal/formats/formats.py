"""The formats there are, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from fink_broker.portal.formats.csv_rows import csv_pieces
from fink_broker.portal.formats.json_rows import json_pieces
from fink_broker.portal.formats.parquet_rows import parquet_pieces
from fink_broker.portal.formats.votable_rows import votable_pieces

#: bytes of Arrow data that become one piece of an answer: what an answer needs of memory is some times this
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Format:
    """How rows are written.

    Parameters
    ----------
    name : str
        Value of ``output-format``.
    content_type : str
        What it is sent as.
    encode : callable
        From tables of one schema, none of them empty, to bytes. It asks for the first table before it gives anything.
    empty : callable
        From the schema of an answer without rows, if it is known, to bytes.
    is_dense : bool
        Whether compressing it once more is of no use.
    """

    name: str
    content_type: str
    encode: Callable[[Iterator[pa.Table]], Iterator[bytes | memoryview]]
    empty: Callable[[pa.Schema], bytes]
    is_dense: bool = False


def _empty_parquet(schema: pa.Schema) -> bytes:
    return b"".join(parquet_pieces(iter([schema.empty_table()])))


def _empty_votable(schema: pa.Schema) -> bytes:
    return b"".join(votable_pieces(iter([schema.empty_table()])))


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("json", "application/json", json_pieces, lambda _: b"[]"),
        Format("csv", "application/csv", csv_pieces, lambda _: b"\n"),
        Format("votable", "text/xml", votable_pieces, _empty_votable),
        Format("parquet", "parquet", parquet_pieces, _empty_parquet, is_dense=True),
    )
}


def pieces_of(form: Format, tables: Iterable[pa.Table]) -> Iterator[bytes | memoryview]:
    """Give the bytes of an answer as its rows come.

    The first table with rows is asked for before the first byte is given, so that what goes wrong until then can still
    be said by the status of the answer.

    Parameters
    ----------
    form : Format
        How to write it.
    tables : iterable of pyarrow.Table
        The rows, all of one schema.

    Returns
    -------
    iterator of bytes
        Closing it closes the tables it reads.
    """
    source = iter(tables)
    schema = pa.schema([])
    try:
        for table in source:
            schema = table.schema
            if table.num_rows:
                yield from form.encode(_in_slices(chain([table], source)))
                return
        yield form.empty(schema)
    finally:
        close = getattr(source, "close", None)
        if close:
            close()


def with_text_identifiers(table: pa.Table) -> pa.Table:
    """Return the rows with 64-bit identifiers as texts: JavaScript's numbers have 53 bits.

    Identifiers are the columns of 64-bit integers whose names contain ``id``: ``i:candid``, ``i:pid``,
    ``i:objectidps1``, ….
    """
    for index, column in enumerate(table.schema):
        if pa.types.is_int64(column.type) and "id" in column.name.partition(":")[2].lower():
            table = table.set_column(index, column.name, table.column(index).cast(pa.string()))
    return table


def _in_slices(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Give the rows in tables of bounded size, each column in one chunk and none a dictionary."""
    for table in tables:
        if not table.num_rows:
            continue
        most = max(1, PIECE_BYTES // max(1, table.nbytes // table.num_rows))
        for start in range(0, table.num_rows, most):
            rows = min(most, table.num_rows - start)  # a table without columns has as many as are asked for
            yield _plain(table.slice(start, rows))


def _plain(table: pa.Table) -> pa.Table:
    for index, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(index, column.name, table.column(index).cast(column.type.value_type))
    return table.combine_chunks()
