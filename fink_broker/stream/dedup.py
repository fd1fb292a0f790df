"""The candids seen lately: repeats of an alert are recognised, also across restarts, in bounded memory."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np

Candids = np.ndarray  # int64, shape (n,)


class SeenCandids:
    """The latest candids, at most so many.

    They are held as sorted runs of int64, merged as they grow, so that asking costs a few binary searches and
    an alert costs 8 bytes. The oldest batches are forgotten first.

    Parameters
    ----------
    capacity : int
        How many candids are remembered.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._runs: list[Candids] = []  # oldest first; each sorted

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, candids: Candids) -> None:
        """Remember the candids of a batch."""
        if len(candids) == 0:
            return
        self._runs.append(np.sort(candids))
        # Neighbouring runs of similar size become one: runs grow in powers of two, at most log2(n) of them.
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            if len(self._runs[-2]) + len(self._runs[-1]) > max(self.capacity // 4, 1):
                break
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]), kind="stable")
        while len(self) > self.capacity and len(self._runs) > 1:
            self._runs.pop(0)

    def contains(self, candids: Candids) -> np.ndarray:
        """Return for each candid whether it was seen (bool, shape (n,))."""
        seen = np.zeros(len(candids), dtype=bool)
        for run in self._runs:
            position = np.searchsorted(run, candids)
            position[position == len(run)] = 0
            seen |= run[position] == candids
        return seen

    def repeats(self, candids: Candids) -> np.ndarray:
        """Return which entries repeat a candid seen before or an earlier entry (bool, shape (n,))."""
        first = np.zeros(len(candids), dtype=bool)
        first[np.unique(candids, return_index=True)[1]] = True
        return self.contains(candids) | ~first


def pack(candids: Candids) -> str:
    """Return candids as text for a commit."""
    return base64.b64encode(np.ascontiguousarray(candids, dtype="<i8").tobytes()).decode()


def unpack(text: str) -> Candids:
    """Return the candids of a commit."""
    return np.frombuffer(base64.b64decode(text), dtype="<i8").astype(np.int64)


def remember(capacity: int, packed: Iterable[str]) -> SeenCandids:
    """Return the candids of the latest commits, given newest first."""
    batches: list[Candids] = []
    total = 0
    for text in packed:
        batches.append(unpack(text))
        total += len(batches[-1])
        if total >= capacity:
            break
    seen = SeenCandids(capacity)
    for batch in reversed(batches):
        seen.add(batch)
    return seen
