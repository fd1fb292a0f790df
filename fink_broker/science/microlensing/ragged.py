"""Many vectors of different lengths, one after the other in a flat array.

Every sum runs over the points of one vector alone, in their order, so that a result does not depend on which other
vectors stand beside it, to the last bit.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fink_broker.alert.lightcurve import Floats, Ints, Mask


class Ragged:
    """How a flat array is cut into vectors; none of them may be empty.

    Parameters
    ----------
    lengths : numpy.ndarray of int
        Points of each vector, at least one.

    Attributes
    ----------
    lengths : numpy.ndarray of int, shape (vectors,)
        Points of each vector.
    starts, ends : numpy.ndarray of int, shape (vectors,)
        Flat index of the first and the last point of each vector.
    owner : numpy.ndarray of int, shape (points,)
        The vector each point belongs to.
    position : numpy.ndarray of int, shape (points,)
        The place of each point in its vector, from 0.
    """

    def __init__(self, lengths: Ints) -> None:
        self.lengths = lengths
        after = np.cumsum(lengths)
        self.starts: Ints = after - lengths
        self.ends: Ints = after - 1
        self.owner: Ints = np.repeat(np.arange(len(lengths)), lengths)
        self.position: Ints = np.arange(len(self.owner)) - self.starts[self.owner]

    @cached_property
    def _left(self) -> Ints:
        """Points that follow in the same vector."""
        return self.lengths[self.owner] - 1 - self.position

    def total(self, values: Floats) -> Floats:
        """Return the sum over each vector."""
        return np.add.reduceat(values, self.starts)

    def mean(self, values: Floats) -> Floats:
        """Return the mean over each vector."""
        return self.total(values) / self.lengths

    def count(self, chosen: Mask) -> Ints:
        """Return how many points of each vector are chosen."""
        return np.add.reduceat(chosen.astype(np.int64), self.starts)

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Return the largest value of each vector, NaN if it has one."""
        return np.maximum.reduceat(values, self.starts)

    def smallest(self, values: np.ndarray) -> np.ndarray:
        """Return the smallest value of each vector, NaN if it has one."""
        return np.minimum.reduceat(values, self.starts)

    def total_of_neighbours(self, values: Floats, neighbours: int) -> Floats:
        """Return the sum over the points that have so many successors in their vector, whatever the others hold."""
        return self.total(np.where(self._left >= neighbours, values, 0.0))

    def has_next(self, steps: int) -> Mask:
        """Tell which points have so many successors in their vector."""
        return self._left >= steps

    def order(self, values: Floats) -> Ints:
        """Return the indices that sort each vector in its place, ascending."""
        return np.lexsort((values, self.owner))

    def median(self, ascending: Floats) -> Floats:
        """Return the median of each vector of values that ascend in each."""
        low, high = self.starts + (self.lengths - 1) // 2, self.starts + self.lengths // 2
        return (ascending[low] + ascending[high]) / 2.0

    def percentile(self, ascending: Floats, fraction: float) -> Floats:
        """Return a percentile of each vector of values that ascend in each, interpolated linearly.

        Parameters
        ----------
        ascending : numpy.ndarray, shape (points,)
            Values.
        fraction : float
            Percentile as a fraction of 1.
        """
        place = fraction * (self.lengths - 1)
        below = place.astype(np.int64)
        low, high = ascending[self.starts + below], ascending[np.minimum(self.starts + below + 1, self.ends)]
        return low + (high - low) * (place - below)

    def longest_run(self, chosen: Mask) -> Ints:
        """Return the length of the longest row of chosen points in each vector."""
        here = np.arange(len(chosen))
        broken = np.maximum.accumulate(np.where(chosen, self.starts[self.owner] - 1, here))
        return self.largest(here - broken)


def later(values: np.ndarray, steps: int) -> np.ndarray:
    """Return the value so many places later in the flat array, 0 beyond its end."""
    moved = np.zeros_like(values)
    moved[:-steps] = values[steps:]
    return moved
