"""Points of one exposure that lie along a great circle, as the glints of a satellite do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats, Ints, Mask

ARCSEC = np.pi / 180 / 3600

#: Fewest points of a streak.
MIN_POINTS = 5
#: A circle is drawn through points further apart than this; shorter, its direction is only noise.
MIN_SEPARATION = 10 * ARCSEC
#: Largest distance of a point from the circle, and from the curve fitted then.
FROM_CIRCLE = 5 * ARCSEC
FROM_CURVE = 1 * ARCSEC
#: Most times a curve is fitted to what the one before it left.
MAX_FITS = 10
#: An end point does not belong if the gap before it is a larger part of the whole length.
MAX_GAP = 10 / 11
#: Circles of one exposure that are looked at, those with most points first. A thousand candidates give some thousand
#: by chance; with many more, every circle has points enough, and the search would not end.
MAX_CIRCLES = 20_000

_CHUNK = 2_000_000

Rows = npt.NDArray[np.intp]


def unit_vectors(ra: Floats, dec: Floats) -> Floats:
    """Return positions (degrees) as unit vectors, shape (n, 3)."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def aligned_sets(points: Floats) -> Iterator[tuple[Rows, Rows]]:
    """Yield sets of at least `MIN_POINTS` points within `FROM_CIRCLE` of a great circle through two of them.

    The largest first; of equally large ones, in an order that follows from the order of the points.

    Parameters
    ----------
    points : numpy.ndarray
        Unit vectors, shape (n, 3).

    Yields
    ------
    pair, members : numpy.ndarray
        The two points that define the circle, and the points near it.
    """
    pairs = _populated_pairs(points)
    packed = []
    step = max(1, _CHUNK // max(len(points), 1))
    for start in range(0, len(pairs), step):
        normals = _normals(points, pairs[start : start + step])
        packed.append(np.packbits(np.abs(_dots(normals, points)) <= np.sin(FROM_CIRCLE), axis=1))
    if not packed:
        return
    # the same set is found from many of its pairs
    sets, first = np.unique(np.concatenate(packed), axis=0, return_index=True)
    sizes = np.bitwise_count(sets).sum(axis=1, dtype=np.int64)
    for row in np.argsort(-sizes, kind="stable"):
        if sizes[row] < MIN_POINTS:
            return
        yield pairs[first[row]], np.flatnonzero(np.unpackbits(sets[row], count=len(points)))


def _populated_pairs(points: Floats) -> Rows:
    """Return the pairs whose circle has at least `MIN_POINTS` points, at most `MAX_CIRCLES`, shape (pairs, 2)."""
    found, counts = [np.empty((0, 2), dtype=np.intp)], [np.empty(0, dtype=np.int64)]
    for pivot in range(len(points) - 1):
        others, count = _count_on_circles(points, pivot)
        populated = count >= MIN_POINTS
        found.append(np.stack([np.full(populated.sum(), pivot), others[populated]], axis=1))
        counts.append(count[populated])
    pairs = np.concatenate(found)
    return pairs[np.argsort(-np.concatenate(counts), kind="stable")[:MAX_CIRCLES]]


def _count_on_circles(points: Floats, pivot: int) -> tuple[Rows, Ints]:
    """Count the points near the circles through a point and each of the later ones that are far enough away.

    All circles through the pivot differ only in direction, and a point at distance d is near those whose direction is
    within arcsin(sin 5″ / sin d) of its own. So points are intervals of direction, circles are directions, and counting
    which intervals hold a direction takes two sorted lists: n log n instead of n² for a pivot.

    Returns
    -------
    others, counts : numpy.ndarray
        The second point of each circle, and how many points are near it, both defining ones included.
    """
    east, north = _tangents(points[pivot])
    x, y = _dots(np.stack([east, north]), points)
    sine = np.hypot(x, y)
    direction = np.arctan2(y, x) % np.pi
    around = np.delete(np.arange(len(points)), pivot)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a little more than exact: what is counted here is checked afterwards
        reach = np.arcsin(np.minimum(1.0, 1.000001 * np.sin(FROM_CIRCLE) / sine[around]))
    starts, ends = direction[around] - reach, direction[around] + reach
    # a direction and the opposite one are the same circle
    below, above = starts < 0, ends > np.pi
    starts = np.sort(np.concatenate([starts, starts[below] + np.pi, starts[above] - np.pi]))
    ends = np.sort(np.concatenate([ends, ends[below] + np.pi, ends[above] - np.pi]))
    later = np.arange(pivot + 1, len(points))
    others = later[sine[later] > np.sin(MIN_SEPARATION)]
    asked = direction[others]
    return others, 1 + np.searchsorted(starts, asked, side="right") - np.searchsorted(ends, asked, side="left")


def fit_streak(points: Floats, pair: Rows, members: Rows) -> Rows | None:
    """Return the points of a set that lie on one smooth curve, None if fewer than `MIN_POINTS` do.

    A parabola is fitted to the distances from the circle through the outermost points; points off it and end points
    far from all others are left out; and again, until nothing changes.

    Parameters
    ----------
    points : numpy.ndarray
        Unit vectors, shape (n, 3).
    pair, members : numpy.ndarray
        As `aligned_sets` gives them.
    """
    along, _ = _along_and_across(points[members], *points[pair])
    ends = members[[np.argmin(along), np.argmax(along)]]
    if np.abs(np.cross(*points[ends])).max() < np.sin(MIN_SEPARATION):  # opposite sides of the sky
        return None
    along, across = _along_and_across(points[members], *points[ends])
    order = np.argsort(along, kind="stable")
    members, along, across = members[order], along[order], across[order]
    for _ in range(MAX_FITS):
        kept = np.abs(across - _parabola(along, across)) <= FROM_CURVE
        kept[kept] = _without_far_ends(along[kept])
        if np.count_nonzero(kept) < MIN_POINTS:
            return None
        members, along, across = members[kept], along[kept], across[kept]
        if kept.all():
            break
    return members


def _parabola(x: Floats, y: Floats) -> Floats:
    """Return the least-squares parabola through points, at these points."""
    middle, half = (x[0] + x[-1]) / 2, (x[-1] - x[0]) / 2
    scaled = (x - middle) / half if half > 0 else np.zeros_like(x)
    terms = np.stack([np.ones_like(x), scaled, scaled**2], axis=1)
    return np.asarray(terms @ np.linalg.lstsq(terms, y, rcond=None)[0])


def _without_far_ends(along: Floats) -> Mask:
    """Tell which points to keep: all but an end point (of either side) beyond a gap too large."""
    kept = np.ones(len(along), dtype=bool)
    if len(along) > 1:
        limit = MAX_GAP * (along[-1] - along[0])
        kept[0] = along[1] - along[0] <= limit
        kept[-1] = along[-1] - along[-2] <= limit
    return kept


def _along_and_across(points: Floats, start: Floats, towards: Floats) -> tuple[Floats, Floats]:
    """Return the angles (radians) along a great circle from its start, and across it."""
    normal = np.cross(start, towards)
    normal /= np.sqrt(np.sum(normal**2))
    forward = np.cross(normal, start)
    x, y, z = _dots(np.stack([start, forward, normal]), points)
    return np.arctan2(y, x), np.arcsin(np.clip(z, -1.0, 1.0))


def _normals(points: Floats, pairs: Rows) -> Floats:
    """Return the poles of the great circles through pairs of points."""
    normals = np.cross(points[pairs[:, 0]], points[pairs[:, 1]])
    return normals / np.sqrt(np.sum(normals**2, axis=1, keepdims=True))


def _tangents(point: Floats) -> tuple[Floats, Floats]:
    """Return two perpendicular directions on the sky at a point; also at a pole."""
    helper = np.zeros(3)
    helper[np.argmin(np.abs(point))] = 1.0
    one = np.cross(point, helper)
    one /= np.sqrt(np.sum(one**2))
    return one, np.cross(point, one)


def _dots(left: Floats, right: Floats) -> Floats:
    """Return the products of all vectors with all, summed in one order whatever their number."""
    x, y, z = (np.multiply.outer(left[:, axis], right[:, axis]) for axis in range(3))
    return np.asarray(x + y + z)
