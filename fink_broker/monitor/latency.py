"""How long alerts take, from histograms that batches leave in their commits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Latency:
    """Seconds from Kafka in to Kafka out, over many alerts.

    Parameters
    ----------
    histogram : tuple of (float, int)
        Upper edge in seconds and number of messages, by rising edge; the last also counts all beyond its edge.
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

        It is the upper edge of the bin in which that message lies (for the last bin: the longest latency), so
        the true value is never larger. Empty bins are not kept, hence no interpolation between edges.
        """
        below = 0
        for edge, number in self.histogram[:-1]:
            below += number
            if below >= share * self.messages:
                return edge
        return self.longest if self.messages else None

    @classmethod
    def merge(cls, details: Iterable[dict[str, Any]]) -> Latency:
        """Add up the histograms of batches (``latency_histogram``, ``latency_seconds`` of their details)."""
        bins: dict[float, int] = {}
        longest = 0.0
        for batch in details:
            for edge, number in batch.get("latency_histogram", []):
                bins[float(edge)] = bins.get(float(edge), 0) + int(number)
            longest = max(longest, float(batch.get("latency_seconds", {}).get("max") or 0.0))
        return cls(tuple(entry for entry in sorted(bins.items()) if entry[1]), longest)
