"""Which alerts of a batch a filter raises on: halves, and halves of halves, within a time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from fink_broker.alert.lightcurve import Mask

#: The most of an error's text that goes into logs and commits.
LONGEST_ERROR = 300


class WrongAnswer(Exception):
    """A filter gave something other than a truth value an alert: no alert is to blame for that."""


def isolate(judge: Callable[[int, int], Mask], length: int, seconds: float) -> tuple[Mask, Mask]:
    """Judge a batch on which a filter raised, part by part.

    Parameters
    ----------
    judge : callable
        From first and last (exclusive) row to which of them pass; it raises.
    length : int
        Alerts of the batch.
    seconds : float
        After this time the alerts that are left count as failed.

    Returns
    -------
    passed, failed : numpy.ndarray of bool, shape (length,)
        Which pass, and on which it raises.
    """
    end = time.monotonic() + seconds
    passed, failed = np.zeros(length, dtype=bool), np.ones(length, dtype=bool)
    parts = [(0, length)]
    while parts and time.monotonic() < end:
        first, last = parts.pop()
        if last - first < 2:
            continue  # it raised on this one
        middle = (first + last) // 2
        for half in ((first, middle), (middle, last)):
            try:
                passed[slice(*half)] = judge(*half)
                failed[slice(*half)] = False
            except Exception:  # whatever it raises: these hold a culprit
                parts.append(half)
    return passed, failed


def told(error: BaseException) -> str:
    """Return an error in one short line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception of a user may raise when it is asked for its text
        text = ""
    name = type(error).__name__
    return (f"{name}: {text}" if text else name)[:LONGEST_ERROR]
