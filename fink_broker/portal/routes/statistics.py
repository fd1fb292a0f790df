"""``statistics``: counts of alerts by night."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from fink_broker.archive.hbase.keys import prefix_range
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.portal.alert_rows import Limit
from fink_broker.portal.arguments import missing
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows

KEY, TIME = "key:key", "key:time"
_DATE = re.compile(r"\d{0,8}", re.ASCII)
#: Records begin so, whatever the survey's tables are called.
_PREFIX = b"ztf_"


def answer(query: Query) -> Rows:
    """Return what is counted, night by night, as text; or under ``schema`` the names of all columns."""
    if query["schema"]:
        names = _names([fields for _, fields in query.archive.records(STATISTICS, prefix_range(_PREFIX))])
        return Rows([pa.table({"schema": pa.array(names, pa.string())})])
    if "date" not in query.given:
        raise missing("date", query.generation)
    date = query["date"].replace("-", "")
    if not _DATE.fullmatch(date):
        raise RequestError("`date` is YYYY, YYYYMM or YYYYMMDD, or empty for all nights.\n")
    limit = Limit.of(query, None)
    nights = list(query.archive.records(STATISTICS, prefix_range(_PREFIX + date.encode())))
    if not nights:
        return Rows([pa.table({})])
    return limit.answer(_table(nights, query["columns"]))


def _table(nights: list[tuple[str, dict[str, Any]]], columns: tuple[str, ...] | None) -> pa.Table:
    """Return nights as text; a class without an alert in a night counts 0 there."""
    names = (
        _names([fields for _, fields in nights]) if columns is None else [c for c in columns if c not in (KEY, TIME)]
    )
    table = {KEY: pa.array([key for key, _ in nights], pa.string())}
    table[TIME] = pa.nulls(len(nights), pa.string())  # rows of the archive tell no time of writing
    for name in dict.fromkeys(names):
        table[name] = pa.array([_text(fields.get(name)) for _, fields in nights], pa.string())
    return pa.table(table)


def _names(records: list[dict[str, Any]]) -> list[str]:
    return sorted({name for fields in records for name in fields} - {KEY, TIME})


def _text(value: Any) -> str:
    return "0" if value is None else str(value)


ROUTES = (
    Route(
        "statistics",
        "Statistics concerning the alerts of each night",
        answer,
        (
            Argument("date", "YYYY, YYYYMM or YYYYMMDD; empty text: all nights", example="2021"),
            Argument("columns", "columns to return, separated by commas; all where absent", "columns"),
            Argument("schema", "True: only the names of the columns", "flag", default=False),
        ),
        group="Statistics",
    ),
)
