"""Finds the pixels of a stamp that stand out, and the alerts whose stamps differ in how many do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Mask
from fink_broker.science.hostless.stamps import Stamp

#: Pixels further than this many standard deviations from the median are clipped, this many times at most.
SIGMA = np.float32(3.0)
MAX_ITERATIONS = 10
#: Side of a stamp, and of the square around its middle that is looked at closely.
SIDE, CENTRE_SIDE = 63, 14
#: A host shows where one image has more than this many clipped pixels while the other has fewer than `FEW_PIXELS`.
MANY_PIXELS, FEW_PIXELS = 5, 3

_FIRST = SIDE // 2 - CENTRE_SIDE // 2
#: The middle `CENTRE_SIDE` rows and columns of a stamp.
CENTRE = (slice(_FIRST, _FIRST + CENTRE_SIDE), slice(_FIRST, _FIRST + CENTRE_SIDE))

Values = npt.NDArray[np.float32]


def clipped_pixels(stamp: Stamp, clipped: Mask | None = None) -> Mask:
    """Return which pixels are clipped: not finite, or too far from the median of those that remain.

    The same pixels to the last one as ``astropy.stats.sigma_clip(stamp, sigma=3, maxiters=10)`` (iterated clipping).
    Only the bounds of the last iteration count, so that a pixel left out on the way may be back in the end. Median and
    standard deviation are computed in 32 bits as there: in 64 bits, a pixel in ten million would be judged otherwise.

    Parameters
    ----------
    stamp : numpy.ndarray
        Pixels of any shape.
    clipped : numpy.ndarray of bool, optional
        Pixels that were clipped before, and stay so.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        mask = ~np.isfinite(stamp)
        if clipped is not None:
            mask |= clipped
        kept = stamp[~mask]
        if kept.size:
            lower, upper = _bounds(kept)
            mask |= (stamp < lower) | (stamp > upper)
    return mask


def _bounds(kept: Values) -> tuple[np.float32, np.float32]:
    """Return between which values pixels are kept.

    An image at a time: the sum in 32 bits depends on how many values there are and on their order, which differ from
    image to image. The values are sorted once; those kept are a range of the sorted ones, the median in its middle.
    """
    ordered = np.sort(kept)
    first, last = 0, len(ordered)
    for _ in range(MAX_ITERATIONS):
        median = _median_of_sorted(ordered[first:last])
        deviation = _standard_deviation(kept)
        lower, upper = median - deviation * SIGMA, median + deviation * SIGMA
        inside = kept[(kept >= lower) & (kept <= upper)]
        if len(inside) == len(kept) or not len(inside):
            break
        first = first + int(np.searchsorted(ordered[first:last], lower, side="left"))
        last = first + len(inside)
        kept = inside
    return lower, upper


def _median_of_sorted(ordered: Values) -> np.float32:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return np.float32(ordered[middle])
    return np.float32(np.mean(ordered[middle - 1 : middle + 1]))


def _standard_deviation(values: Values) -> np.float32:
    """Return the standard deviation; the operations and their order are those of ``numpy.nanstd``."""
    count = np.float32(len(values))
    offset = values - np.add.reduce(values) / count
    return np.float32(np.sqrt(np.add.reduce(offset * offset) / count))


def is_candidate(stamps: Sequence[Stamp], clipped: Sequence[Mask]) -> bool:
    """Tell whether one image shows something extended and the other does not.

    Many clipped pixels in one and few in the other, in the whole stamps or, if not there, around their middle
    (Pessi et al. 2024, A&A 691, A181).

    Parameters
    ----------
    stamps : sequence of numpy.ndarray
        The two images, `SIDE` × `SIDE` pixels each.
    clipped : sequence of numpy.ndarray of bool
        Their `clipped_pixels`; they are clipped once more here.
    """
    for part in ((slice(None), slice(None)), CENTRE):
        counts = [
            int(np.count_nonzero(clipped_pixels(stamp[part], before[part])))
            for stamp, before in zip(stamps, clipped, strict=True)
        ]
        if max(counts) > MANY_PIXELS and min(counts) < FEW_PIXELS:
            return True
    return False
