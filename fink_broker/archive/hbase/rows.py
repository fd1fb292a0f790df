"""From rows of the science table to rows of the database: what each table is to hold of some alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive import columns
from fink_broker.archive.hbase import cells, keys
from fink_broker.archive.hbase.history import READ, has_points, history
from fink_broker.archive.hbase.packed import pack
from fink_broker.archive.hbase.store import Cells, Row, refusal
from fink_broker.archive.hbase.tables import INDEX, Table, main_keys, versions
from fink_broker.errors import DataError

#: What a module, or a telescope, can put into a column that Arrow cannot turn into a row.
_BAD_ALERT = (DataError, pa.ArrowException, ValueError, TypeError, KeyError, IndexError, OverflowError)


@dataclass(frozen=True)
class TableRows:
    """Rows for one table.

    Parameters
    ----------
    suffix : str
        Which table; empty for the main one.
    rows : list of (key, cells)
        What to write.
    time_ms : int or None
        Version of the cells where the newest alert is to stay, see ``tables.versions``.
    """

    suffix: str
    rows: list[Row]
    time_ms: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes of keys, names of cells, and values."""
        return sum(
            len(key) + sum(len(name) + len(value) for name, value in cells_of.items()) for key, cells_of in self.rows
        )


@dataclass(frozen=True)
class Refused:
    """An alert that cannot be archived: its identifiers as far as it has them, where it lies, and why."""

    candid: int | None
    object_id: str | None
    place: str
    reason: str


@dataclass
class Rows:
    """What some alerts come to.

    Parameters
    ----------
    schemas : dict
        Schemas packed rows have, by id: kept before the rows are written.
    tables : list of TableRows
        Rows by table, the main table first.
    alerts : pyarrow.Table
        The archived alerts as published columns.
    refused : list of Refused
        Alerts left out.
    """

    schemas: dict[str, pa.Schema] = field(default_factory=dict)
    tables: list[TableRows] = field(default_factory=list)
    alerts: list[pa.Table] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of archived alerts."""
        return sum(len(part) for part in self.alerts)


def places(path: str, first_row: int, count: int) -> pa.Array:
    """Return where alerts lie, ``<file>#<row>``: consecutive rows of a file of the science table."""
    numbers = pa.array(np.arange(first_row, first_row + count)).cast(pa.string())
    return pc.binary_join_element_wise(path, numbers, "#")


def wanted(schema: pa.Schema) -> list[str]:
    """Return the columns of the science table that `database_rows` reads, fields of the history with a dot."""
    return [*columns.wanted(schema), *(f"prv_candidates.{name}" for name in READ)]


def database_rows(alerts: pa.Table, where: pa.Array) -> Rows:
    """Return what the database is to hold of some alerts.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the science table, without images.
    where : pyarrow.Array of string
        `places` of the alerts.

    Returns
    -------
    Rows
        An alert that cannot be archived is among the refused ones, and keeps none of the others back.
    """
    found = Rows()
    _add(alerts, where, found)
    return found


def index_keys(published: pa.Table) -> dict[str, list[bytes]]:
    """Return the keys some alerts have in each index table."""
    return {table.suffix: _keys(table, published) for table in INDEX}


def index_rows(table: Table, published: pa.Table, schemas: dict[str, pa.Schema]) -> list[TableRows]:
    """Return the rows an index table is to hold of alerts it takes, and put the schema they have among ``schemas``."""
    published = published.select([name for name in published.column_names if table.has_column(name)])
    made = table.keys(published)
    if not table.newest_wins:
        return [TableRows(table.suffix, _rows(made, _packed(published, schemas)))]
    times = versions(published)
    newest = _newest(made, times, published["i:candid"].to_numpy())
    published, made, times = published.take(pa.array(newest)), [made[row] for row in newest], times[newest]
    of_version: dict[int, list[Row]] = {}
    for time, row in zip(times.tolist(), _rows(made, _packed(published, schemas)), strict=True):
        of_version.setdefault(time, []).append(row)
    return [TableRows(table.suffix, of_version[time], time) for time in sorted(of_version)]


