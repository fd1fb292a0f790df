"""Dates of requests: ISO 8601, julian date or modified julian date, all in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

#: where the survey's alerts begin: 2019-11-01 00:00:00 UTC, as jd in days
START_OF_DATA = 2458788.5
#: a number from here on is a julian date, below it a modified one
LEAST_JD = 2_400_000.0
#: days between both
JD_OF_MJD_ZERO = 2_400_000.5

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_JD_J2000 = 2451545.0
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ]+(\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?)?\s*(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_DAY = re.compile(r"(?:19|20)\d{6}", re.ASCII)
_NUMBER = re.compile(r"\d{1,7}(?:\.\d{0,15})?", re.ASCII)


def jd_of(moment: datetime) -> float:
    """Return the julian date in days (UTC) of a moment; one without a time zone is taken as UTC.

    Days have 86,400 s here, so a moment of a day with a leap second (the last was at the end of 2016) is up to a second
    off.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _JD_J2000 + (aware - _J2000).total_seconds() / 86400.0


def now() -> float:
    """Return the julian date of now, in days (UTC)."""
    return jd_of(datetime.now(UTC))


def parse_date(text: str | float) -> float:
    """Return the julian date in days (UTC) of a date as clients write it.

    Parameters
    ----------
    text : str or float
        ISO 8601 (``2021-11-03``, ``2021-11-03 10:00:00``, ``2021-11-03T10:00:00Z``, ``20211103``); otherwise a number:
        from 2,400,000 on a julian date, below it a modified julian date.

    Raises
    ------
    ValueError
        If it is none of these, or not between 1858 and 2132.
    """
    words = str(text).strip()
    if _ISO.fullmatch(words) or _DAY.fullmatch(words):
        jd = jd_of(datetime.fromisoformat(re.sub(r"[T ]+(?=\d)", "T", words).replace(" ", "")))
    elif _NUMBER.fullmatch(words):
        number = float(words)
        jd = number if number >= LEAST_JD else number + JD_OF_MJD_ZERO
    else:
        raise ValueError("write it as 2021-11-03 10:00:00, as julian date or as modified julian date (UTC)")
    if not LEAST_JD <= jd <= LEAST_JD + 100_000:
        raise ValueError("dates are between 1858-11-16 and 2132-08-31")
    return jd
