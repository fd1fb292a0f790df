"""What all webhooks have done, as numbers for the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fink_broker.notify.status import Counters

#: Numbers of a webhook that only grow: name in the label, and field of `Counters`.
RESULTS = {
    "posted": "posted",
    "in a summary": "summarised",
    "refused": "refused",
    "unreadable": "unreadable",
    "told before": "repeats",
}


class _Status(Protocol):
    @property
    def counters(self) -> Counters: ...


class _Channel(Protocol):
    @property
    def status(self) -> _Status: ...


class NoticeNumbers(Collector):
    """Reads the numbers of all webhooks when they are asked for.

    Parameters
    ----------
    channels : callable
        Returns the channels at work, by the name of their webhook.
    """

    def __init__(self, channels: Callable[[], Mapping[str, _Channel]]) -> None:
        self._channels = channels

    def describe(self) -> list[Metric]:
        """Return what there will be, without reading it."""
        return list(self._families())

    def collect(self) -> Iterator[Metric]:
        """Give the numbers."""
        alerts, failed, waiting, lag = self._families()
        for name, channel in list(self._channels().items()):
            counters = channel.status.counters
            for result, field in RESULTS.items():
                alerts.add_metric([name, result], getattr(counters, field))
            failed.add_metric([name], counters.retries)
            waiting.add_metric([name], counters.waiting)
            lag.add_metric([name], counters.lag)
        yield from (alerts, failed, waiting, lag)

    def _families(self) -> tuple[CounterMetricFamily, CounterMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            CounterMetricFamily(
                "fink_notices", "Alerts a webhook was told of, by what became of it.", labels=["webhook", "result"]
            ),
            CounterMetricFamily("fink_notice_failures", "Posts that failed and are repeated.", labels=["webhook"]),
            GaugeMetricFamily("fink_notices_waiting", "Alerts that were read and not told yet.", labels=["webhook"]),
            GaugeMetricFamily("fink_notice_lag_messages", "Messages not read yet.", labels=["webhook"]),
        )
