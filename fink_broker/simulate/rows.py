"""Alerts out of Parquet tables: rows made to fit the packet schema they once had.

Spark keeps the types of packets; pandas turns every integer beside a missing value into a float, and missing values
into NaN. Both are put right here, by the schema.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.alert.packet import Record
from fink_broker.alert.schema import SCHEMAS, Schema, parse
from fink_broker.errors import DataError

_ROWS_AT_A_TIME = 64
_MAY_BE_ABSENT = {"fp_hists"}  # the column came with schema 4.02; all others make up an alert

Convert = Callable[[Any, str], Any]


def ztf_packet_schema() -> Schema:
    """Return the schema ZTF packets are written with, version 4.02, documentation included."""
    return parse((SCHEMAS / "ztf" / "alert_4.02.avsc").read_text())


class AlertRows:
    """The alerts in a Parquet file.

    Parameters
    ----------
    path : Path
        The file.
    schema : dict
        Schema of packets; columns it does not know are left aside.

    Raises
    ------
    DataError
        If it is no Parquet file.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"It cannot be read as Parquet: {str(error).splitlines()[0][:200]}") from error
        self._convert = _converter(schema, {})
        self.count: int = self._file.metadata.num_rows
        there = set(self._file.schema_arrow.names)
        wanted = [field["name"] for field in schema["fields"]]
        #: columns an alert has and this file has not: if any, its rows are no whole alerts
        self.lacking = [name for name in wanted if name not in there and name not in _MAY_BE_ABSENT]
        self._columns = [name for name in wanted if name in there]

    def __iter__(self) -> Iterator[Record | DataError]:
        """Yield each row as an alert, or as the reason why it is none; nothing if columns are lacking."""
        if self.lacking:
            return
        try:
            for batch in self._file.iter_batches(_ROWS_AT_A_TIME, columns=self._columns, use_threads=False):
                for row in batch.to_pylist():
                    try:
                        yield self._convert(row, "")
                    except ValueError as error:
                        yield DataError(f"It is no whole alert: {error}.")
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"It breaks off: {str(error).splitlines()[0][:200]}") from error


def _converter(of_type: Any, named: dict[str, Convert]) -> Convert:
    """Return a function (value, name of the field) that makes a value fit a type, or raises ValueError."""
    if isinstance(of_type, list):
        return _optional(of_type, named)
    if isinstance(of_type, str):
        return named[of_type] if of_type in named else _SIMPLE[of_type]
    if of_type["type"] == "record":
        convert = named[of_type["name"]] = _record(of_type, named)
        return convert
    if of_type["type"] == "array":
        element = _converter(of_type["items"], named)
        return lambda value, name: [element(one, name) for one in _expect(value, list, name)]
    return _converter(of_type["type"], named)


def _optional(branches: list[Any], named: dict[str, Convert]) -> Convert:
    (branch,) = (one for one in branches if one != "null")
    convert = _converter(branch, named)

    def optional(value: Any, name: str) -> Any:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        return convert(value, name)

    return optional


def _record(schema: Schema, named: dict[str, Convert]) -> Convert:
    fields = [(field["name"], _converter(field["type"], named)) for field in schema["fields"]]

    def record(value: Any, name: str) -> Any:
        row = _expect(value, dict, name)
        within = f"{name}." if name else ""
        return {key: convert(row.get(key), within + key) for key, convert in fields}

    return record


def _whole(value: Any, name: str) -> int:
    if isinstance(value, int | float) and math.isfinite(value) and value == int(value):
        return int(value)
    raise ValueError(f"{name} is {_tell(value)}, not a whole number")


def _real(value: Any, name: str) -> float:
    return float(_expect(value, (int, float), name))


def _expect(value: Any, kind: Any, name: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{name or 'it'} is {_tell(value)}")
    return value


def _tell(value: Any) -> str:
    return "missing" if value is None else f"{str(value)[:40]!r}"


_SIMPLE: dict[str, Convert] = {
    "int": _whole,
    "long": _whole,
    "float": _real,
    "double": _real,
    "string": lambda value, name: _expect(value, str, name),
    "bytes": lambda value, name: _expect(value, bytes, name),
}
