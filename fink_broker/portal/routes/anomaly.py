"""``anomaly``: the alerts whose light curves are strangest."""

from __future__ import annotations

from fink_broker.archive.columns import is_index_column
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection
from fink_broker.portal.main_rows import completed
from fink_broker.portal.route import Argument, Query, Route, Rows
from fink_broker.portal.scans import Dates, first_rows, page_for

ONE_DAY = 1.0


def answer(query: Query) -> Rows:
    """Return strange alerts, the latest first; the day that ``stop_date`` begins is included."""
    limit, dates, selection = Limit.of(query), Dates.of(query, "start_date", "stop_date"), Selection.of(query)
    last = dates.last if query["stop_date"] is None else dates.last + ONE_DAY
    pages = query.archive.in_time("anomaly", None, dates.first, last, page=page_for(limit.rows))
    alerts, has_more = first_rows(pages, limit.rows)
    if not len(alerts):
        return limit.answer(selection.show(selection.nothing(is_index_column)))
    return limit.answer(selection.show(completed(query.archive, alerts, selection.fetched())), has_more)


ROUTES = (
    Route(
        "anomaly",
        "Get alerts with the most anomalous light curves",
        answer,
        (
            Argument("n", "most alerts to return", "integer", default=10, least=1, example=5),
            Argument("start_date", "first date, UTC: ISO, JD or MJD", "date", example="2019-11-01"),
            Argument("stop_date", "last day, UTC: ISO, JD or MJD; now where absent", "date"),
            COLUMNS,
        ),
    ),
)
