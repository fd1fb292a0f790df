"""Which columns a packed row has: types, their names, and the id by which a row names its schema.

A database of one cell a column needs a row that tells the types of cells, one for every pair of broker and science
version (``schema_<broker version>_<science version>``). Two faults come with it: rows written by another pair of
versions are decoded wrongly, and columns may differ within a version, because modules can be switched off or added by
users. Here every row names the schema it was packed with, by a digest of the schema itself.
"""

from __future__ import annotations

import hashlib
import json
import re

import pyarrow as pa

from fink_broker.errors import DataError

#: Types of one width, by name. Booleans take a byte.
FIXED = {
    str(kind): kind
    for kind in (
        *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()),
        *(pa.uint64(), pa.float32(), pa.float64()),
    )
}
_TEXTS = {"string": pa.string(), "binary": pa.binary()}
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=([A-Za-z0-9_+:/-]+))?\]")
_LIST = re.compile(r"list<(.+)>")


def canonical(schema: pa.Schema) -> pa.Schema:
    """Return the schema as rows are packed: large and dictionary types as what they hold, no metadata.

    Raises
    ------
    DataError
        If a column cannot be packed, because it holds structs, maps, or lists of lists.
    """
    return pa.schema([pa.field(field.name, _canonical_type(field.type, field.name)) for field in schema])


def _canonical_type(kind: pa.DataType, name: str) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _canonical_type(kind.value_type, name)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = _canonical_type(kind.value_type, name)
        if not (is_fixed(inner) or pa.types.is_string(inner)):
            raise _cannot_pack(name, kind)
        return pa.list_(inner)
    if is_fixed(kind) or pa.types.is_null(kind) or str(kind) in _TEXTS:
        return kind
    raise _cannot_pack(name, kind)


def is_fixed(kind: pa.DataType) -> bool:
    """Tell whether all values of a type are equally wide."""
    return str(kind) in FIXED or pa.types.is_timestamp(kind)


def _cannot_pack(name: str, kind: pa.DataType) -> DataError:
    return DataError(
        f"Column `{name}` is of type {kind}, which cannot be archived.",
        "Make it numbers, booleans, texts, times, or lists of numbers or texts.",
    )


def schema_text(schema: pa.Schema) -> str:
    """Return a canonical schema as JSON: pairs of name and type in the order of columns."""
    columns = [[field.name, _type_name(field.type)] for field in schema]
    return json.dumps({"columns": columns}, ensure_ascii=True, separators=(",", ":"))


def schema_id(schema: pa.Schema) -> str:
    """Return the id of a canonical schema: the first 8 bytes of the SHA-256 of its text, as 16 hexadecimal digits."""
    return hashlib.sha256(schema_text(schema).encode()).hexdigest()[:16]


def schema_from_text(text: str) -> pa.Schema:
    """Return the schema a text describes, the inverse of `schema_text`.

    Raises
    ------
    DataError
        If it describes none.
    """
    try:
        columns = json.loads(text)["columns"]
        return pa.schema([pa.field(str(name), _type_of(kind)) for name, kind in columns])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            "The description of archived columns cannot be read.",
            "A newer broker may have written it: update this one.",
        ) from error


def _type_name(kind: pa.DataType) -> str:
    return f"list<{kind.value_type}>" if pa.types.is_list(kind) else str(kind)


def _type_of(name: str) -> pa.DataType:
    if listed := _LIST.fullmatch(name):
        return pa.list_(_type_of(listed[1]))
    if timestamp := _TIMESTAMP.fullmatch(name):
        return pa.timestamp(timestamp[1], timestamp[2])
    return pa.null() if name == "null" else {**FIXED, **_TEXTS}[name]
