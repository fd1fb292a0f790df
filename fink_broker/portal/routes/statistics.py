"""``statistics``: counts of alerts by night."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from fink_broker.archive.hbase.keys import prefix_range
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.portal.alert_rows import LONGEST_COLUMNS, Limit
from fink_broker.portal.arguments import missing
from fink_broker.portal.class_names import FINK_CLASSES, SIMBAD_TYPES
from fink_broker.portal.columns import check_columns
from fink_broker.portal.records import text_of
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows

KEY, TIME = "key:key", "key:time"
#: What is counted every night, and for which classes.
BASIC = tuple(f"basic:{name}" for name in ("raw", "sci", "n_g", "n_r", "exposures", "fields"))
CLASSES = tuple(f"class:{name}" for name in ("simbad_tot", "simbad_gal", *FINK_CLASSES, *SIMBAD_TYPES, "Unknown"))
_DATE = re.compile(r"\d{0,8}", re.ASCII)
#: Records begin so, whatever the survey's tables are called.
_PREFIX = b"ztf_"

Night = tuple[str, dict[str, Any]]


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
    return limit.answer(_table(nights, _checked(query, nights)))


def _checked(query: Query, nights: list[Night]) -> tuple[str, ...] | None:
    """Return the columns asked for, None for all.

    Raises
    ------
    RequestError
        If nothing of that name is counted, in any night.
    """
    columns = None if query["columns"] is None else tuple(map(_plain, query["columns"]))
    known = {_plain(name): name for name in (KEY, TIME, *BASIC, *CLASSES, *_names([fields for _, fields in nights]))}
    if columns is not None and not known.keys() >= set(columns):  # a class of users' own, in another night
        every = _names([fields for _, fields in query.archive.records(STATISTICS, prefix_range(_PREFIX))])
        known |= {_plain(name): name for name in every}
    checked = check_columns(columns, known)
    return None if checked is None else tuple(known[name] for name in checked)


def _plain(name: str) -> str:
    """Return a name without blanks: those in a list of columns do not count, but classes have some."""
    return name.replace(" ", "")


def _table(nights: list[Night], columns: tuple[str, ...] | None) -> pa.Table:
    """Return nights as text; a class without an alert in a night counts 0 there."""
    names = (
        _names([fields for _, fields in nights]) if columns is None else [c for c in columns if c not in (KEY, TIME)]
    )
    table = {KEY: pa.array([key for key, _ in nights], pa.string())}
    table[TIME] = pa.array([text_of(fields.get(TIME)) for _, fields in nights], pa.string())
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
            Argument(
                "columns",
                "columns to return, separated by commas; all where absent",
                "columns",
                longest=LONGEST_COLUMNS,
            ),
            Argument("schema", "True: only the names of the columns", "flag", default=False),
        ),
        group="Statistics",
    ),
)
