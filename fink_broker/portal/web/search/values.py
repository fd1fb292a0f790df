"""Values of keys: read, checked, and in one unit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fink_broker.portal.dates import parse_date
from fink_broker.portal.web.search import coordinates
from fink_broker.portal.web.search.moments import iso_of

Value = str | int | float
LARGEST_RADIUS_ARCSEC = 18_000.0
MOST_RANDOM = 16
TRENDS = ("rising", "fading", "low_state", "new_low_state")
_NUMBER = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d*)?|\.\d+)", re.ASCII)
_DAYS = re.compile(r"((?:\d{1,6}(?:\.\d*)?|\.\d+))\s?(d|h|m|days?|hours?|)", re.ASCII)


def disorder(values: Mapping[str, Value]) -> str:
    """Return a sentence where the first time of a search is later than the last; empty where all is well."""
    first, last = str(values.get("after", "")), str(values.get("before", ""))
    if first and last and first > last:
        return f"Nothing is both after {first} and before {last}: exchange the times."
    return ""


def _radius(text: str) -> float:
    return min(coordinates.read_angle(text), LARGEST_RADIUS_ARCSEC)


def _days(text: str) -> float:
    found = _DAYS.fullmatch(text)
    if found is None or float(found[1]) > 100_000:
        raise ValueError(f"“{text[:40]}” is no number of days; write window=3, or window=2h for hours.")
    unit = found[2][:1] or "d"
    return round(float(found[1]) / {"d": 1.0, "h": 24.0, "m": 1440.0}[unit], 9)


def _moment(text: str) -> str:
    try:
        return iso_of(parse_date(text))
    except ValueError:
        raise ValueError(
            f"“{text[:40]}” is no date; write 2024-09-01 or 2024-09-01 03:00:00 (UTC), or a julian date."
        ) from None


def _whole(name: str, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 15 and (int(text) or name == "seed")):
            raise ValueError(
                f"A whole number belongs behind {name}=, as {name}={min(10, most)}; “{text[:40]}” is none."
            )
        return min(int(text), most)

    return read


def _degrees(text: str) -> float:
    if not _NUMBER.fullmatch(text := coordinates.plain(text)):
        raise ValueError(f"“{text[:40]}” is no angle in degrees, as 193.82.")
    return float(text)


def words_of(text: str) -> str:
    """Return a text with single blanks, no longer than names are."""
    return " ".join(text.split())[:100]


def _trend(text: str) -> str:
    if text.lower() not in TRENDS:
        raise ValueError(f"Write trend= with one of {', '.join(TRENDS)}; “{text[:40]}” is none of them.")
    return text.lower()


#: reads the value of each key, or raises ValueError with a sentence for visitors
READERS: Mapping[str, Callable[[str], Value]] = {
    "class": words_of,
    "last": _whole("last", 1000),
    "r": _radius,
    "after": _moment,
    "before": _moment,
    "window": _days,
    "random": _whole("random", MOST_RANDOM),
    "seed": _whole("seed", 10**15),
    "sso": words_of,
    "trend": _trend,
    "ra": _degrees,
    "dec": _degrees,
}
