"""How long a rule will take on a batch, told from a few of its alerts: a stranger's rule may be anything."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from fink_broker.alert.lightcurve import Mask
from fink_broker.filters.view import AlertView

#: How many alerts are enough to tell. A batch is tried if it has more.
TRIAL_ALERTS = 16


def expected_seconds(decide: Callable[[AlertView], Mask], view: AlertView, enough: float) -> float:
    """Return how long a rule will take on a batch; 0 if it cannot be told, as it raises.

    The first alert alone is not timed: a list is read then, or a map of the sky. What does not depend on the number
    of alerts counts once.

    Parameters
    ----------
    decide : callable
        The rule.
    view : AlertView
        The batch, of more than `TRIAL_ALERTS` alerts.
    enough : float
        Seconds that are allowed; a rule that seems to take longer is timed twice, as the machine may have been busy.
    """
    expected = math.inf
    try:
        _time(decide, view, 1)
        for _ in range(2):
            one, several = _time(decide, view, 1), _time(decide, view, TRIAL_ALERTS)
            slope = max(0.0, several - one) / (TRIAL_ALERTS - 1)
            expected = min(expected, one + slope * (len(view) - 1))
            if expected <= enough:
                break
    except Exception:  # what it raises is told when it judges the batch
        return 0.0
    return expected


def _time(decide: Callable[[AlertView], Mask], view: AlertView, length: int) -> float:
    part = view.take(np.arange(length))
    started = time.perf_counter()
    decide(part)
    return time.perf_counter() - started
