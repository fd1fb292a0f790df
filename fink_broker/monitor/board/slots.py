"""What happened in the last hour, in slots of a few seconds: memory does not grow with the rate or with time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable

SLOT_SECONDS = 5.0
KEPT_SECONDS = 3600.0

Key = tuple[Hashable, ...]


class Slots:
    """Numbers by time and key.

    Parameters
    ----------
    clock : callable
        Gives the unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._slots: dict[int, Counter[Key]] = {}

    def add(self, moment: float, key: Key, number: float) -> None:
        """Add a number that belongs to a moment (unix seconds), in any order.

        What is more than an hour old is left out; what a clock that is ahead puts into the future counts as now.
        """
        now = self._clock()
        if not number or moment < now - KEPT_SECONDS:
            return
        numbers = self._slots.setdefault(int(min(moment, now) // SLOT_SECONDS), Counter())
        numbers[key] += number  # type: ignore[assignment]  # milliseconds are no whole numbers

    def forget_old(self) -> None:
        """Drop what is more than an hour old."""
        oldest = (self._clock() - KEPT_SECONDS) // SLOT_SECONDS
        self._slots = {slot: numbers for slot, numbers in self._slots.items() if slot >= oldest}

    def totals(self, seconds: float) -> Counter[Key]:
        """Return all numbers of the last seconds, added up; the slot that reaches further back counts in part."""
        begin = self._clock() - seconds
        found: Counter[Key] = Counter()
        for slot, numbers in self._slots.items():
            share = min(1.0, ((slot + 1) * SLOT_SECONDS - begin) / SLOT_SECONDS)
            if share <= 0:
                continue
            for key, number in numbers.items():
                found[key] += number * share  # type: ignore[assignment]
        return found

    def series(self, key: Key, seconds: float, step: float) -> tuple[float, ...]:
        """Return numbers a second of a key in whole steps up to now, the latest last.

        Parameters
        ----------
        key : tuple
            Which.
        seconds : float
            How far back.
        step : float
            Length of a step in seconds, a multiple of `SLOT_SECONDS`.
        """
        last = int(self._clock() // step)
        sums = [0.0] * round(seconds / step)
        for slot, numbers in self._slots.items():
            back = last - int(slot * SLOT_SECONDS // step)
            if 1 <= back <= len(sums):  # the step that is under way is left out: it would always look like a drop
                sums[-back] += numbers.get(key, 0)
        return tuple(round(each / step, 3) for each in sums)
