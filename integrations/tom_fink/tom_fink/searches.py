"""What is typed in the form of a search, and the question to the API it stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .api import FinkError

COLUMNS = "i:candid,d:rf_snia_vs_nonia,i:ra,i:dec,i:jd,i:magpsf,i:objectId,d:cdsxmatch"
SSO_COLUMNS = "i:ssnamenr,i:candid,i:ra,i:dec,i:jd,i:magpsf,i:objectId,d:roid"
#: Fields of the form; their names are in the saved queries of TOMs.
FIELDS = ("objectId", "conesearch", "datesearch", "classsearch", "classsearchdate", "ssosearch")
LARGEST_RADIUS_ARCSEC = 18000.0
LONGEST_WINDOW_MINUTES = 180.0
#: Alerts of a class in a time.
MOST_OF_A_TIME = 1000
MINUTES_A_DAY = 1440.0


class NotOneSearch(FinkError, NotImplementedError):
    """No field is filled, or several are. Earlier versions raised ``NotImplementedError``."""


class WrongSearch(FinkError, ValueError):
    """What a field holds is no search. Earlier versions raised ``ValueError``.

    Parameters
    ----------
    message : str
        What is wrong, and how to write it.
    """


@dataclass(frozen=True)
class Question:
    """What the API is asked.

    Parameters
    ----------
    route : str
        Its route.
    arguments : dict
        Arguments of the route.
    """

    route: str
    arguments: dict[str, Any]


def filled(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that hold something, without blanks around it; absent ones are empty."""
    texts = {name: str(parameters.get(name) or "").strip() for name in FIELDS}
    return {name: text for name, text in texts.items() if text}


def question(parameters: Mapping[str, Any], now: datetime | None = None) -> Question:
    """Return the question that a form, or a saved query, stands for.

    Parameters
    ----------
    parameters : mapping
        Fields of the form.
    now : datetime, optional
        End of searches in the last days, in UTC.

    Raises
    ------
    NotOneSearch
        If not exactly one field is filled.
    WrongSearch
        If what it holds is no search.
    """
    given = filled(parameters)
    if len(given) != 1:
        problem = f"{', '.join(given)} are filled" if given else "all are empty"
        raise NotOneSearch(f"Exactly one field of the search must be filled; {problem}.")
    ((name, text),) = given.items()
    return of_field(name, text, now)


def of_field(name: str, text: str, now: datetime | None = None) -> Question:
    """Return the question that a field stands for.

    Raises
    ------
    WrongSearch
        If what it holds is no search.
    """
    match name:
        case "objectId":
            return Question("objects", {"objectId": text, "columns": COLUMNS})
        case "ssosearch":
            return Question("sso", {"n_or_d": text, "columns": SSO_COLUMNS})
        case "conesearch":
            return _cone(text)
        case "datesearch":
            return _window(text)
        case "classsearch":
            class_name, count = _two(text, "class, number of alerts, such as SN candidate, 10")
            return Question("latests", {"class": class_name, "n": _count(count)})
    class_name, days = _two(text, "class, days until now, such as SN candidate, 2")
    stop = now or datetime.now(UTC)
    start = _days_before(stop, _number(days, "The number of days", 0.0, None))
    dates = {"startdate": _date(start), "stopdate": _date(stop)}
    return Question("latests", {"class": class_name, "n": MOST_OF_A_TIME, **dates})


def _cone(text: str) -> Question:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(parts):
        raise WrongSearch("A cone is written as RA, Dec, radius in arcseconds, such as 193.822, 2.897, 5.")
    ra, dec, radius = parts
    position = {"ra": _angle(ra, "RA", 0.0, 360.0), "dec": _angle(dec, "Dec", -90.0, 90.0)}
    return Question("conesearch", {**position, "radius": _number(radius, "The radius", 0.0, LARGEST_RADIUS_ARCSEC)})


def _window(text: str) -> Question:
    start, minutes = _two(text, "date, minutes, such as 2021-11-03 10:00:00, 5")
    window = _number(minutes, "The number of minutes", 0.0, LONGEST_WINDOW_MINUTES)
    # the form was always said to take minutes, the API takes days
    return Question("explorer", {"startdate": start, "window": window / MINUTES_A_DAY})


def _two(text: str, form: str) -> tuple[str, str]:
    # the last comma: names of classes may have some
    first, _, second = (part.strip() for part in text.rpartition(","))
    if not first or not second:
        raise WrongSearch(f"This search is written as {form}.")
    return first, second


def _angle(text: str, name: str, least: float, most: float) -> float | str:
    """Return degrees as a number; other notations, such as 12h55m17.2s, are read by the API."""
    try:
        degrees = float(text)
    except ValueError:
        return text
    if not least <= degrees <= most:
        raise WrongSearch(f"{name} must lie between {least:g} and {most:g} degrees.")
    return degrees


def _number(text: str, name: str, above: float, most: float | None) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not above < number < math.inf or (most is not None and number > most):
        limit = "" if most is None else f", and not above {most:g}"
        raise WrongSearch(f"{name} must be a number above {above:g}{limit}.")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise WrongSearch("The number of alerts must be a whole number above 0.")
    return int(text)


def _days_before(stop: datetime, days: float) -> datetime:
    try:
        return stop - timedelta(days=days)
    except OverflowError:
        raise WrongSearch("The number of days is too large.") from None


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
