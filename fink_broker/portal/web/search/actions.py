"""What a search asks of the REST API, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import pandas as pd

from fink_broker.portal.client import ApiError
from fink_broker.portal.dates import START_OF_DATA, parse_date
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.search.moments import iso_of
from fink_broker.portal.web.search.rules import LONGEST_RANGE_DAYS, Action, criteria, words
from fink_broker.portal.web.search.values import Value

Kind = Literal["cone", "objects", "class", "time", "sso", "tracklet", "random", "anomaly"]
#: most rows of a result
MOST_ROWS = 1000
#: objects whose names begin with a text: each is a look of its own into the archive
MOST_NAMES = 100
#: what results show of an alert
COLUMNS = (
    "i:objectId", "i:candid", "i:jd", "i:jdstarthist", "i:ra", "i:dec", "i:fid", "i:magpsf", "i:sigmapsf", "i:distnr",
    "i:ndethist", "i:rb", "i:drb", "i:ssnamenr", "i:distpsnr1", "i:sgscore1", "i:neargaia", "d:cdsxmatch", "d:gcvs",
    "d:vsx", "d:tracklet", "d:tns", "d:anomaly_score", "v:classification", "v:lastdate", "v:firstdate", "v:lapse",
)  # fmt: skip
SEPARATION = "v:separation_degree"
ALL_CLASSES = "allclasses"


@dataclass(frozen=True)
class Results:
    """What a search found.

    Parameters
    ----------
    rows : pandas.DataFrame
        `COLUMNS` of one alert a row, in the order they are shown; shared between visitors, not to be changed.
        Cones have ``v:separation_degree``.
    title : str
        What was asked, as ``Cone of 10″ around 193.82°, +2.90°``.
    criteria : tuple of str
        Further conditions in words.
    is_cut : bool
        Whether there were more rows than these.
    kind : str
        What sort of search it was.
    route : str
        Route of the API that was asked.
    arguments : mapping
        What it was asked with, for snippets and downloads.
    """

    rows: pd.DataFrame
    title: str
    criteria: tuple[str, ...]
    is_cut: bool
    kind: Kind
    route: str
    arguments: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A request of the API.

    Parameters
    ----------
    kind : str
        What sort of search it is for.
    route : str
        Which route.
    arguments : mapping
        What with, but for the columns.
    names_columns : bool
        Whether the route can be asked for some columns only.
    most : str
        Argument that says how many rows, empty where the route has none.
    """

    kind: Kind
    route: str
    arguments: Mapping[str, Value]
    names_columns: bool = True
    most: str = ""


def ask(action: Action, api: Api) -> Results:
    """Return what a search finds.

    Parameters
    ----------
    action : Action
        The search; an unknown one cannot be asked.
    api : Api
        The REST API.

    Raises
    ------
    ApiError
        If the API refuses, or does not answer.
    """
    question = question_of(action)
    arguments = dict(question.arguments)
    if question.names_columns:
        arguments["columns"] = ",".join(COLUMNS)
    if question.most:  # one more than is shown tells whether there are more
        arguments[question.most] = MOST_ROWS + 1
    rows = api.rows(question.route, **arguments)
    is_cut = bool(rows.attrs.get("is_cut"))
    if question.route == "names":
        is_cut = len(rows) >= MOST_NAMES
    if question.kind == "random":
        rows = _latest_of_each(rows)
    if len(rows) > MOST_ROWS:
        rows, is_cut = rows.head(MOST_ROWS), True
    rows = rows[[name for name in (*COLUMNS, SEPARATION) if name in rows]]
    asked = {**question.arguments, **({question.most: MOST_ROWS} if question.most else {})}
    return Results(rows, words(action), criteria(action), is_cut, question.kind, question.route, asked)


def question_of(action: Action) -> Question:
    """Return how the API is asked for a search.

    Raises
    ------
    ApiError
        With status 400 if the search is none that can be asked.
    """
    make = _QUESTIONS.get(action.name)
    if make is None:
        raise ApiError("This is no search.", 400)
    return make(action.parameters)


def _cone(values: Mapping[str, Value]) -> Question:
    place: dict[str, Value] = {"ra": values["ra"], "dec": values["dec"], "radius": values["r"]}
    return Question("cone", "conesearch", {**place, **_dates(values)}, most="n")


def _anomalies(values: Mapping[str, Value]) -> Question:
    return Question("anomaly", "anomaly", {"n": values["last"], **_dates(values, "start_date", "stop_date")})


def _random(values: Mapping[str, Value]) -> Question:
    further = {key: values[key] for key in ("class", "seed") if key in values}
    return Question("random", "random", {"n": values["random"], **further})


def _of_class(values: Mapping[str, Value]) -> Question:
    chosen: dict[str, Value] = {"class": values.get("class", ALL_CLASSES), "n": values["last"]}
    trend = {"trend": values["trend"]} if "trend" in values else {}
    return Question("class", "latests", {**chosen, **trend, **_dates(values)})


def _by_date(values: Mapping[str, Value]) -> Question:
    return Question("time", "explorer", _range(values), names_columns=False, most="n")


def _dates(values: Mapping[str, Value], start: str = "startdate", stop: str = "stopdate") -> dict[str, Value]:
    """Return the first and last date of a search as arguments of the API.

    A window begins at ``after``, else it ends at ``before``, else now; with all three, what ends first counts.
    """
    first, last = values.get("after"), values.get("before")
    window = values.get("window")
    if window is not None and first is not None:
        end = _shifted(first, float(window))
        last = end if last is None else min(last, end, key=parse_date)
    elif window is not None:
        first = _shifted(last if last is not None else _now(), -float(window))
    return {name: value for name, value in ((start, first), (stop, last)) if value is not None}


def _range(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the arguments of a search by time alone: three hours at most, from its first date, else to its last."""
    if "after" in values:
        dates = _dates(values)
        latest = _shifted(dates["startdate"], LONGEST_RANGE_DAYS)
        return {"startdate": dates["startdate"], "stopdate": min(str(dates.get("stopdate", latest)), latest)}
    days = min(float(values["window"]), LONGEST_RANGE_DAYS)
    return {"startdate": _shifted(values["before"], -days), "stopdate": values["before"]}


def _now() -> str:
    """Return the time, to the minute: the same search gives the same request for a while, which is kept."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:00")


def _shifted(moment: Value, days: float) -> str:
    """Return a time that lies so many days away, but not before there are data."""
    return iso_of(max(parse_date(moment) + days, START_OF_DATA - 1.0))


def _objects(values: Mapping[str, Value]) -> Question:
    names = str(values["object"])
    if "," in names:
        return Question("objects", "explorer", {"objectId": names}, names_columns=False, most="n")
    return Question("objects", "names", {"prefix": names, "n": MOST_NAMES})


def _latest_of_each(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty or "i:jd" not in rows:
        return rows
    ordered = rows.sort_values("i:jd", ascending=False, kind="stable")
    return ordered.drop_duplicates("i:objectId").reset_index(drop=True)


_QUESTIONS: Mapping[str, Callable[[Mapping[str, Value]], Question]] = {
    "conesearch": _cone,
    "objectid": _objects,
    "tracklet": lambda values: Question("tracklet", "tracklet", {"id": values["object"]}),
    "sso": lambda values: Question("sso", "sso", {"n_or_d": values["object"]}),
    "anomaly": _anomalies,
    "random": _random,
    "class": _of_class,
    "daterange": _by_date,
}
