"""Finds the pixels of a stamp that stand out, and the alerts whose stamps differ in how many do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats, Mask
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

#: Bound on the difference of bounds computed in 32 and 64 bits, relative to median and standard deviation. Summing
#: thousands of values in pairs, 32 bits are right to some 30 roundings of 2⁻²⁴; 64 are allowed for.
ROUNDING = 2.0**-18
#: It holds while the median is no larger than this many standard deviations (so that the error of the mean is a small
#: part of one) and squares fit in 32 bits.
MAX_CONTRAST, MAX_SIZE = 2.0**16, 2.0**40

Values = npt.NDArray[np.float32]


def clipped_pixels(stamp: Stamp, clipped: Mask | None = None) -> Mask:
    """Return which pixels are clipped: not finite, or too far from the median of those that remain.

    The same pixels to the last one as ``astropy.stats.sigma_clip(stamp, sigma=3, maxiters=10)`` (iterated clipping).
    Only the bounds of the last iteration count, so that a pixel left out on the way may be back in the end.

    Parameters
    ----------
    stamp : numpy.ndarray
        Pixels of any shape.
    clipped : numpy.ndarray of bool, optional
        Pixels that were clipped before, and stay so.
    """
    usable = np.isfinite(stamp)
    if clipped is not None:
        usable &= ~clipped
    pixels = stamp.reshape(-1) if usable.all() else stamp[usable]
    if not pixels.size:
        return ~usable
    lowest, highest = _extremes_kept(pixels)
    usable &= stamp >= lowest
    usable &= stamp <= highest
    return ~usable


def _extremes_kept(pixels: Values) -> tuple[np.float32, np.float32]:
    """Return the lowest and the highest value that is not clipped, in the wrong order if all are.

    The values kept by an iteration are a range of the sorted ones, with the median in the middle. The bounds are
    computed in 64 bits, and in 32 bits as astropy does only where that leaves open on which side of them a pixel lies.
    """
    ordered = np.sort(pixels)
    middle = float(ordered[len(ordered) // 2])
    offset = ordered - np.float64(middle)
    first, last = 0, len(ordered)
    for _ in range(MAX_ITERATIONS):
        start, end = _estimated_range(offset, middle, first, last) or _exact_range(ordered, pixels, first, last)
        if (start <= first and end >= last) or max(start, first) >= min(end, last):
            break
        first, last = max(start, first), min(end, last)
    if start >= end:
        return np.float32(np.inf), np.float32(-np.inf)
    return ordered[start], ordered[end - 1]


def _estimated_range(offset: Floats, middle: float, first: int, last: int) -> tuple[int, int] | None:
    """Return which of the sorted values lie within the bounds that follow from some of them, None if rounding decides.

    Parameters
    ----------
    offset : numpy.ndarray
        Offset of the sorted values from a value in their middle.
    middle : float
        That value.
    first, last : int
        The bounds follow from the values between these places.
    """
    kept, count = offset[first:last], last - first
    mean, power = float(np.add.reduce(kept)) / count, float(kept.dot(kept)) / count
    deviation = math.sqrt(max(power - mean * mean, 0.0))
    median = (kept.item((count - 1) // 2) + kept.item(count // 2)) / 2
    scale = abs(middle + median) + deviation
    ordinary = deviation > 1 / MAX_SIZE and scale < MAX_SIZE
    if not (ordinary and scale < deviation * MAX_CONTRAST and power < deviation * scale * MAX_CONTRAST):
        return None
    width, margin = deviation * float(SIGMA), scale * ROUNDING
    lower, upper = median - width, median + width
    places = offset.searchsorted((lower - margin, lower + margin, upper - margin, upper + margin))
    start, start_at_most, end, end_at_most = places.tolist()
    return (start, end) if start == start_at_most and end == end_at_most else None


def _exact_range(ordered: Values, pixels: Values, first: int, last: int) -> tuple[int, int]:
    """Return the same by the operations of astropy (those of ``numpy.nanstd``), in 32 bits and in the order of pixels.

    In 64 bits, a pixel in ten million would be judged otherwise.
    """
    count = np.float32(last - first)
    with np.errstate(over="ignore", invalid="ignore"):
        kept = pixels[(pixels >= ordered[first]) & (pixels <= ordered[last - 1])]
        median = np.float32(np.mean(ordered[(first + last - 1) // 2 : (first + last) // 2 + 1]))
        offset = kept - np.add.reduce(kept) / count
        width = np.sqrt(np.add.reduce(offset * offset) / count) * SIGMA
        lower, upper = median - width, median + width
    if np.isnan(lower) or np.isnan(upper):
        return 0, len(ordered)
    return int(ordered.searchsorted(lower, side="left")), int(ordered.searchsorted(upper, side="right"))


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
        before = [mask[part] for mask in clipped]
        # what is clipped stays so: most alerts need no second look
        if min(np.count_nonzero(mask) for mask in before) >= FEW_PIXELS:
            continue
        counts = [
            int(np.count_nonzero(clipped_pixels(stamp[part], mask))) for stamp, mask in zip(stamps, before, strict=True)
        ]
        if max(counts) > MANY_PIXELS and min(counts) < FEW_PIXELS:
            return True
    return False
