"""``tracklet``: alerts that one moving body left in the images of a night."""

from __future__ import annotations

import re

from fink_broker.archive.columns import is_index_column
from fink_broker.archive.hbase.keys import part
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection, newest_first
from fink_broker.portal.main_rows import completed
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows

PREFIX = "TRCK_"
_NAME = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)
_DATE = re.compile(r"[\d\s:T_-]{4,40}", re.ASCII)


def tracklet_name(query: Query) -> str:
    """Return the name of the tracklets asked for, or how it begins.

    Raises
    ------
    RequestError
        If neither a name nor a date is given, or it cannot be one.
    """
    name, date = query["id"], query["date"]
    if name:
        if not _NAME.fullmatch(name):
            raise RequestError("`id` is the name of a tracklet, as TRCK_20211022_091949_00, or how it begins.\n")
        return str(name)
    if not date or not _DATE.fullmatch(date):
        raise RequestError("You need to specify a date at the format YYYY-MM-DD hh:mm:ss\n")
    return PREFIX + re.sub(r"[\sT]+", "_", re.sub(r"[-:]", "", date.strip()))


def answer(query: Query) -> Rows:
    """Return the alerts of tracklets by name or date, the latest first."""
    prefix = part(tracklet_name(query)).encode()
    limit, selection = Limit.of(query, None), Selection.of(query)
    # names begin with the time of the tracklet: from the last one back the latest come first
    alerts = query.archive.with_prefix("tracklet", prefix, limit.rows + 1, reverse=True)
    if not len(alerts):
        return limit.answer(selection.show(selection.nothing(is_index_column)))
    has_more = len(alerts) > limit.rows
    alerts = newest_first(completed(query.archive, alerts.slice(0, limit.rows), selection.fetched()))
    return limit.answer(selection.show(alerts), has_more)


ROUTES = (
    Route(
        "tracklet",
        "Get tracklet data",
        answer,
        (
            Argument("id", "name of a tracklet, TRCK_YYYYMMDD_HHMMSS_NN, or how it begins", example="TRCK_20211022"),
            Argument("date", "YYYY-MM-DD hh:mm:ss [NN], or how that begins"),
            COLUMNS,
        ),
        group="Solar System",
    ),
)
