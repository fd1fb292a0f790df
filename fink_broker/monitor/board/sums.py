"""What a stage has done since the beginning, as sums: each commit is added once and then forgotten."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from fink_broker.archive import Commit
from fink_broker.monitor.board.slots import Slots
from fink_broker.monitor.board.views import LatencyView
from fink_broker.monitor.latency import Latency

#: Batches whose seconds the median is of.
_LATEST_BATCHES = 200
#: Topics, filters, modules, reasons that are told apart; there are some tens.
_MOST_NAMES = 2000

#: Details of commits that hold a number for each name, and are added up.
_BY_NAME = ("reasons", "cuts", "failed", "skipped", "topics", "module_ms")


class StageSums:
    """One stage.

    Parameters
    ----------
    name : str
        The table its batches are committed to.
    slots : Slots
        Where the last hour is kept, shared by all stages.
    """

    def __init__(self, name: str, slots: Slots) -> None:
        self.name, self._slots = name, slots
        self.batches = 0
        self.totals: Counter[str] = Counter()
        self.named: dict[str, Counter[str]] = {detail: Counter() for detail in _BY_NAME}
        self.filters: dict[str, Counter[str]] = {}
        self.errors: dict[str, str] = {}
        self.lost_offsets = 0
        self.committed: float | None = None
        self.batch_last: float | None = None
        self._batch_seconds: deque[float] = deque(maxlen=_LATEST_BATCHES)
        self._histogram: Counter[float] = Counter()
        self._longest = 0.0
        self._steps: Counter[float] = Counter()
        self._longest_step = 0.0

    def add(self, commit: Commit) -> None:
        """Add a batch."""
        moment, details = commit.committed, commit.details
        self.batches += 1
        self.committed = max(moment, self.committed or 0.0)
        self.batch_last = max(0.0, moment - commit.started)
        self._batch_seconds.append(self.batch_last)
        for way, number in commit.counts.items():
            self.totals[way] += number
            self._slots.add(moment, (self.name, way), number)
        for detail in _BY_NAME:
            self._add_named(detail, moment, details.get(detail) or {})
        self._add_filters(moment, details.get("filters") or {})
        self._add_latency(moment, details)
        self.lost_offsets += int(details.get("lost_offsets") or 0)

    def add_steps(self, moment: float, steps: Iterable[tuple[float, int]]) -> None:
        """Add how many seconds alerts took from the stage before to this one, committed at a unix time in seconds."""
        for seconds, alerts in steps:
            edge = step_edge(seconds)
            self._steps[edge] += alerts
            self._slots.add(moment, (self.name, "step", edge), alerts)
            self._longest_step = max(self._longest_step, seconds)

    @property
    def batch_p50(self) -> float | None:
        """Median of the seconds the latest batches took."""
        return float(np.median(self._batch_seconds)) if self._batch_seconds else None

    def latency(self) -> LatencyView:
        """Return the latency of all alerts since the beginning."""
        return latency_view(self._histogram, self._longest)

    def latency_of(self, recent: Counter[Any]) -> LatencyView:
        """Return the latency of alerts in some slots (`Slots.totals`)."""
        return self._recent(recent, "latency")

    def step(self) -> LatencyView:
        """Return how long all alerts took from the stage before to this one."""
        return latency_view(self._steps, self._longest_step)

    def step_of(self, recent: Counter[Any]) -> LatencyView:
        """Return how long alerts in some slots took from the stage before to this one."""
        return self._recent(recent, "step")

    def _recent(self, recent: Counter[Any], kind: str) -> LatencyView:
        found = {key[2]: round(number) for key, number in recent.items() if key[:2] == (self.name, kind)}
        # of the last hour the longest is not kept: the upper edge of its bin stands for it, or the longest of all
        edge = max((edge for edge, number in found.items() if number), default=0.0)
        known = self._longest if kind == "latency" else self._longest_step
        return latency_view(Counter(found), min(edge, known) if known else edge)

    def _add_named(self, detail: str, moment: float, numbers: dict[str, Any]) -> None:
        known = self.named[detail]
        for name, number in numbers.items():
            if name in known or len(known) < _MOST_NAMES:
                known[name] += number
                self._slots.add(moment, (self.name, detail, name), number)

    def _add_filters(self, moment: float, filters: dict[str, dict[str, Any]]) -> None:
        for name, told in filters.items():
            if name not in self.filters and len(self.filters) >= _MOST_NAMES:
                continue
            known = self.filters.setdefault(name, Counter())
            for what in ("seen", "passed", "failed", "ms"):
                known[what] += told.get(what, 0)
            self._slots.add(moment, (self.name, "filter_ms", name), told.get("ms", 0.0))
            self._slots.add(moment, (self.name, "filter_seen", name), told.get("seen", 0))
            self._slots.add(moment, (self.name, "filter_failed", name), told.get("failed", 0))
            if told.get("error"):
                self.errors[name] = str(told["error"])[:500]

    def _add_latency(self, moment: float, details: dict[str, Any]) -> None:
        for edge, number in details.get("latency_histogram") or []:
            self._histogram[float(edge)] += int(number)
            self._slots.add(moment, (self.name, "latency", float(edge)), int(number))
        self._longest = max(self._longest, float((details.get("latency_seconds") or {}).get("max") or 0.0))


def step_edge(seconds: float) -> float:
    """Return the upper edge of the bin some seconds lie in: quarters of a second, beyond 10 s two digits."""
    if seconds <= 10:
        return max(1, math.ceil(4 * seconds)) / 4
    width = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return width * math.ceil(seconds / width)


def latency_view(histogram: Counter[float], longest: float) -> LatencyView:
    """Return percentiles of a histogram: upper edges in seconds and numbers of alerts."""
    bins = tuple((edge, number) for edge, number in sorted(histogram.items()) if number)
    if not bins:
        return LatencyView()
    held = Latency(bins, longest)
    p50, p95, p99 = (held.percentile(share) for share in (0.5, 0.95, 0.99))
    return LatencyView(held.messages, p50, p95, p99, longest, bins)
