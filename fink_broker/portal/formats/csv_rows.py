"""Rows as CSV: a line of names, then a line a row; lists as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.portal.formats.cells import json_texts, number_texts, texts_of_columns
from fink_broker.portal.formats.json_rows import texts_in_memory

_NEEDS_QUOTES = r'[",\r\n]'


def csv_pieces(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """Give the rows of tables as CSV (RFC 4180, lines end with a line feed); null and NaN are empty."""
    is_first = True
    for table in tables:
        if is_first:
            names = io.StringIO()
            csv.writer(names, lineterminator="\n").writerow(table.column_names)
            yield names.getvalue().encode()
            is_first = False
        if table.num_columns:
            yield bytes(_rows(table))


def _rows(table: pa.Table) -> memoryview:
    parts: list[object] = []
    for index, texts in enumerate(texts_of_columns(table, _texts)):
        parts += [texts, "," if index + 1 < table.num_columns else "\n"]
    return texts_in_memory(pc.binary_join_element_wise(*parts, ""))


def _texts(column: pa.Array) -> pa.Array:
    """Return cells as CSV writes them, in quotes where they need them."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return pc.fill_null(pc.if_else(column, "True", "False"), "")
    if pa.types.is_floating(kind):
        return pc.fill_null(number_texts(column, finite_only=True), "")
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return pc.fill_null(pc.cast(column, pa.string()), "")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
        texts = pc.cast(column, pa.string())
    else:
        texts = pc.if_else(pc.is_valid(column), json_texts(column), pa.scalar(None, pa.string()))
    special = pc.fill_null(pc.match_substring_regex(texts, _NEEDS_QUOTES), False)
    if pc.any(special).as_py():
        doubled = pc.replace_substring(texts, '"', '""')
        texts = pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), texts)
    return pc.fill_null(texts, "")
