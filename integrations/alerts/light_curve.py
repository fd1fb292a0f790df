"""The light curve in a ZTF alert: the exposure it is about, and those of its history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: Bands by ``fid``.
BANDS = {1: "g", 2: "r", 3: "i"}

#: How ``isdiffpos`` says that the source is brighter than in the reference image.
POSITIVE = ("t", "1", "true")


@dataclass(frozen=True, slots=True)
class Point:
    """One exposure of an object: a detection, or the limit below which it was not seen.

    Parameters
    ----------
    jd : float
        Mid-exposure time (d, Julian date, UTC).
    band : str
        ``g``, ``r`` or ``i``.
    magnitude, error : float or None
        Magnitude on the difference image and its 1σ error (mag, AB); null for a limit.
    limit : float or None
        5σ limiting magnitude of the exposure (mag, AB).
    is_positive : bool
        Whether the source is brighter than in the reference image.
    ra, dec : float or None
        Position in this exposure (deg, ICRS).
    candid : int or None
        Number of the alert of this exposure.
    """

    jd: float
    band: str
    magnitude: float | None
    error: float | None
    limit: float | None
    is_positive: bool
    ra: float | None
    dec: float | None
    candid: int | None


def points(alert: Mapping[str, Any]) -> list[Point]:
    """Return the light curve of an alert, in order of time.

    Parameters
    ----------
    alert : mapping
        With ``candidate``, and ``prv_candidates`` where there is a history; fields as in ZTF packets.

    Returns
    -------
    list of Point
        Each exposure (time, band, magnitude) once, the alert's own before the same in its history. Rows without time
        or band, without a positive limit, or with a magnitude but no error are left out.
    """
    found: dict[tuple[float, str, float | None], Point] = {}
    for row in _rows(alert):
        point = _point(row)
        if point is not None:
            found.setdefault((point.jd, point.band, point.magnitude), point)
    return sorted(found.values(), key=lambda point: (point.jd, point.band))


def _rows(alert: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Return the alert's own exposure and those of its history, as far as it has any."""
    history = alert.get("prv_candidates")
    rows = [alert.get("candidate"), *(history if isinstance(history, list | tuple) else ())]
    return (row for row in rows if isinstance(row, Mapping))


def _point(row: Mapping[str, Any]) -> Point | None:
    fid = row.get("fid")
    band = BANDS.get(fid) if isinstance(fid, int) else None
    jd, limit = number(row.get("jd")), number(row.get("diffmaglim"))
    if jd is None or band is None or limit is None or limit <= 0:
        return None
    magnitude, error = number(row.get("magpsf")), number(row.get("sigmapsf"))
    if magnitude is not None and error is None:
        return None
    candid = row.get("candid")
    return Point(
        jd=jd,
        band=band,
        magnitude=magnitude,
        error=None if magnitude is None else error,
        limit=limit,
        is_positive=str(row.get("isdiffpos")).lower() in POSITIVE,
        ra=number(row.get("ra")),
        dec=number(row.get("dec")),
        candid=candid if isinstance(candid, int) else None,
    )


def number(value: Any) -> float | None:
    """Return a number as float; null if there is none, or it is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
