"""Alerts that were stored with several schemas, brought to one: what a file lacks is null there, narrow types widen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

#: Numbers that hold all values of both.
_WIDER = {
    frozenset((pa.int32(), pa.int64())): pa.int64(),
    frozenset((pa.float32(), pa.float64())): pa.float64(),
    frozenset((pa.int32(), pa.float64())): pa.float64(),
    frozenset((pa.int32(), pa.float32())): pa.float64(),
}
_UNITS = ("s", "ms", "us", "ns")


def families(schemas: Iterable[pa.Schema]) -> list[pa.Schema]:
    """Return as few schemas as all of the given ones can be brought to without losing a value.

    It is one, unless the types of a column have none in common (a text here, a number there).
    """
    found: list[pa.Schema] = []
    for schema in schemas:
        for place, one in enumerate(found):
            both = united_schemas(one, schema)
            if both is not None:
                found[place] = both
                break
        else:
            found.append(pa.schema([pa.field(field.name, field.type) for field in schema]))
    return found


def family_of(schema: pa.Schema, found: Sequence[pa.Schema]) -> int:
    """Return which of the `families` alerts of a schema can be brought to without losing a column.

    Raises
    ------
    ValueError
        If there is none: the schema was not among those the families were made of.
    """
    for place, one in enumerate(found):
        both = united_schemas(one, schema)
        if both is not None and both.equals(one):
            return place
    raise ValueError("alerts of a schema that nobody has looked at")


def united_schemas(one: pa.Schema, other: pa.Schema) -> pa.Schema | None:
    """Return the schema that holds the columns of both, None if a column is of types that have none in common."""
    fields = _united_fields(list(one), list(other))
    return None if fields is None else pa.schema(fields)


def united(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of two types, None if there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_nested(one) and pa.types.is_nested(other):
        return _united_nested(one, other)
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        return pa.timestamp(max(one.unit, other.unit, key=_UNITS.index), one.tz)
    return _WIDER.get(frozenset((one, other)))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the columns of a schema to which theirs can be brought, in its order."""
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(len(table), field.type))
            continue
        column = table[field.name]
        same = column.type == field.type
        columns.append(
            column if same else pa.chunked_array([_conform(c, field.type) for c in column.chunks], field.type)
        )
    return pa.Table.from_arrays(columns, schema=schema)


def _united_nested(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = _united_fields(list(one), list(other))
        return None if fields is None else pa.struct(fields)
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = united(one.value_type, other.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_map(one) and pa.types.is_map(other) and one.key_type == other.key_type:
        inner = united(one.item_type, other.item_type)
        return None if inner is None else pa.map_(one.key_type, inner)
    return None


def _united_fields(one: list[pa.Field], other: list[pa.Field]) -> list[pa.Field] | None:
    kinds = {field.name: field.type for field in one}
    for field in other:
        kind = united(kinds[field.name], field.type) if field.name in kinds else field.type
        if kind is None:
            return None
        kinds[field.name] = kind
    return [pa.field(name, kind) for name, kind in kinds.items()]


def _conform(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if pa.types.is_struct(kind):
        known = {field.name for field in array.type}
        members = [
            _conform(pc.struct_field(array, field.name), field.type) if field.name in known
            else pa.nulls(len(array), field.type)
            for field in kind
        ]  # fmt: skip
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        values = _conform(array.flatten(), kind.value_type)
        return pa.ListArray.from_arrays(_offsets(array), values, type=kind, mask=array.is_null())
    if pa.types.is_map(kind):
        plain = array.cast(pa.list_(pa.struct([("key", array.type.key_type), ("value", array.type.item_type)])))
        entries = plain.flatten()
        keys, items = pc.struct_field(entries, "key"), _conform(pc.struct_field(entries, "value"), kind.item_type)
        offsets = pc.if_else(pa.concat_arrays([array.is_null(), pa.array([False])]), None, _offsets(plain))
        return pa.MapArray.from_arrays(offsets, keys, items, type=kind)
    return pc.cast(array, kind)


def _offsets(lists: pa.ListArray) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
