"""Alerts of objects, the latest first: few are read at once, of many no more than what orders them is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase.cells import ALERT_CELL
from fink_broker.archive.hbase.packed_layout import ID_BYTES
from fink_broker.archive.hbase.schemas import Schemas
from fink_broker.archive.hbase.store import Row
from fink_broker.archive.hbase.tables import main_keys

#: What names an alert, and orders alerts.
IDENTITY = ("i:objectId", "i:jd", "i:candid")
#: Alerts that are held whole; a full row takes 2 KB.
FEW = 2000
#: Alerts whose order is found: what orders one takes some 100 bytes.
MOST_LOOKED_AT = 200_000
_PAGE = 1000
_LATEST_FIRST = [("i:jd", "descending"), ("i:candid", "descending")]


@dataclass(frozen=True)
class NewestAlerts:
    """Alerts of objects, the latest first, whose columns are read as they are asked for.

    Attributes
    ----------
    order : pyarrow.Table
        `IDENTITY` and other small columns of all alerts, the latest first.
    is_whole : bool
        Whether these are all; else names further back in the alphabet were read first.
    nothing : pyarrow.Table
        The columns of `rows`, without a row.
    """

    order: pa.Table
    is_whole: bool
    nothing: pa.Table
    _rows: pa.Table | None = field(repr=False)
    _get: Callable[[list[bytes]], pa.Table] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of alerts."""
        return len(self.order)

    def rows(self, start: int, count: int) -> pa.Table:
        """Return some alerts in their order, all parts of one schema.

        Parameters
        ----------
        start, count : int
            Which of `order`. What was removed from the database since is left out.
        """
        if self._rows is not None:
            return self._rows.slice(start, count)
        found = self._get(main_keys(self.order.slice(start, count)))
        return pa.table(
            [
                found[each.name].cast(each.type) if each.name in found.column_names else pa.nulls(len(found), each.type)
                for each in self.nothing.schema
            ],
            schema=self.nothing.schema,
        )


def newest_of(
    rows: Iterator[Row],
    schemas: Schemas,
    get: Callable[[list[bytes], Sequence[str] | None], pa.Table],
    columns: Sequence[str] | None,
    *,
    ordering: Sequence[str] = IDENTITY,
    most: int = MOST_LOOKED_AT,
) -> NewestAlerts:
    """Return alerts in the order of their exposures.

    Parameters
    ----------
    rows : iterator of (key, cells)
        Rows of the main table.
    schemas : Schemas
        Their columns.
    get : callable
        From keys of the main table and columns to these rows.
    columns : sequence of str, optional
        Columns wanted; None for all.
    ordering : sequence of str
        `IDENTITY`, and further columns of `NewestAlerts.order`.
    most : int
        Alerts that are looked at.
    """
    wanted = None if columns is None else list(dict.fromkeys([*columns, *IDENTITY]))
    few = list(islice(rows, FEW + 1))
    if len(few) <= FEW:
        both = wanted if wanted is None else list(dict.fromkeys([*wanted, *ordering]))
        whole = _sorted(_unpacked(few, schemas, both))
        shown = whole if wanted is None else whole.select(wanted)
        return NewestAlerts(_selected(whole, ordering), True, shown.schema.empty_table(), shown, lambda _: shown)
    pages: list[pa.Table] = []
    samples: dict[bytes, Row] = {}
    looked_at = islice(chain(few, rows), most)
    while page := list(islice(looked_at, _PAGE)):
        samples.update((cells[ALERT_CELL][:ID_BYTES], (key, cells)) for key, cells in page)
        pages.append(_unpacked(page, schemas, ordering))
    order = _sorted(pa.concat_tables(pages, promote_options="permissive"))
    # one row of each schema tells the columns of all
    nothing = _unpacked(list(samples.values()), schemas, wanted).schema.empty_table()
    return NewestAlerts(order, next(rows, None) is None, nothing, None, lambda keys: get(keys, wanted))


def _unpacked(rows: Sequence[Row], schemas: Schemas, columns: Sequence[str] | None) -> pa.Table:
    return schemas.unpack([cells[ALERT_CELL] for _, cells in rows], columns, [key for key, _ in rows])


def _sorted(alerts: pa.Table) -> pa.Table:
    return alerts.take(pc.sort_indices(alerts, sort_keys=_LATEST_FIRST)) if len(alerts) else alerts


def _selected(alerts: pa.Table, names: Sequence[str]) -> pa.Table:
    return pa.table(
        {name: alerts[name] if name in alerts.column_names else pa.nulls(len(alerts)) for name in dict.fromkeys(names)}
    )
