"""One schema for alerts that were stored with several: columns joined, types widened, what is missing null."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.wire_columns import time_text
from fink_broker.alert.wire_schema import is_list, primitive
from fink_broker.errors import DataError

#: Arrow's type for each of Avro's.
_PLAIN = {"float": pa.float32(), "double": pa.float64(), "string": pa.string(), "bytes": pa.binary()}


class _Differ(Exception):
    """Two types of one column have none in common."""

    def __init__(self, path: str, one: pa.DataType, other: pa.DataType) -> None:
        super().__init__(path)
        self.path, self.one, self.other = path, one, other


class JoinedSchema:
    """The schema of alerts of several files.

    Parameters
    ----------
    schemas : iterable of pyarrow.Schema
        Those of the files, the oldest first.

    Attributes
    ----------
    schema : pyarrow.Schema
        Every column, but those whose types cannot be brought together. Types are as they travel: whole numbers of 32
        or 64 bits, times as text.
    """

    def __init__(self, schemas: Iterable[pa.Schema]) -> None:
        kinds: dict[str, pa.DataType] = {}
        self._differ: dict[str, _Differ] = {}
        for schema in schemas:
            for field in schema:
                kind = plain(field.type)
                try:
                    kinds[field.name] = _joined(field.name, kinds[field.name], kind) if field.name in kinds else kind
                except _Differ as error:
                    self._differ.setdefault(field.name, error)
        self.schema = pa.schema([(name, kind) for name, kind in kinds.items() if name not in self._differ])

    @property
    def differing(self) -> tuple[str, ...]:
        """Columns whose types cannot be brought together."""
        return tuple(self._differ)

    def check(self, names: Sequence[str]) -> None:
        """See whether columns, each the whole of it, have one type in all files.

        Raises
        ------
        DataError
            If one has types that cannot be brought together.
        """
        for name in names:
            if (error := self._differ.get(name)) is not None:
                raise DataError(
                    f"The column '{error.path}' is {error.one} in some files of these nights and {error.other} in "
                    "others.",
                    "Transfer the nights before and after the change apart, or leave it out (--columns names those "
                    "that go along).",
                )


def plain(kind: pa.DataType) -> pa.DataType:
    """Return a type as it travels: nothing encoded, no narrow numbers, times as text."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, plain(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(pa.string(), plain(kind.item_type))
    if is_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_integer(kind):
        return pa.int64() if primitive(kind) == "long" else pa.int32()
    return _PLAIN.get(primitive(kind) or "", kind)


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of a schema from rows that may lack some of them or have narrower ones.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of one file.
    schema : pyarrow.Schema
        Part of a `JoinedSchema` to which the file belongs.
    """
    arrays = []
    for field in schema:
        if field.name not in table.column_names:
            arrays.append(pa.nulls(len(table), field.type))
            continue
        column = table[field.name].combine_chunks()
        whole = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        arrays.append(_conform(whole, field.type))
    return pa.Table.from_arrays(arrays, schema=schema) if arrays else table.select([])


def _conform(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.type == kind:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if pa.types.is_struct(kind):
        members = [_member(array, field) for field in kind]
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        lengths = pc.list_value_length(array).fill_null(0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        values = _conform(array.flatten(), kind.value_type)
        return pa.ListArray.from_arrays(offsets, values, type=kind, mask=array.is_null())
    if pa.types.is_timestamp(array.type):
        return time_text(array)
    return pc.cast(array, kind)


def _member(array: pa.StructArray, field: pa.Field) -> pa.Array:
    if array.type.get_field_index(field.name) < 0:
        return pa.nulls(len(array), field.type)
    return _conform(pc.struct_field(array, field.name), field.type)


def _joined(path: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both exactly."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return _joined_structs(path, one, other)
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_joined(path, one.value_type, other.value_type))
    if pa.types.is_map(one) and pa.types.is_map(other):
        return pa.map_(pa.string(), _joined(path, one.item_type, other.item_type))
    return _joined_numbers(path, one, other)


def _joined_structs(path: str, one: pa.StructType, other: pa.StructType) -> pa.StructType:
    kinds = {field.name: field.type for field in one}
    for field in other:
        known = kinds.get(field.name)
        kinds[field.name] = field.type if known is None else _joined(f"{path}.{field.name}", known, field.type)
    return pa.struct(list(kinds.items()))


def _joined_numbers(path: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
    both = {one, other}
    if both == {pa.int32(), pa.int64()}:
        return pa.int64()
    if both <= {pa.int32(), pa.float32(), pa.float64()}:  # a whole number of 64 bits would lose digits
        return pa.float64()
    raise _Differ(path, one, other)
