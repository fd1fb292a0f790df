"""Rows as JSON: a list of objects, one a row."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.portal.formats.cells import json_texts, texts_of_columns


def json_pieces(tables: Iterator[pa.Table]) -> Iterator[bytes | memoryview]:
    """Give the rows of tables as one JSON list of objects."""
    before = b"["
    for table in tables:
        yield before
        yield _rows(table)
        before = b","
    yield b"]"


def _rows(table: pa.Table) -> memoryview:
    """Return the rows as objects, with commas between them.

    Each column becomes texts as a whole, and Arrow joins them row by row; the texts of an Arrow column lie one after
    the other in memory, so they are the answer as they are.
    """
    if not table.num_columns:
        return memoryview(b",".join([b"{}"] * table.num_rows))
    parts: list[object] = []
    before = "{"
    for name, texts in zip(table.column_names, texts_of_columns(table, json_texts), strict=True):
        parts += [f"{before}{json.dumps(name, ensure_ascii=False)}:", texts]
        before = ","
    rows = pc.binary_join_element_wise(*parts, "},", "")
    return memoryview(texts_in_memory(rows))[:-1]


def texts_in_memory(texts: pa.StringArray) -> memoryview:
    """Return the texts of a column without nulls, one after the other."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int64 if pa.types.is_large_string(texts.type) else np.int32)
    start, stop = int(ends[texts.offset]), int(ends[texts.offset + len(texts)])
    return memoryview(content).cast("B")[start:stop]
