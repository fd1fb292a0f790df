"""The Avro schema of messages: what Spark's ``to_avro`` would take for the same columns, made of an Arrow schema.

Every value is nullable and the value stands first in its union; records are written out where they are used, each
in the namespace of the record around it, so that no name is ever used twice. (Avro 1.11 specification, "Schema
Declaration"; the mapping is that of Spark's ``SchemaConverters.toAvroType``.)
"""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
from pyarrow import types

from fink_broker.errors import DataError

#: Name of the record that is a message, as readers have known it since Spark wrote it.
TOP_RECORD = "topLevelRecord"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def wire_schema(schema: pa.Schema) -> dict[str, Any]:
    """Return the Avro schema with which rows of a table are written.

    Parameters
    ----------
    schema : pyarrow.Schema
        Columns of booleans, numbers, texts, bytes, times, and structs, lists and maps (by text) of these. A time is
        a string on the wire.

    Raises
    ------
    DataError
        If a column is of another type, or its name cannot be one in Avro.
    """
    return _record(list(schema), TOP_RECORD, "", "")


def wire_schema_text(schema: pa.Schema) -> str:
    """Return the same as JSON, without spaces: what stands in the key of a message.

    Raises
    ------
    DataError
        As `wire_schema`.
    """
    return json.dumps(wire_schema(schema), separators=(",", ":"))


def is_list(kind: pa.DataType) -> bool:
    """Return whether values of a type are arrays in Avro, whatever their layout in Arrow."""
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether values of a type are texts in Arrow."""
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether values of a type are bytes, whatever their layout in Arrow."""
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def primitive(kind: pa.DataType) -> str | None:
    """Return the primitive Avro type of an Arrow type, None if it has none."""
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        fits_int = kind.bit_width < 32 or types.is_int32(kind)
        return "int" if fits_int else "long"
    if types.is_floating(kind):
        return "double" if types.is_float64(kind) else "float"
    if is_bytes(kind):
        return "bytes"
    return "string" if is_text(kind) or types.is_timestamp(kind) else None


def _record(fields: list[pa.Field], name: str, around: str, path: str) -> dict[str, Any]:
    space = f"{around}.{name}" if around else name
    record: dict[str, Any] = {"type": "record", "name": name}
    if around:
        record["namespace"] = around
    record["fields"] = []
    for field in fields:
        place = f"{path}.{field.name}" if path else field.name
        if not _NAME.fullmatch(field.name):
            raise DataError(
                f"The column {place!r} cannot be sent: Avro has no such name.",
                "Rename it to letters, digits and _, with no digit first.",
            )
        if any(field.name == other["name"] for other in record["fields"]):
            raise DataError(f"The column {place!r} cannot be sent: there are two of that name.", "Rename one of them.")
        record["fields"].append({"name": field.name, "type": _value(field.type, field.name, space, place)})
    return record


def _value(kind: pa.DataType, name: str, around: str, path: str) -> Any:
    """Return the type of a nullable value; the records in it get the name of the field."""
    if types.is_dictionary(kind):
        return _value(kind.value_type, name, around, path)
    if types.is_null(kind):
        return "null"
    return [_plain(kind, name, around, path), "null"]


def _plain(kind: pa.DataType, name: str, around: str, path: str) -> Any:
    if types.is_struct(kind):
        return _record(list(kind), name, around, path)
    if types.is_map(kind) and is_text(kind.key_type):
        return {"type": "map", "values": _value(kind.item_type, name, around, path)}
    if is_list(kind):
        return {"type": "array", "items": _value(kind.value_type, name, around, path)}
    found = primitive(kind)
    if found is None:
        raise DataError(
            f"The column {path} cannot be sent: it is of type {kind}.",
            "Turn it into a number, a text or bytes, or leave it out.",
        )
    return found
