"""Many discs on the sky, each of its own radius: which of them cover a position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from fink_broker.alert.lightcurve import Floats, Ints, Mask
from fink_broker.alert.sky import ARCSEC, on_sky, separation_arcsec

#: Searches reach this much farther than the radius, so that rounding never loses a disc; whether it covers a position
#: is told by the separation.
_SLACK = 1.0 + 1e-9


@dataclass(frozen=True)
class _Group:
    """Discs whose radii are alike within a factor of ten.

    Parameters
    ----------
    rows : numpy.ndarray of int64
        Which discs.
    tree : scipy.spatial.KDTree
        Their centres, lifted.
    reach : float
        Largest chord.
    """

    rows: Ints
    tree: KDTree
    reach: float


class Discs:
    """Discs that can be searched for those that cover a position, rim included.

    Centres are unit vectors, so that poles and the turn of right ascension are places like any other. A disc of
    chord c stands at the height √(C² − c²) above them in a fourth dimension, C the largest chord: the distance of a
    position to the lifted centre is at most C just where the disc covers it, and the nearest lifted centre is that of
    the disc that covers it farthest (a power diagram; Aurenhammer 1987, SIAM J. Comput. 16, 78). One search of a k-d
    tree answers, however crowded the discs and however different their radii. Separations decide in the end.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        Centres in degrees, on the sky.
    radius_arcsec : numpy.ndarray
        Radii in arcsec, above 0 and below a quarter of a turn.
    """

    def __init__(self, ra_deg: Floats, dec_deg: Floats, radius_arcsec: Floats) -> None:
        self._ra, self._dec, self._radius = ra_deg, dec_deg, radius_arcsec
        # C² − c² loses the digits of radii much smaller than the largest: each decade has a tree of its own
        decade = np.floor(np.log10(radius_arcsec))
        self._groups = [self._group(np.flatnonzero(decade == value)) for value in np.unique(decade)]

    def _group(self, rows: Ints) -> _Group:
        chord = 2.0 * np.sin(self._radius[rows] * ARCSEC / 2.0)
        height = np.sqrt(np.maximum(chord.max() ** 2 - chord**2, 0.0))
        points = _points(self._ra[rows], self._dec[rows], height)
        # halves by place, not by count: a list may hold one position very often
        return _Group(rows, KDTree(points, balanced_tree=False), float(chord.max()) * _SLACK)

    def cover(self, ra_deg: Floats, dec_deg: Floats) -> Mask:
        """Return which positions (degrees, shape (n,)) a disc covers; none does one that does not exist."""
        covered = np.zeros(len(ra_deg), dtype=bool)
        for group in self._groups:
            asked = np.flatnonzero(on_sky(ra_deg, dec_deg) & ~covered)
            if len(asked):
                points = _points(ra_deg[asked], dec_deg[asked])
                distance, place = group.tree.query(points, distance_upper_bound=group.reach)
                found = np.isfinite(distance)
                asked, rows = asked[found], group.rows[place[found]]
                covered[asked] = self._separation(ra_deg[asked], dec_deg[asked], rows) <= self._radius[rows]
        return covered

    def covering(self, ra_deg: Floats, dec_deg: Floats, most: int) -> list[Ints]:
        """Return for each position the discs that cover it, nearest centre first, at most so many."""
        found: list[Ints] = [np.empty(0, dtype=np.int64)] * len(ra_deg)
        for place in np.flatnonzero(self.cover(ra_deg, dec_deg)):
            point = _points(ra_deg[place : place + 1], dec_deg[place : place + 1])[0]
            near = [group.rows[group.tree.query_ball_point(point, group.reach)] for group in self._groups]
            rows = np.concatenate(near).astype(np.int64)
            separation = self._separation(ra_deg[place], dec_deg[place], rows)
            inside = separation <= self._radius[rows]
            rows, separation = rows[inside], separation[inside]
            found[place] = rows[np.lexsort((rows, separation))][:most]
        return found

    def _separation(self, ra_deg: Floats, dec_deg: Floats, rows: Ints) -> Floats:
        return separation_arcsec(ra_deg, dec_deg, self._ra[rows], self._dec[rows])


def _points(ra_deg: Floats, dec_deg: Floats, height: Floats | float = 0.0) -> Floats:
    """Return unit vectors with a height in a fourth dimension, shape (k, 4)."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    level = np.cos(dec)
    return np.stack([level * np.cos(ra), level * np.sin(ra), np.sin(dec), np.broadcast_to(height, ra.shape)], axis=1)
