"""Values of alerts as people read them: what lacks is empty, units are said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.time import Time

#: Texts by which catalogues and packets say that there is nothing.
_NOTHING = frozenset({"", "null", "none", "nan", "unknown", "fail", "<na>", "nat"})
#: What packets have where there is no neighbour.
_NO_DISTANCE = -900.0
#: days
_HOUR, _SECOND = 1 / 24, 1 / 86_400


def text_of(row: Mapping[Any, Any], name: str) -> str:
    """Return the text in a column, empty where it lacks or says that there is nothing (``null``, ``Unknown``, …)."""
    value = row.get(name)
    text = "" if value is None else str(value).strip()
    return "" if text.casefold() in _NOTHING else text


def number_of(row: Mapping[Any, Any], name: str) -> float | None:
    """Return the number in a column, None where it lacks, is not finite, or stands for nothing (-999)."""
    value = row.get(name)
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number is told by the exception
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > _NO_DISTANCE else None


def first_detection(row: Mapping[Any, Any]) -> float | None:
    """Return when an object was first detected (julian date, days), as one of its alerts says; None where none does.

    ``i:jdstarthist`` is rounded: at a first detection it may be a fraction of a second later than ``i:jd``.
    """
    first, own = number_of(row, "i:jdstarthist"), number_of(row, "i:jd")
    return first if first is None or own is None else min(first, own)


def class_of(row: Mapping[Any, Any]) -> str:
    """Return the class of an alert, ``Unknown`` where it has none."""
    return text_of(row, "v:classification") or text_of(row, "d:classification") or "Unknown"


def date_of(jd: float | None) -> str:
    """Return a julian date (days, UTC) as ``YYYY-MM-DD hh:mm:ss``, empty where there is none or no such date."""
    if jd is None or not 2_400_000 < jd < 2_500_000:
        return ""
    return str(Time(jd, format="jd", scale="utc").strftime("%Y-%m-%d %H:%M:%S"))


def separation(degrees: float) -> str:
    """Return a separation in the unit that suits it: ″, ′ or °."""
    arcsec = degrees * 3600
    if arcsec < 60:
        return f"{arcsec:.1f}″"
    return f"{arcsec / 60:.1f}′" if arcsec < 3600 else f"{degrees:.2f}°"


def lapse(days: float | None) -> str:
    """Return a time span in words, empty where there is none, or none to speak of."""
    if days is None or days < _SECOND:
        return ""
    if days < _HOUR:
        return f"{days * 1440:.1f} minutes"
    return f"{days * 24:.1f} hours" if days < 1 else f"{days:.1f} days"


def equatorial(ra: float, dec: float) -> str:
    """Return a position (degrees, ICRS) as ``hh:mm:ss.ss ±dd:mm:ss.s``."""
    return str(SkyCoord(ra, dec, unit="deg").to_string("hmsdms", sep=":", precision=2, pad=True))


def galactic(ra: npt.ArrayLike, dec: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return galactic longitudes and latitudes of positions (degrees, ICRS), degrees, n × 2."""
    there = SkyCoord(np.asarray(ra, dtype=float), np.asarray(dec, dtype=float), unit="deg").galactic
    return np.stack([there.l.deg, there.b.deg], axis=-1)
