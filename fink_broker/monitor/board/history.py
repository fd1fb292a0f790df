"""The past as it is kept: rates by minute and by hour, alerts by observing night."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fink_broker.archive import Commit
from fink_broker.monitor.board.views import NightView

MINUTE, HOUR = 60, 3600
#: Minutes are kept for three days, hours for two years.
KEPT_MINUTES = 3 * 24 * 60
KEPT_HOURS = 2 * 366 * 24
#: Nights that are kept: the latest.
KEPT_NIGHTS = 5000
#: Batches of raw whose own rates are kept, for the live plot.
KEPT_BATCHES = 1800

STAGES = ("raw", "science", "topics", "archived")


@dataclass
class Span:
    """What was done in a minute or an hour: alerts taken in by stage, and seconds raw was busy."""

    alerts: Counter[str] = field(default_factory=Counter)
    busy: float = 0.0


class History:
    """The past of all stages."""

    def __init__(self) -> None:
        self._minutes: dict[int, Span] = {}
        self._hours: dict[int, Span] = {}
        self._nights: dict[str, Counter[str]] = {}
        self._batches: list[tuple[float, float, float]] = []
        self._last_started: float | None = None

    def add(self, stage: str, commit: Commit) -> None:
        """Add a batch."""
        for spans, seconds, kept in ((self._minutes, MINUTE, KEPT_MINUTES), (self._hours, HOUR, KEPT_HOURS)):
            span = spans.setdefault(int(commit.committed // seconds), Span())
            span.alerts[stage] += commit.counts["in"]
            if stage == "raw":
                span.busy += max(0.0, commit.committed - commit.started)
            if len(spans) > kept + kept // 10:
                for old in sorted(spans)[:-kept]:
                    del spans[old]
        if stage == "raw":
            self._add_batch(commit)
        self._add_nights(stage, commit)

    def rows(self, now: float) -> list[tuple[float, Span, int]]:
        """Return the past: begin (unix seconds), what was done, and length in seconds; minutes where they are known.

        Spans in which nothing happened are given where something did before or after, so that a line falls to zero.

        Parameters
        ----------
        now : float
            Unix time in seconds; the span that is under way is left out.
        """
        # minutes begin with a full hour, so that none is lost between them and the hours before
        begin = -(-(int(now // MINUTE) - KEPT_MINUTES) * MINUTE // HOUR) * HOUR
        first, end = begin // MINUTE, now // MINUTE
        minutes = {number: span for number, span in self._minutes.items() if first <= number < end}
        hours = {number: span for number, span in self._hours.items() if number * HOUR < begin}
        if hours:
            minutes.setdefault(first, Span())
        rows = [row for row in _with_zeros(hours, HOUR) if row[0] < begin]
        rows += [row for row in _with_zeros(minutes, MINUTE) if row[0] >= begin]
        last = (now // MINUTE - 1) * MINUTE
        return [*rows, (last, Span(), MINUTE)] if rows and rows[-1][0] < last else rows

    def batches(self) -> list[tuple[float, float, float]]:
        """Return for each of the latest batches of raw: start (unix seconds), rate in, and rate while it worked."""
        return self._batches[-KEPT_BATCHES:]

    def alerts_since(self, begin: float) -> int:
        """Return how many alerts came into raw since a unix time, to the minute; at most three days back."""
        return sum(span.alerts["raw"] for number, span in self._minutes.items() if (number + 1) * MINUTE > begin)

    def nights(self, most: int = KEPT_NIGHTS) -> tuple[NightView, ...]:
        """Return alerts by observing night and stage, the latest nights first."""
        latest = sorted(self._nights, reverse=True)[:most]
        return tuple(NightView(night, *(self._nights[night][stage] for stage in STAGES)) for night in latest)

    def _add_batch(self, commit: Commit) -> None:
        alerts = commit.counts["in"]
        busy = max(0.001, commit.committed - commit.started)
        waited = commit.started - self._last_started if self._last_started is not None else busy
        self._last_started = commit.started
        self._batches.append((commit.started, alerts / max(0.001, waited), alerts / busy))
        if len(self._batches) > 2 * KEPT_BATCHES:
            del self._batches[:-KEPT_BATCHES]

    def _add_nights(self, stage: str, commit: Commit) -> None:
        for night, number, is_whole in _by_night(stage, commit):
            sums = self._nights.setdefault(night, Counter())
            sums[stage] = number if is_whole else sums[stage] + number
        if len(self._nights) > KEPT_NIGHTS + KEPT_NIGHTS // 10:
            for old in sorted(self._nights)[:-KEPT_NIGHTS]:
                del self._nights[old]


def timestamp(moment: float) -> str:
    """Return a unix time as ISO text in UTC, to the second."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _by_night(stage: str, commit: Commit) -> list[tuple[str, int, bool]]:
    """Return nights, alerts in them, and whether these are all of the night, whatever was counted before."""
    if stage != "archived":
        return [(file.partition, file.rows, False) for file in commit.files]
    nights = commit.details.get("nights") or {}
    return [
        (night, int(told.get("numbers", {}).get("sci", 0)), bool(told.get("whole"))) for night, told in nights.items()
    ]


def _with_zeros(spans: dict[int, Span], seconds: int) -> list[tuple[float, Span, int]]:
    rows: list[tuple[float, Span, int]] = []
    for number in sorted(spans):
        before, after = number - 1, number + 1
        if before not in spans and (not rows or rows[-1][0] < before * seconds):
            rows.append((float(before * seconds), Span(), seconds))
        rows.append((float(number * seconds), spans[number], seconds))
        if after not in spans:
            rows.append((float(after * seconds), Span(), seconds))
    return rows
