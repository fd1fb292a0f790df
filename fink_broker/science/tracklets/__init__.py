"""Tracklets: alerts of one exposure along a line, left by a satellite or debris that crossed the field and glinted.

Found once the night is over, when all alerts of each exposure are there. ``great_circles`` has the geometry.
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats, Ints, Mask, to_floats
from fink_broker.science.tracklets.great_circles import MIN_POINTS, Rows, aligned_sets, fit_streak, unit_vectors

log = logging.getLogger(__name__)

#: What is read of the alerts.
COLUMNS = (
    "candid", "jd", "xpos", "ypos", "ra", "dec", "ssnamenr", "ndethist", "isdiffpos", "distnr", "magnr", "magpsf",
)  # fmt: skip
#: ``ssnamenr`` of an alert without a known solar system object nearby.
NO_OBJECT = "null"
#: Most candidates of an exposure that are searched, which takes seconds. Chance alone aligns points: of positions at
#: random in a field of 7 degrees, 200 give no streak, 500 give 4, 1000 give 50. Beyond this, names would mean nothing.
MAX_CANDIDATES = 5000
#: A streak that shares more than this many points with an earlier one continues it.
MAX_SHARED = 2

#: jd of the start of 1970, and the days a name can be given to: years 1 to 9999.
_UNIX_EPOCH_JD = 2440587.5
_FIRST_JD, _LAST_JD = 1721425.5, 5373484.5


def find_tracklets(alerts: pa.Table) -> pa.StringArray:
    """Return the name of the tracklet each alert of a night belongs to, empty for none.

    A name is ``TRCK_<date>_<time>_<number>``: UTC of the exposure, and a running number in it. It does not depend on
    the order of the rows.

    Parameters
    ----------
    alerts : pyarrow.Table
        All alerts of a night, with `COLUMNS`: ``jd`` in days, ``xpos``, ``ypos`` in pixels, ``ra``, ``dec`` in degrees,
        ``distnr`` in arcsec, magnitudes in AB mag; an alert may occur more than once.

    Raises
    ------
    KeyError
        If a column is missing.
    """
    candid = pc.fill_null(_column(alerts, "candid"), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = _distinct(alerts, np.flatnonzero(is_candidate(alerts)), candid)
    jd, ra, dec = (_numbers(alerts, name)[rows] for name in ("jd", "ra", "dec"))
    points = unit_vectors(ra, dec)
    names: dict[int, str] = {}
    used: Counter[str] = Counter()
    exposures, starts = np.unique(jd, return_index=True)
    limits = np.append(starts, len(rows))
    for time, start, end in zip(exposures, limits[:-1], limits[1:], strict=True):
        members = np.arange(start, end)
        if len(members) > MAX_CANDIDATES:
            log.warning("Exposure at jd %s: %d candidates, too many to look for tracklets.", time, len(members))
        elif len(members) >= MIN_POINTS:
            label = _time_label(time)
            streaks = streaks_of(points[members])
            for number, streak in enumerate(streaks, start=used[label]):
                names.update(dict.fromkeys(candid[rows[members[streak]]].tolist(), f"TRCK_{label}_{number:02d}"))
            used[label] += len(streaks)
    return pa.array([names.get(one, "") for one in candid.tolist()], pa.string())


def is_candidate(alerts: pa.Table) -> Mask:
    """Tell which alerts may belong to a tracklet: seen once, brighter than the reference, nothing known there.

    Left out are sources on a star of the reference image, which are mostly residuals of its subtraction.

    Parameters
    ----------
    alerts : pyarrow.Table
        With `COLUMNS`.
    """
    unnamed = pc.equal(_column(alerts, "ssnamenr").cast(pa.string()), NO_OBJECT).fill_null(True)
    positive = pc.equal(_column(alerts, "isdiffpos").cast(pa.string()), "t").fill_null(False)
    distance = _numbers(alerts, "distnr")
    jd, ra, dec = (_numbers(alerts, name) for name in ("jd", "ra", "dec"))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        brightening = _numbers(alerts, "magnr") - _numbers(alerts, "magpsf")
        on_star = (distance < 2) & (brightening < 1) & (brightening < -4 * (np.log10(distance) + 0.2))
        somewhere = np.isfinite(ra) & (np.abs(dec) <= 90) & (jd >= _FIRST_JD) & (jd < _LAST_JD)
        once = _numbers(alerts, "ndethist") == 1
    known_nowhere = pc.and_(unnamed, positive).to_numpy(zero_copy_only=False)
    return np.asarray(known_nowhere & once & somewhere & ~on_star)


def streaks_of(points: Floats) -> list[Rows]:
    """Return the streaks among the points of one exposure, each as the points it has; a point belongs to the first.

    Parameters
    ----------
    points : numpy.ndarray
        Unit vectors, shape (n, 3).
    """
    free = np.ones(len(points), dtype=bool)
    streaks: list[npt.NDArray[np.bool_]] = []
    for pair, members in aligned_sets(points):
        if np.count_nonzero(free[members]) < MIN_POINTS:
            continue
        found = fit_streak(points, pair, members)
        if found is None:
            continue
        earlier = next((one for one in streaks if np.count_nonzero(one[found]) > MAX_SHARED), None)
        if earlier is None:
            earlier = np.zeros(len(points), dtype=bool)
            streaks.append(earlier)
        earlier[found[free[found]]] = True
        free[found] = False
    return [np.flatnonzero(streak) for streak in streaks]


def _distinct(alerts: pa.Table, rows: Rows, candid: Ints) -> Rows:
    """Return the rows by jd, then candid, without those that repeat an alert or a place on the detector."""
    jd, x, y = (_numbers(alerts, name)[rows] for name in ("jd", "xpos", "ypos"))
    by_place = np.lexsort((candid[rows], y, x, jd))
    rows, jd, x, y = rows[by_place], jd[by_place], x[by_place], y[by_place]
    # an unknown place equals none, as NaN does
    repeats = np.zeros(len(rows), dtype=bool)
    repeats[1:] = (jd[1:] == jd[:-1]) & (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    rows, jd = rows[~repeats], jd[~repeats]
    by_candid = np.lexsort((candid[rows], jd))
    rows, jd = rows[by_candid], jd[by_candid]
    again = np.zeros(len(rows), dtype=bool)
    again[1:] = (jd[1:] == jd[:-1]) & (candid[rows[1:]] == candid[rows[:-1]])
    return rows[~again]


def _time_label(jd: float) -> str:
    """Return UTC of a jd as YYYYMMDD_HHMMSS; the parts of a second that a jd cannot hold are rounded first."""
    seconds = round((jd - _UNIX_EPOCH_JD) * 86_400_000) // 1000
    text = str(np.datetime64(seconds, "s"))
    return text.replace("-", "").replace(":", "").replace("T", "_")


def _column(alerts: pa.Table, name: str) -> pa.Array:
    return alerts.column(name).combine_chunks()


def _numbers(alerts: pa.Table, name: str) -> Floats:
    return to_floats(_column(alerts, name))
