"""What filters see of a batch of alerts: columns by path, numbers in 64 bits, nothing but null for what is missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats, Mask, to_floats
from fink_broker.errors import ConfigError
from fink_broker.filters.names import near_names

CANDIDATE, PAST = "candidate", "prv_candidates"

#: Columns that rules read but a table may lack, since the science module that writes them can be switched off: they
#: then count as null.
OPTIONAL_COLUMNS: dict[str, pa.DataType] = {
    "mulens": pa.float64(),
    "rf_kn_vs_nonkn": pa.float64(),
    "rf_snia_vs_nonia": pa.float64(),
}


#: Who writes the columns that the broker's own rules read: named where a column is absent.
SCIENCE_MODULES: dict[str, str] = {
    "cdsxmatch": "crossmatch",
    "DR3Name": "crossmatch",
    "spicy_class": "crossmatch",
    "tns": "crossmatch",
    "roid": "asteroids",
    "rf_snia_vs_nonia": "early_snia",
    "snn_snia_vs_nonia": "supernnova",
    "snn_sn_vs_all": "supernnova",
    "mulens": "microlensing",
    "rf_kn_vs_nonkn": "kilonova",
    "lc_features_g": "features",
    "lc_features_r": "features",
    "elephant_kstest_science": "hostless",
    "elephant_kstest_template": "hostless",
    "finkclass": "finkclass",
}

Made = TypeVar("Made")


class BySchema(Generic[Made]):
    """What was made for a schema, kept for the schemas seen last: batch after batch has the same.

    Parameters
    ----------
    make : callable
        Makes it, from the schema.
    """

    _kept = 8

    def __init__(self, make: Callable[[pa.Schema], Made]) -> None:
        self._make = make
        self._entries: list[tuple[pa.Schema, Made]] = []

    def __getitem__(self, schema: pa.Schema) -> Made:
        for known, made in self._entries:
            if known is schema:
                return made
        for known, made in self._entries:
            if known.equals(schema):
                return made
        made = self._make(schema)
        self._entries = [(schema, made), *self._entries[: self._kept - 1]]
        return made


#: One object for all schemas that are equal, so that they are told apart by what they are, not by looking into them.
_SCHEMAS: BySchema[pa.Schema] = BySchema(lambda schema: schema)


class AlertView:
    """A batch of alerts, as rules read it.

    Whole numbers arrive as int64, others as float64 in which NaN has become null: a comparison with a missing value
    never holds, whichever of the two stood in the packet.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of the science table, nested as packets are; columns and fields nobody reads may be left out.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._columns: dict[str, pa.Array] = {}
        self._whole: dict[str, pa.Array] = {}
        self._flat: dict[str, tuple[pa.Array, pa.Array, pa.Array]] = {}
        self._results: dict[str, Any] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def schema(self) -> pa.Schema:
        """Schema of the table; of views whose schemas are equal, the same object."""
        return _SCHEMAS[self.table.schema]

    def cached(self, key: str, make: Callable[[AlertView], Made]) -> Made:
        """Return what a function makes of this batch, made once for all who ask by the same key."""
        if key not in self._results:
            self._results[key] = make(self)
        return self._results[key]

    @staticmethod
    def type_of(schema: pa.Schema, path: str) -> pa.DataType:
        """Return the type in which a column is seen: of a field of a list of structs, a list.

        Raises
        ------
        ConfigError
            If the table lacks the column; the hint gives the names most like it.
        """
        name, _, field = path.partition(".")
        if schema.get_field_index(name) < 0:
            if not field and name in OPTIONAL_COLUMNS:
                return OPTIONAL_COLUMNS[name]
            raise _no_column(path, all_paths(schema))
        kind = _plain(schema.field(name).type)
        if not field:
            return _seen(kind)
        inner = kind.value_type if pa.types.is_list(kind) else kind
        if not pa.types.is_struct(inner) or inner.get_field_index(field) < 0:
            raise _no_column(path, [known for known in all_paths(schema) if known.startswith(f"{name}.")])
        found = _seen(inner.field(inner.get_field_index(field)).type)
        return pa.list_(found) if pa.types.is_list(kind) else found

    def column(self, path: str) -> pa.Array:
        """Return a column: float64 or int64 for numbers, else as it is; a list for a field of the history.

        Raises
        ------
        ConfigError
            If there is none of that path.
        """
        if path not in self._columns:
            kind = self.type_of(self.table.schema, path)
            self._columns[path] = _cleaned(self._raw(path), kind)
        return self._columns[path]

    def numbers(self, path: str) -> Floats:
        """Return a column of numbers as float64, NaN for null."""
        return to_floats(self.column(path))

    def texts(self, path: str, missing: str = "") -> np.ndarray:
        """Return a column of texts as an array of str."""
        return np.asarray(self.column(path).cast(pa.string()).fill_null(missing).to_pylist(), dtype=object)

    def is_in(self, path: str, values: tuple[str, ...] | frozenset[str]) -> Mask:
        """Return where a text is one of some; a missing one is none of them."""
        found = pc.is_in(self.column(path), value_set=pa.array(sorted(values)))
        return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)

    def take(self, rows: np.ndarray) -> AlertView:
        """Return the view of some of the alerts."""
        return AlertView(self.table.take(pa.array(rows)))

    def _single(self, name: str) -> pa.Array:
        if name not in self._whole:
            column = self.table[name]
            # a batch read from a file is one chunk already: whole histories need not be copied
            array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
            array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
            self._whole[name] = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return self._whole[name]

    def _raw(self, path: str) -> pa.Array:
        name, _, field = path.partition(".")
        if name not in self.table.column_names:
            return pa.nulls(len(self), OPTIONAL_COLUMNS[name])
        array = self._single(name)
        if not field:
            return array
        if not pa.types.is_list(array.type):
            return pc.struct_field(array, field)
        offsets, points, absent = self._points(name, array)
        return pa.ListArray.from_arrays(offsets, pc.struct_field(points, field), mask=absent)

    def _points(self, name: str, lists: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Return offsets, elements and null mask of a column of lists, made once for all its fields."""
        if name not in self._flat:
            self._flat[name] = (_offsets(lists), lists.flatten(), lists.is_null())
        return self._flat[name]


def _offsets(lists: pa.Array) -> pa.Array:
    """Return offsets from 0; those of a slice begin elsewhere, so they are made anew, never taken over."""
    lengths = pc.list_value_length(lists).fill_null(0).cast(pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])


def all_paths(schema: pa.Schema) -> list[str]:
    """Return the paths of all columns of a table, fields of structs and of lists of structs with a dot."""
    paths = []
    for column in schema:
        kind = _plain(column.type)
        inner = kind.value_type if pa.types.is_list(kind) else kind
        if pa.types.is_struct(inner):
            paths += [f"{column.name}.{field.name}" for field in inner]
        else:
            paths.append(column.name)
    return paths


def _no_column(path: str, known: list[str]) -> ConfigError:
    module = SCIENCE_MODULES.get(path.partition(".")[0])
    if module and not any(name.partition(".")[0] == path.partition(".")[0] for name in known):
        return ConfigError(
            f"Alerts have no column '{path}'.",
            f"The science module '{module}' writes it: put it into science.modules, or leave the rule out.",
        )
    return ConfigError(f"Alerts have no column '{path}'.", near_names(path, known, "columns"))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _seen(kind: pa.DataType) -> pa.DataType:
    """Return the type in which rules see values of a type."""
    kind = _plain(kind)
    if pa.types.is_list(kind):
        return pa.list_(_seen(kind.value_type))
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.int64() if pa.types.is_integer(kind) else kind


def _cleaned(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(
            _offsets(array), _cleaned(array.flatten(), kind.value_type), mask=array.is_null()
        )
    if pa.types.is_floating(kind):
        wide = pc.cast(array, pa.float64())
        return pc.if_else(pc.is_nan(wide), pa.scalar(None, pa.float64()), wide)
    return pc.cast(array, kind) if pa.types.is_integer(kind) else array
