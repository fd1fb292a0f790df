"""What a batch of the distribution adds up to: messages by topic, what each filter saw, how late alerts were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.filters.verdict import Verdict

#: upper edges of the latency histogram in seconds; the last counts all beyond
LATENCY_EDGES = np.concatenate([np.arange(0.25, 10.01, 0.25), np.arange(11, 61), np.geomspace(75, 86400, 30)])


@dataclass
class BatchTally:
    """Counts of a batch, chunk by chunk.

    Parameters
    ----------
    messages : Counter
        Messages by topic.
    filters : dict
        For each filter: its identity, alerts seen, passed and failed, milliseconds, and the last error.
    arrived : list of numpy.ndarray
        When alerts came into Kafka (unix seconds).
    """

    messages: Counter[str] = field(default_factory=Counter)
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrived: list[np.ndarray] = field(default_factory=list)

    def add(self, alerts: pa.Table, verdicts: Sequence[Verdict]) -> None:
        """Count what the filters said of some alerts."""
        for verdict in verdicts:
            entry = self.filters.setdefault(
                verdict.filter.name,
                {"identity": verdict.filter.identity, "seen": 0, "passed": 0, "failed": 0, "ms": 0.0},
            )
            entry["seen"] += len(alerts)
            entry["passed"] += int(verdict.passed.sum())
            entry["failed"] += int(verdict.failed.sum())
            entry["ms"] = round(entry["ms"] + 1000 * verdict.seconds, 3)
            if verdict.error:
                entry["error"] = verdict.error
        times = pc.struct_field(alerts["origin"].combine_chunks(), "timestamp")
        self.arrived.append(times.cast("int64").to_numpy(zero_copy_only=False) / 1e6)

    def details(self, now: float) -> dict[str, Any]:
        """Return what the commit of the batch tells, at a unix time in seconds."""
        late = now - np.concatenate([np.empty(0), *self.arrived])
        return {
            "topics": {topic: number for topic, number in self.messages.items() if number},
            "filters": self.filters,
            **latencies(late),
        }


def latencies(seconds: np.ndarray) -> dict[str, Any]:
    """Return the distribution of latencies: percentiles, and a histogram that can be added to others.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
        From Kafka in to Kafka out.
    """
    if len(seconds) == 0:
        return {}
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99])
    bins = np.searchsorted(LATENCY_EDGES, seconds)
    numbers = np.bincount(np.minimum(bins, len(LATENCY_EDGES) - 1), minlength=len(LATENCY_EDGES))
    return {
        "latency_seconds": {"p50": p50, "p95": p95, "p99": p99, "max": float(seconds.max())},
        "latency_histogram": [
            [round(float(edge), 3), int(number)] for edge, number in zip(LATENCY_EDGES, numbers, strict=True) if number
        ],
    }
