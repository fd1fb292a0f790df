"""``explorer``: the latest alert of objects by name, by position or by time."""

from __future__ import annotations

from dataclasses import replace

from fink_broker.archive.columns import is_index_column
from fink_broker.archive.hbase.latest import latest_of_each
from fink_broker.archive.hbase.newest import IDENTITY
from fink_broker.portal.alert_rows import Limit, Selection
from fink_broker.portal.arguments import missing
from fink_broker.portal.cones import COUNT, DATES, DEC, RA, RADIUS, cone
from fink_broker.portal.main_rows import main_rows
from fink_broker.portal.names import OBJECT_IDS, distinct
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows
from fink_broker.portal.scans import Dates, first_rows, page_for

LARGEST_WINDOW_DAYS = 3.0 / 24.0
BY_POSITION = ("ra", "dec", "radius")
#: Names the client of SkyPortal gives these arguments.
_OTHER_NAMES = {"startdate": ("startdate_conesearch",), "window": ("window_days_conesearch",)}


def answer(query: Query) -> Rows:
    """Return the latest alert of objects.

    Raises
    ------
    RequestError
        If arguments of several groups are mixed, or one of a group is missing.
    """
    by_name, by_position = "objectId" in query.given, [name for name in BY_POSITION if name in query.given]
    if by_name and by_position:
        raise RequestError("You need to set parameters from the same group\n")
    if by_name:
        return _by_name(query)
    if not by_position:
        return _by_date(query)
    for name in BY_POSITION:
        if name not in query.given:
            raise RequestError(f"A value for `{name}` is required for group 1. Use GET to check arguments.\n")
    return cone(query)


def _by_name(query: Query) -> Rows:
    limit, selection = Limit.of(query), Selection.whole(query)
    names = distinct(query["objectId"])
    found = query.archive.newest_alerts(names, IDENTITY)
    if not len(found):
        return limit.answer(selection.show(selection.nothing()))
    latest = latest_of_each(found.order)
    rows = limit.answer(selection.show(main_rows(query.archive, latest.slice(0, limit.rows))), len(latest) > limit.rows)
    return rows if found.is_whole else replace(rows, is_cut=True, cut_at=len(latest))


def _by_date(query: Query) -> Rows:
    if "startdate" not in query.given:
        raise missing("startdate", query.generation)
    asked, limit, selection = Dates.of(query, window="window"), Limit.of(query), Selection.whole(query)
    last = min(asked.last, asked.first + LARGEST_WINDOW_DAYS)
    pages = query.archive.in_time("jd", None, asked.first, last, page=page_for(limit.rows, all_count=False))
    alerts, has_more = first_rows(pages, limit.rows, one_of_each_object=True)
    if not len(alerts):
        alerts = selection.nothing(is_index_column)
    return limit.answer(selection.show(alerts), has_more)


def _arguments() -> tuple[Argument, ...]:
    position = [replace(argument, group=1, example=None) for argument in (RA, DEC, RADIUS)]
    dates = [replace(argument, aliases=_OTHER_NAMES.get(argument.name, ())) for argument in DATES]
    return (replace(OBJECT_IDS, group=0, required=False), *position, COUNT, *dates)


ROUTES = (
    Route(
        "explorer",
        "Get the latest alert of objects by name, by position, or by date (3 hours at most)",
        answer,
        _arguments(),
        generations=("historic",),
    ),
)
