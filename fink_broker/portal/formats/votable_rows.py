"""Rows as VOTable 1.4 (TABLEDATA), a piece at a time: https://www.ivoa.net/documents/VOTable/20191021/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.portal.formats.cells import json_texts, number_texts, texts_of_columns
from fink_broker.portal.formats.json_rows import texts_in_memory

_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
 <RESOURCE type="results">
  <TABLE>
"""
_TAIL = "   </TABLEDATA></DATA>\n  </TABLE>\n </RESOURCE>\n</VOTABLE>\n"
#: characters that XML 1.0 cannot hold in any way
_NOT_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"


def votable_pieces(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """Give the rows of tables as one VOTable; the ID of ``i:ra`` is ``i_ra``, which is the name readers see."""
    is_first = True
    for table in tables:
        if is_first:
            yield (_HEAD + "".join(_fields(table.schema)) + "   <DATA><TABLEDATA>\n").encode()
            is_first = False
        if table.num_columns and table.num_rows:
            yield bytes(_rows(table))
    if not is_first:
        yield _TAIL.encode()


def identifier(name: str) -> str:
    """Return the XML identifier of a column: its name with ``_`` for what an identifier cannot hold."""
    plain = re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
    return plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"


def _fields(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        names = f"ID={quoteattr(identifier(field.name))} name={quoteattr(field.name)}"
        yield f"   <FIELD {names} {_datatype(field.type)}/>\n"


def _datatype(kind: pa.DataType) -> str:
    """Return how the standard declares a type; lists of numbers are arrays, other lists JSON in a text."""
    if _is_array(kind):
        return f'{_datatype(kind.value_type)} arraysize="*"'
    if pa.types.is_boolean(kind):
        return 'datatype="boolean"'
    if pa.types.is_floating(kind):
        return 'datatype="double"' if pa.types.is_float64(kind) else 'datatype="float"'
    if pa.types.is_integer(kind):
        return 'datatype="long"' if kind.bit_width == 64 else 'datatype="int"'
    return 'datatype="unicodeChar" arraysize="*"'


def _is_array(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and pa.types.is_floating(kind.value_type)


def _rows(table: pa.Table) -> memoryview:
    parts: list[object] = ["    <TR><TD>"]
    for index, texts in enumerate(texts_of_columns(table, _texts)):
        parts += [texts, "</TD></TR>\n" if index + 1 == table.num_columns else "</TD><TD>"]
    return texts_in_memory(pc.binary_join_element_wise(*parts, ""))


def _texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_floating(kind):
        texts = number_texts(column, finite_only=False)
        texts = pc.if_else(pc.is_nan(column), "NaN", texts)
        texts = pc.if_else(pc.is_inf(column), pc.if_else(pc.greater(column, 0), "+Inf", "-Inf"), texts)
        return pc.fill_null(texts, "NaN")
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return pc.fill_null(pc.cast(column, pa.string()), "")
    if _is_array(kind):
        filled = pc.replace_substring_regex(json_texts(column), r"^null$", "")
        numbers = pc.replace_substring(pc.replace_substring(filled, "null", "NaN"), ",", " ")
        return pc.utf8_trim(numbers, "[]")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
        texts = pc.cast(column, pa.string())
    else:
        texts = pc.if_else(pc.is_valid(column), json_texts(column), pa.scalar(None, pa.string()))
    return pc.fill_null(_escaped(texts), "")


def _escaped(texts: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(texts, r"[&<>\x00-\x1f]")).as_py():
        return texts
    clean = pc.replace_substring_regex(texts, _NOT_XML, "\ufffd")
    return pa.array([None if text is None else escape(text) for text in clean.to_pylist()], pa.string())
