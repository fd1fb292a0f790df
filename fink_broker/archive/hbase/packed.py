"""Alerts as bytes, a row each: all columns of an alert in one cell of the database.

A row is::

    8 bytes    id of its schema (``packed_schema.py``)
    C/8        a bit a column, set where the value is null; then the values of all columns of one width
    P          the length of each piece, a byte; 255: it is among the lengths that follow
    4 each     lengths from 255 on
    …          the pieces: texts, and values of lists
    4 bytes    CRC-32 of all this, so that damaged and foreign bytes are told from alerts

all numbers little-endian. A text is one piece. A list of numbers is two: which elements are valid (a byte each, nothing
if all are) and their values. A list of texts is three: valid, lengths (4 bytes each), and the texts.

The bytes of a row are a function of the row and the schema alone, not of the rows packed with it: writing an alert
twice writes the same. No step takes a Python call a cell. One cell a column costs the database a key, a time and a
tag for each value, 50 times as much processor time to write, and 30 times as much to read.
"""

from fink_broker.archive.hbase.packed_read import unpack
from fink_broker.archive.hbase.packed_schema import canonical, schema_from_text, schema_id, schema_text
from fink_broker.archive.hbase.packed_write import pack

__all__ = ["canonical", "pack", "schema_from_text", "schema_id", "schema_text", "unpack"]
