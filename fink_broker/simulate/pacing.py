"""When the next alert is due: at a fixed rate, or as the night went."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from fink_broker.alert.survey import ZTF
from fink_broker.config.model import SimulatorConfig

_SECONDS_A_DAY = 86400.0
#: Behind by more than this (s), what was missed is not caught up with in a burst
_PATIENCE = 1.0
#: Waits are cut into pieces so long (s), between which other work is done
_PIECE = 0.1


class Pace(Protocol):
    """Says when an alert is due."""

    def due(self, jd: float, now: float) -> float:
        """Return when the next alert, exposed at jd (days), is due, on the clock that shows `now` (s)."""
        ...


class FixedRate:
    """So many alerts per second, evenly.

    Parameters
    ----------
    rate : float
        Alerts per second; 0: as fast as it goes.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate if rate > 0 else 0.0
        self._last: float | None = None

    def due(self, jd: float, now: float) -> float:
        """Return when the next alert is due."""
        if self._last is None or not self._interval:
            self._last = now
        else:
            self._last = max(self._last + self._interval, now - _PATIENCE)
        return self._last


class OwnPace:
    """The exposure times of the alerts themselves; each night follows the one before at once.

    Alerts are sent in the order they come in: one exposed before its forerunner is due at once.

    Parameters
    ----------
    speedup : float
        How many times faster than the night.
    """

    def __init__(self, speedup: float) -> None:
        self._speedup = speedup
        self._night = ""
        self._jd = self._began = 0.0

    def due(self, jd: float, now: float) -> float:
        """Return when the next alert is due."""
        night = ZTF.night(jd)
        if night != self._night:
            self._night, self._jd, self._began = night, jd, now
        return self._began + (jd - self._jd) * _SECONDS_A_DAY / self._speedup


def pace_of(config: SimulatorConfig) -> Pace:
    """Return the pace a configuration asks for."""
    return OwnPace(config.speedup) if config.pace == "night" else FixedRate(config.rate)


class Waiter:
    """Waits until alerts are due.

    Parameters
    ----------
    pace : Pace
        When they are.
    stop : threading.Event
        Ends the waiting.
    meanwhile : callable
        Called between pieces of a wait.
    clock : callable
        Seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        pace: Pace,
        stop: threading.Event,
        meanwhile: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace, self._stop, self._meanwhile, self._clock = pace, stop, meanwhile, clock

    def wait(self, jd: float) -> bool:
        """Wait until the next alert, exposed at jd (days), is due; return False if told to stop."""
        now = self._clock()
        due = self._pace.due(jd, now)
        while (left := due - now) > 0:
            if self._stop.wait(min(left, _PIECE)):
                return False
            self._meanwhile()
            now = self._clock()
        return not self._stop.is_set()
