"""Files of names, orbits and candidates, made into rows of the tables of `records`: Parquet or CSV, read in pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from fink_broker.archive.hbase.keys import part
from fink_broker.archive.hbase.reader import Archive
from fink_broker.errors import DataError
from fink_broker.portal import records
from fink_broker.portal.routes.ssocand import light_curve_key, orbit_key
from fink_broker.portal.sso_names import KnownName, rows_for

Fields = Mapping[str, Any]
#: rows that are read at once
PIECE = 10_000
CANDIDATE = "ssoCandId"
TNS_FIELDS = ("fullname", "internalname", "ra", "declination", "type", "redshift", "discoverydate")


@dataclass(frozen=True)
class Content:
    """What a file may hold.

    Parameters
    ----------
    columns : tuple of str
        Columns it must have.
    meaning : str
        What it is, for help texts.
    rows : callable
        From its rows to table, key and fields of what is stored.
    """

    columns: tuple[str, ...]
    meaning: str
    rows: Callable[[Iterable[Fields]], Iterator[tuple[str, str, Fields]]]


def load(archive: Archive, content: str, path: Path) -> int:
    """Store what a file holds; return how many rows were written. What was stored under the same keys is replaced.

    Parameters
    ----------
    archive : Archive
        Where to.
    content : str
        One of `CONTENTS`.
    path : pathlib.Path
        The file: Parquet, or CSV with a header.

    Raises
    ------
    DataError
        If it cannot be read, or lacks columns.
    """
    what = CONTENTS[content]
    count = 0
    waiting: dict[str, list[tuple[str, Fields]]] = {}
    for table, key, fields in what.rows(_read(path, what.columns)):
        rows = waiting.setdefault(table, [])
        rows.append((key, fields))
        if len(rows) >= PIECE:
            count += records.write(archive, table, waiting.pop(table))
    return count + sum(records.write(archive, table, rows) for table, rows in waiting.items())


def _read(path: Path, columns: tuple[str, ...]) -> Iterator[Fields]:
    """Give the rows of a file; what is missing is None, and so is what is not a number."""
    try:
        for batch in _batches(path):
            lacking = [name for name in columns if name not in batch.schema.names]
            if lacking:
                raise DataError(f"'{path}' has no column {', '.join(lacking)}.", f"It needs {', '.join(columns)}.")
            for row in batch.to_pylist():
                yield {name: _plain(value) for name, value in row.items()}
    except (OSError, pa.ArrowException) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(f"'{path}' cannot be read: {why}.", "Give a Parquet file, or CSV with a header.") from error


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    if path.suffix.lower() == ".csv":
        with pa_csv.open_csv(path) as stream:
            yield from stream
    else:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=PIECE)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.strip() if isinstance(value, str) else value


def _text(value: Any) -> str:
    """Return a value as the raw text that the API answers with; a whole number is one, whatever its type."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _tns(rows: Iterable[Fields]) -> Iterator[tuple[str, str, Fields]]:
    """Give each name of a transient at a survey, under both names; a list of names is one row each."""
    for row in rows:
        fields = {f"d:{name}": "" if row.get(name) is None else str(row[name]) for name in TNS_FIELDS}
        for internal in [name.strip() for name in fields["d:internalname"].split(",")]:
            full, alias = part(fields["d:fullname"].lower()), part(internal.lower())
            one = {**fields, "d:internalname": internal}
            yield records.TNS, f"{full}_{alias}", one
            if alias:
                yield records.TNS_REVERSE, f"{alias}_{full}", one


def _sso(rows: Iterable[Fields]) -> Iterator[tuple[str, str, Fields]]:
    known = (KnownName(*(_text(row[name]) for name in ("ssnamenr", "name", "number"))) for row in rows)
    return ((records.SSO, key, fields) for key, fields in rows_for(row for row in known if row.ssnamenr))


def _orbits(rows: Iterable[Fields]) -> Iterator[tuple[str, str, Fields]]:
    for row in rows:
        yield records.SSO_ORBITS, orbit_key(_text(row[CANDIDATE])), _marked(row)


def _candidates(rows: Iterable[Fields]) -> Iterator[tuple[str, str, Fields]]:
    for row in rows:
        if isinstance(row["jd"], int | float):
            yield records.SSO_CANDIDATES, light_curve_key(row["jd"], _text(row[CANDIDATE])), _marked(row)


def _marked(row: Fields) -> Fields:
    """Return the fields that JSON can hold, under published names."""
    kept = {name: value for name, value in row.items() if isinstance(value, str | int | float | bool | None)}
    return {f"d:{name}": value for name, value in kept.items()}


CONTENTS: Mapping[str, Content] = {
    "tns": Content(
        ("fullname", "internalname", "ra", "declination", "type", "redshift"),
        "names of the Transient Name Server and of surveys",
        _tns,
    ),
    "sso": Content(("ssnamenr", "name", "number"), "names of solar system objects in alerts, and official ones", _sso),
    "orbits": Content((CANDIDATE, "a", "e"), "orbits of candidates for solar system objects", _orbits),
    "candidates": Content((CANDIDATE, "jd", "magpsf"), "light curves of these candidates", _candidates),
}
