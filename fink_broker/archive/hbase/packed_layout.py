"""Where everything is in a packed row, by its schema; ``packed.py`` tells the format."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa

from fink_broker.archive.hbase.packed_schema import is_fixed, schema_id

ID_BYTES = 8
CRC_BYTES = 4
#: CRC-32 of any bytes followed by their own CRC-32.
RESIDUE = 0x2144DF1C
#: A length from here on does not fit the byte it has.
LONG = 255
#: What offsets of Arrow arrays can tell.
MOST_BYTES = 2**31 - 1


class Column(NamedTuple):
    """Where a column is within a row."""

    name: str
    kind: pa.DataType
    #: place among columns: its bit
    number: int
    #: first byte of its value in the head
    start: int
    width: int
    #: first of its pieces
    piece: int
    pieces: int


class Layout(NamedTuple):
    """Where everything is in rows of one schema."""

    id: str
    schema: pa.Schema
    columns: tuple[Column, ...]
    pieces: int
    head: int

    @property
    def bits(self) -> slice:
        """The bytes of the head that tell nulls."""
        return slice(ID_BYTES, ID_BYTES + (len(self.columns) + 7) // 8)


@lru_cache(maxsize=256)
def layout_of(schema: pa.Schema) -> Layout:
    """Return the layout of rows of a canonical schema."""
    start = ID_BYTES + (len(schema) + 7) // 8
    columns, piece = [], 0
    for number, field in enumerate(schema):
        width = width_of(field.type) if is_fixed(field.type) else 0
        pieces = _pieces_of(field.type)
        columns.append(Column(field.name, field.type, number, start, width, piece, pieces))
        start, piece = start + width, piece + pieces
    return Layout(schema_id(schema), schema, tuple(columns), piece, start + piece)


def width_of(kind: pa.DataType) -> int:
    """Return how many bytes a value of a type of one width takes."""
    return max(1, int(kind.bit_width) // 8)


def _pieces_of(kind: pa.DataType) -> int:
    if pa.types.is_list(kind):
        return 3 if pa.types.is_string(kind.value_type) else 2
    return 0 if is_fixed(kind) or pa.types.is_null(kind) else 1