def _keys(table: Table, published: pa.Table) -> list[bytes]:
    try:
        chosen = published.filter(pa.array(table.takes(published)))
        return table.keys(chosen) if len(chosen) else []
    except KeyError:  # written before there was the column that chooses: the table has none of them
        return []


def _add(alerts: pa.Table, where: pa.Array, found: Rows) -> None:
    """Add the rows of some alerts; where they cannot be made those of each half, down to the alert at fault."""
    try:
        published = columns.publish(alerts)
        usable = keys.keyable(_array(published["i:objectId"]), _array(published["i:jd"]))
        usable &= np.asarray(pc.is_valid(published["i:candid"]))
        if not usable.all():
            lost = np.flatnonzero(~usable)
            found.refused += [_refused(alerts, where, row, "no objectId, candid or time") for row in lost.tolist()]
            alerts, where = alerts.filter(pa.array(usable)), where.filter(pa.array(usable))
            published = published.filter(pa.array(usable))
        if len(published):
            made = _tables(published, history(alerts), where)
            _require_storable(made)
            found.schemas |= made.schemas
            found.tables += made.tables
            found.alerts.append(published)
    except _BAD_ALERT as error:
        if len(alerts) == 1:
            found.refused.append(_refused(alerts, where, 0, str(error)))
            return
        middle = len(alerts) // 2
        _add(alerts.slice(0, middle), where.slice(0, middle), found)
        _add(alerts.slice(middle), where.slice(middle), found)


def _require_storable(made: Rows) -> None:
    for part in made.tables:
        if why := refusal(part.rows, part.time_ms):
            raise DataError(f"A row cannot be written: {why}.", "Leave the alert out.")


def _tables(published: pa.Table, histories: pa.Table, where: pa.Array) -> Rows:
    made = Rows()
    made.tables.append(TableRows("", _main_rows(published, histories, where, made.schemas)))
    for table in INDEX:
        chosen = published.filter(pa.array(table.takes(published)))
        if len(chosen):
            made.tables += index_rows(table, chosen, made.schemas)
    return made


def _main_rows(published: pa.Table, histories: pa.Table, where: pa.Array, schemas: dict[str, pa.Schema]) -> list[Row]:
    packed = _packed(published, schemas)
    points = has_points(histories)
    past = iter(_packed(histories.filter(pa.array(points)), schemas))
    rows: list[Row] = []
    for key, alert, place, has_past in zip(main_keys(published), packed, where.to_pylist(), points, strict=True):
        cell: Cells = {cells.ALERT_CELL: alert, cells.CUTOUT_CELL: place.encode()}
        rows.append((key, {**cell, cells.HISTORY_CELL: next(past)} if has_past else cell))
    return rows


def _rows(made: Sequence[bytes], packed: Sequence[bytes]) -> list[Row]:
    return [(key, {cells.ALERT_CELL: alert}) for key, alert in zip(made, packed, strict=True)]


def _newest(made: Sequence[bytes], times: np.ndarray, candids: np.ndarray) -> list[int]:
    """Return the row of the latest alert of each key; of two in one exposure that of the larger candid."""
    return list({made[row]: int(row) for row in np.lexsort((candids, times)).tolist()}.values())


def _packed(table: pa.Table, schemas: dict[str, pa.Schema]) -> list[bytes]:
    name, packed = pack(table)
    schemas[name] = table.schema
    return packed


def _refused(alerts: pa.Table, where: pa.Array, row: int, reason: str) -> Refused:
    candid, name = (
        alerts[column][row].as_py() if column in alerts.column_names else None for column in ("candid", "objectId")
    )
    return Refused(candid, name, where[row].as_py(), reason)


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
