"""Peaks of many vectors: how often a light curve departs from its median by a lot."""

from __future__ import annotations

import numpy as np

from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.science.microlensing.ragged import Ragged, later

#: A peak stands above this fraction of the range of its vector.
THRESHOLD = 0.5
#: Of two peaks not further apart than this, in points, the lower one is not counted.
MIN_DISTANCE = 10


def count_peaks(cut: Ragged, values: Floats) -> Ints:
    """Return how many separate peaks each vector has.

    A peak rises from the point before, falls to the point after, and stands above half the range; the two end points
    are none. On a plateau, the points before its middle count as rising (or falling) like the step onto it, the rest
    like the step off it. From the highest peak down, each silences those within ten points; of equal ones the later
    one comes first.

    Parameters
    ----------
    cut : Ragged
        How the values are cut into vectors.
    values : numpy.ndarray, shape (points,)
        Finite numbers.
    """
    lowest, highest = cut.smallest(values), cut.largest(values)
    high = values > (lowest + THRESHOLD * (highest - lowest))[cut.owner]
    onward = _directions(cut, values)
    before = np.zeros_like(onward)
    before[1:] = onward[:-1]
    inner = (cut.position > 0) & cut.has_next(1)
    peaks = np.flatnonzero(high & inner & (before > 0) & (onward < 0))
    return _separate(cut, peaks[np.lexsort((-peaks, -values[peaks]))])


def _directions(cut: Ragged, values: Floats) -> Floats:
    """Return the sign of the step from each point to the next of its vector, level steps decided; 0 if all are."""
    sign = np.where(cut.has_next(1), np.sign(later(values, 1) - values), 0.0)
    here = np.arange(len(values))
    steps = sign != 0
    # flat index of the last step before and the first step after that is not level; outside the vector: there is none
    last = np.maximum.accumulate(np.where(steps, here, -1))
    following = np.minimum.accumulate(np.where(steps, here, len(values))[::-1])[::-1]
    first_here, last_here = cut.starts[cut.owner], cut.ends[cut.owner]
    rises_before, rises_after = last >= first_here, following <= last_here
    earlier_half = 2 * here < last + following
    source = np.where(rises_before & (earlier_half | ~rises_after), last, following)
    decided = sign[np.clip(source, 0, len(values) - 1)]
    return np.where(rises_before | rises_after, decided, 0.0)


def _separate(cut: Ragged, highest_first: Ints) -> Ints:
    """Count the peaks of each vector that no higher one silences.

    Each decision depends on those before it, hence the loop; a light curve has two or three candidates.
    """
    owner = cut.owner[highest_first].tolist()
    silenced: set[int] = set()
    counts = [0] * len(cut.lengths)
    starts, ends = cut.starts.tolist(), cut.ends.tolist()
    for peak, vector in zip(highest_first.tolist(), owner, strict=True):
        if peak not in silenced:
            counts[vector] += 1
            silenced.update(range(max(peak - MIN_DISTANCE, starts[vector]), min(peak + MIN_DISTANCE, ends[vector]) + 1))
    return np.array(counts, dtype=np.int64)
