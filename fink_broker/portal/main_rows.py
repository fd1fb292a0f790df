"""Columns that only the main table holds, for alerts that were found through another one."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase.cells import ALERT_CELL
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.tables import main_keys

#: What names a row of the main table.
IDENTITY = ("i:objectId", "i:jd", "i:candid")


def completed(archive: Archive, alerts: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Return alerts with the columns that their table lacks and the main one has.

    Parameters
    ----------
    archive : Archive
        Where they are.
    alerts : pyarrow.Table
        Rows of any table of alerts.
    columns : sequence of str, optional
        Columns wanted; None for those of the table.
    """
    lacking = [name for name in columns or () if name not in alerts.column_names]
    if not lacking or not len(alerts):
        return alerts
    found = main_rows(archive, alerts, lacking)
    rows = pc.index_in(alerts["i:candid"], value_set=found["i:candid"].combine_chunks())
    for name in lacking:
        if name in found.column_names:
            alerts = alerts.append_column(name, found[name].combine_chunks().take(rows.combine_chunks()))
    return alerts


def main_rows(archive: Archive, alerts: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Return rows of the main table for some alerts, in their order; those it does not have are left out.

    Parameters
    ----------
    archive : Archive
        Where they are.
    alerts : pyarrow.Table
        With ``i:objectId``, ``i:jd`` and ``i:candid``.
    columns : sequence of str, optional
        Which columns, beside these three; default: all.
    """
    wanted = None if columns is None else list(dict.fromkeys([*columns, *IDENTITY]))
    keys = main_keys(alerts)
    found = archive.store.get(archive.name(""), keys, [ALERT_CELL])
    there = [(key, cells[ALERT_CELL]) for key, cells in zip(keys, found, strict=True) if cells]
    return archive.schemas.unpack([row for _, row in there], wanted, [key for key, _ in there])
