"""``latests``: the latest alerts of a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.archive.columns import is_index_column
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection
from fink_broker.portal.class_names import (
    ALL_CLASSES,
    HIGH_STATE,
    LOW_STATE,
    SIMBAD_PREFIX,
    SLSN,
    TNS_PREFIX,
    TNS_TYPES,
)
from fink_broker.portal.computed import ALWAYS, COLOURS, COMPUTED, with_colours
from fink_broker.portal.light_curves import light_curves
from fink_broker.portal.main_rows import completed
from fink_broker.portal.route import Argument, Generation, Query, RequestError, Route, Rows
from fink_broker.portal.scans import START, STOP, Dates, first_rows, numbers, page_for

#: What `trend` keeps, on alerts of any class and on those of blazars in a low state.
TRENDS: dict[str, Callable[[pa.Table], Mask]] = {
    "rising": lambda rows: numbers(rows, "d:mag_rate") < 0,
    "fading": lambda rows: numbers(rows, "d:mag_rate") > 0,
}
LOW_STATE_TRENDS: dict[str, Callable[[pa.Table], Mask]] = {
    "low_state": lambda rows: numbers(rows, "d:blazar_stats_instantness_low") >= 1,
    "new_low_state": lambda rows: numbers(rows, "d:blazar_stats_m0") >= 1,
}


@dataclass(frozen=True)
class Source:
    """Where the alerts of a class are.

    Parameters
    ----------
    suffix : str
        Which table.
    label : str, optional
        What its keys begin with.
    one_of_each_object : bool
        Whether only the latest alert of each object is given.
    """

    suffix: str
    label: str | None = None
    one_of_each_object: bool = False


def source_of(name: str, generation: Generation) -> Source:
    """Return where the alerts of a class are, by the name clients give it."""
    special = {
        LOW_STATE: Source("low_state_blazars", one_of_each_object=True),
        HIGH_STATE: Source("high_state_blazars", one_of_each_object=True),
        SLSN: Source("slsn", one_of_each_object=True),
        ALL_CLASSES: Source("jd"),
    }
    if name in special:
        return special[name]
    if name.removeprefix(TNS_PREFIX) in TNS_TYPES and name.startswith(TNS_PREFIX):
        return Source("tns", name.removeprefix(TNS_PREFIX), one_of_each_object=generation == "historic")
    return Source("class", name.removeprefix(SIMBAD_PREFIX))


def trend_filter(name: str, trend: str | None) -> Callable[[pa.Table], Mask] | None:
    """Return what tells which alerts of a class have a trend.

    Raises
    ------
    RequestError
        If there is no such trend for the class.
    """
    if not trend:
        return None
    allowed = TRENDS | (LOW_STATE_TRENDS if name == LOW_STATE else {})
    if trend not in allowed:
        raise RequestError(f"{trend} is not a valid trend. Choose among: {', '.join(allowed)}.\n")
    return allowed[trend]


def answer(query: Query) -> Rows:
    """Return the latest alerts of a class."""
    name = query["class"]
    source, keep = source_of(name, query.generation), trend_filter(name, query["trend"])
    limit, dates = Limit.of(query), Dates.of(query)
    selection = Selection.of(query, tuple(COMPUTED) if query["color"] else ALWAYS, has_colours=True)
    page = page_for(limit.rows, all_count=keep is None and not source.one_of_each_object)
    pages = query.archive.in_time(source.suffix, source.label, dates.first, dates.last, page=page)
    alerts, has_more = first_rows(pages, limit.rows, keep, source.one_of_each_object)
    if not len(alerts):
        return limit.answer(selection.show(selection.nothing(is_index_column)))
    alerts = completed(query.archive, alerts, selection.fetched())
    wants_colours = query["color"] or set(selection.names or ()) & set(COLOURS)
    curves = with_colours(light_curves(query.archive, alerts)) if wants_colours else None
    return limit.answer(selection.show(alerts, curves=curves), has_more)


ROUTES = (
    Route(
        "latests",
        "Get latest alerts by class",
        answer,
        (
            Argument(
                "class", "class of alerts, as the route `classes` lists them", required=True, example="SN candidate"
            ),
            Argument("n", "most alerts to return", "integer", default=10, least=1, example=5),
            START,
            STOP,
            Argument("trend", "`rising` or `fading`; for blazars in a low state also `low_state` or `new_low_state`"),
            Argument("color", "any value: add the columns on colours and rates", "presence"),
            COLUMNS,
        ),
    ),
)
