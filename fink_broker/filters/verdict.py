"""What a filter said of a batch of alerts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fink_broker.alert.lightcurve import Mask
from fink_broker.filters.filter import Filter


@dataclass(frozen=True)
class Verdict:
    """What one filter said of each alert of a batch.

    Parameters
    ----------
    filter : Filter
        The filter.
    passed : numpy.ndarray of bool
        Which alerts it takes, shape (n,).
    failed : numpy.ndarray of bool
        Which alerts it could not judge, shape (n,); disjoint from ``passed``.
    seconds : float
        Time it took.
    error : str
        Why it failed, one sentence; empty if it did not.
    """

    filter: Filter
    passed: Mask
    failed: Mask
    seconds: float
    error: str = ""

    @classmethod
    def failure(cls, entry: Filter, length: int, seconds: float, error: str) -> Verdict:
        """Return the verdict of a filter that could judge none of the alerts."""
        return cls(entry, np.zeros(length, dtype=bool), np.ones(length, dtype=bool), seconds, error)
