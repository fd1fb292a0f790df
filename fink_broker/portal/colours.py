"""How fast the magnitude of objects changes, their colour g − r, and how fast that changes.

For alerts of many objects at once: points are sorted by object and time, and neighbours found by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats, Ints, Mask, to_floats

G, R = 1, 2
#: Points of two bands no farther apart than this make a colour (days).
SAME_TIME_DAYS = 0.3
NOBODY = -1


@dataclass(frozen=True)
class Points:
    """Photometry of alerts, one point an alert.

    Parameters
    ----------
    owner : numpy.ndarray of int64
        Number of the object, shape (n,).
    jd : numpy.ndarray
        Exposure times in days.
    band : numpy.ndarray of int64
        1 for g, 2 for r, 3 for i.
    magnitude, error : numpy.ndarray
        In mag.
    """

    owner: Ints
    jd: Floats
    band: Ints
    magnitude: Floats
    error: Floats

    @classmethod
    def of(cls, alerts: pa.Table) -> Points:
        """Take the points out of columns ``i:objectId``, ``i:jd``, ``i:fid``, ``i:magpsf``, ``i:sigmapsf``."""
        names = pc.dictionary_encode(alerts["i:objectId"].combine_chunks())
        owner = names.indices.fill_null(NOBODY).to_numpy(zero_copy_only=False).astype(np.int64)
        band = alerts["i:fid"].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        columns = [decimals(alerts[name]) for name in ("i:jd", "i:magpsf", "i:sigmapsf")]
        return cls(owner, columns[0], band, columns[1], columns[2])

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def is_measured(self) -> Mask:
        """Where there is a time and a magnitude."""
        return np.isfinite(self.jd) & np.isfinite(self.magnitude)

    def of_band(self, band: int) -> Ints:
        """Return the measured rows of one band, sorted by object and time."""
        rows = np.flatnonzero(self.is_measured & (self.band == band) & (self.owner != NOBODY))
        return rows[np.lexsort((self.jd[rows], self.owner[rows]))]


@dataclass(frozen=True)
class Colours:
    """What `colours` finds for each alert, NaN where there is none; arrays of shape (n,).

    Parameters
    ----------
    rate, rate_error : numpy.ndarray
        Change of the magnitude since the previous point of the same object and band, and its error (mag/day).
    colour, colour_error : numpy.ndarray
        g − r and its error (mag).
    colour_rate, colour_rate_error : numpy.ndarray
        Change of g − r since the previous one of the same object, and its error (mag/day).
    """

    rate: Floats
    rate_error: Floats
    colour: Floats
    colour_error: Floats
    colour_rate: Floats
    colour_rate_error: Floats


def colours(points: Points) -> Colours:
    """Compute rates and colours.

    A rate is the difference to the previous point over the time between them, its error the square root of the sum of
    the squares of both errors over that time. A g point and the r point nearest in time, at most 0.3 days away, make a
    colour; it holds for every alert of the object within 0.3 days of the g point, and if there are several for the
    nearest.

    Parameters
    ----------
    points : Points
        All alerts of the objects, in any order.
    """
    rate, rate_error = np.full((2, len(points)), np.nan)
    for band in (G, R):
        rows = points.of_band(band)
        rate[rows], rate_error[rows] = _rates(
            points.owner[rows], points.jd[rows], points.magnitude[rows], points.error[rows]
        )
    return Colours(rate, rate_error, *_of_alerts(points))


def decimals(column: pa.ChunkedArray) -> Floats:
    """Return numbers as float64, null as NaN; those of 32 bit as the shortest decimal number that stands for them.

    A magnitude was 14.903686 before it was kept in 32 bits: differences of such numbers are right to the digits they
    had.
    """
    array = column.combine_chunks()
    if pa.types.is_float32(array.type):
        array = array.cast(pa.string())
    return to_floats(array)


def _rates(owner: Ints, jd: Floats, value: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Return the change since the previous point of the same object and its error; points are sorted."""
    rate, rate_error = np.full((2, len(owner)), np.nan)
    if len(owner) > 1:
        days = np.diff(jd)
        days = np.where((np.diff(owner) == 0) & (days > 0), days, np.nan)
        rate[1:] = np.diff(value) / days
        rate_error[1:] = np.hypot(error[1:], error[:-1]) / days
    return rate, rate_error


def _of_alerts(points: Points) -> tuple[Floats, Floats, Floats, Floats]:
    """Return colour, error, rate and error for every alert."""
    green, red = points.of_band(G), points.of_band(R)
    partner = _nearest(points, green, red)
    green, partner = green[partner != NOBODY], partner[partner != NOBODY]
    colour = points.magnitude[green] - points.magnitude[red[partner]]
    error = np.hypot(points.error[green], points.error[red[partner]])
    rate, rate_error = _rates(points.owner[green], points.jd[green], colour, error)
    source = _nearest(points, np.arange(len(points)), green)
    has = source != NOBODY
    found = np.full((4, len(points)), np.nan)
    found[:, has] = np.stack([colour, error, rate, rate_error])[:, source[has]]
    return found[0], found[1], found[2], found[3]


def _nearest(points: Points, rows: Ints, among: Ints) -> Ints:
    """Return which of the sorted rows ``among`` is nearest in time to each row of the same object, or `NOBODY`."""
    if not len(among) or not len(rows):
        return np.full(len(rows), NOBODY, dtype=np.int64)
    after = _places(points, rows, among)
    best, least = np.full(len(rows), NOBODY, dtype=np.int64), np.full(len(rows), SAME_TIME_DAYS)
    for place in (after - 1, after):  # of two equally near the earlier one
        inside = np.clip(place, 0, len(among) - 1)
        other = among[inside]
        with np.errstate(invalid="ignore"):
            days = np.abs(points.jd[rows] - points.jd[other])
            nearer = (place == inside) & (points.owner[rows] == points.owner[other])
            nearer &= (days < least) | ((days <= least) & (best == NOBODY))
        best[nearer], least[nearer] = inside[nearer], days[nearer]
    return best


def _places(points: Points, rows: Ints, among: Ints) -> Ints:
    """Return the place of each row in the rows ``among``, which are sorted by object and time."""
    both = np.concatenate([among, rows])
    is_row = np.repeat([0, 1], [len(among), len(rows)])
    order = np.lexsort((is_row, points.jd[both], points.owner[both]))
    before = np.cumsum(1 - is_row[order])
    places = np.empty(len(both), dtype=np.int64)
    places[order] = before
    return places[len(among) :]
