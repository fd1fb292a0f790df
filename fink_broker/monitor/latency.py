"""How long alerts take, from histograms that batches leave in their commits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any


@dataclass(frozen=True)
class Latency:
    """Seconds from Kafka in to Kafka out, over many alerts.

    Parameters
    ----------
    histogram : tuple of (float, int)
        Upper edge in seconds and number of messages, by rising edge; a bin begins where the one before ends.
    longest : float
        The longest latency in seconds.
    """

    histogram: tuple[tuple[float, int], ...] = ()
    longest: float = 0.0

    @property
    def messages(self) -> int:
        """How many messages were timed."""
        return sum(number for _, number in self.histogram)

    def percentile(self, share: float) -> float | None:
        """Return the latency in seconds that this share (0 to 1) of messages did not exceed; None without any.

        Messages are taken to lie evenly in their bin, and none beyond the longest latency.
        """
        if not self.messages:
            return None
        wanted = share * self.messages
        below, lower = 0, 0.0
        for edge, number in self.histogram:
            if number and below + number >= wanted:
                upper = min(edge, max(self.longest, lower)) if self.longest or not isfinite(edge) else edge
                return lower + (upper - lower) * (wanted - below) / number
            below, lower = below + number, edge
        return self.longest

    @classmethod
    def merge(cls, details: Iterable[dict[str, Any]]) -> Latency:
        """Add up the histograms of batches (``latency_histogram``, ``latency_seconds`` of their details)."""
        bins: dict[float, int] = {}
        longest = 0.0
        for batch in details:
            for edge, number in batch.get("latency_histogram", []):
                upper = inf if edge is None else float(edge)
                bins[upper] = bins.get(upper, 0) + int(number)
            longest = max(longest, float(batch.get("latency_seconds", {}).get("max") or 0.0))
        return cls(tuple(sorted(bins.items())), longest)
