"""The page Prometheus reads: how the stages stand, and what all services count, in its text format.

Names and units follow Prometheus' conventions (https://prometheus.io/docs/practices/naming/): seconds and bytes, and
``_total`` for what only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from fink_broker.metrics.merging import merged, plain
from fink_broker.metrics.sample import ServiceSample
from fink_broker.monitor.board.snapshot import Snapshot
from fink_broker.monitor.board.views import LatencyView

#: How the page is announced.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Most series of one family: topics and filters come by the hundred, not by the thousand.
MOST_SERIES = 2000
#: Upper edges of the latency histogram in seconds; they are the same for ever, or rates of it would mean nothing.
LATENCY_SECONDS = (
    *(0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
    *(120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0),
)
#: The states of a service, of which one is 1.
SERVICE_STATES = ("up", "starting", "stopped", "died", "lost")
_GIB = 2**30
_MIB = 2**20

Rows = Iterable[tuple[Sequence[str], float | None]]


def exposition(snapshot: Snapshot, samples: Sequence[ServiceSample]) -> bytes:
    """Return the page.

    Parameters
    ----------
    snapshot : Snapshot
        How the broker stands.
    samples : sequence of ServiceSample
        What services tell of themselves; of those that run now all is on the page.
    """
    ours = list(_families(snapshot))
    # the board judges by one clock who is lost; a sample has the clock of its host
    gone = {(each.name, each.host) for each in snapshot.services if each.state not in ("up", "starting")}
    running = [sample for sample in samples if (sample.name, sample.host) not in gone]
    names = {family.name for family in ours}
    registry = CollectorRegistry()
    registry.register(_Page([*ours, *merged(running, names)]))
    return generate_latest(registry)


class _Page(Collector):
    """Families of numbers that are there already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def describe(self) -> list[Metric]:
        """Return nothing: no name can clash on a page of its own."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give them; one without a series is left out."""
        return (family for family in self._families if family.samples)


def _families(snapshot: Snapshot) -> Iterator[Metric]:
    yield InfoMetricFamily("fink_build", "What runs.", {"version": snapshot.version, "survey": snapshot.survey})
    yield _gauge("fink_snapshot_timestamp_seconds", "When these numbers were taken.", [], [((), snapshot.taken)])
    if snapshot.is_complete:  # sums that still grow to what they were look like a restart, and then like a flood
        yield from _stages(snapshot)
        yield from _ways(snapshot)
        yield from _topics(snapshot)
    yield from _kafka(snapshot)
    yield from _services(snapshot)
    yield from _machines(snapshot)
    yield from _commit_logs(snapshot)


def _stages(snapshot: Snapshot) -> Iterator[Metric]:
    stages = snapshot.stages
    yield _counter(
        "fink_alerts",
        "Alerts of each stage, by the way they went: in, out, rejected, duplicate, cut.",
        ["stage", "way"],
        (([stage.name, way], number) for stage in stages for way, number in stage.totals.items()),
    )
    yield _counter("fink_batches", "Batches committed.", ["stage"], (([stage.name], stage.batches) for stage in stages))
    yield _gauge(
        "fink_open_ends",
        "Differences between what one stage put out and the next took in, of the last 24 hours; 0 when counts close.",
        ["stage"],
        (([stage.name], stage.difference_day) for stage in stages),
    )
    yield _counter(
        "fink_count_differences",
        "All such differences since the beginning.",
        ["stage"],
        (([stage.name], stage.difference_count) for stage in stages),
    )
    yield _gauge(
        "fink_stage_last_commit_age_seconds",
        "Time since the last batch was committed.",
        ["stage"],
        (([stage.name], stage.age) for stage in stages),
    )
    yield _gauge(
        "fink_batch_seconds",
        "Time of a batch: the last one, and the median of the latest ones.",
        ["stage", "of"],
        (
            ([stage.name, name], seconds)
            for stage in stages
            for name, seconds in (("last", stage.batch_last), ("median", stage.batch_p50))
        ),
    )
    yield _latency({stage.name: stage.latency_total for stage in stages})
    yield _gauge(
        "fink_recent_latency_seconds",
        "From Kafka in to the end of a stage, of the alerts of the last ten minutes.",
        ["stage", "percentile"],
        (([stage.name, name], value) for stage in stages for name, value in _percentiles(stage.latency_recent)),
    )


def _percentiles(view: LatencyView) -> Iterator[tuple[str, float | None]]:
    return zip(("p50", "p95", "p99", "max"), (view.p50, view.p95, view.p99, view.longest), strict=True)


def _latency(views: Mapping[str, LatencyView]) -> Metric:
    """Return latencies as a histogram; an alert is counted where it is sure that it was as fast."""
    family = HistogramMetricFamily(
        "fink_latency_seconds", "From Kafka in to the end of a stage, since the beginning.", labels=["stage"]
    )
    for stage, view in views.items():
        if not view.messages:
            continue
        for edge in LATENCY_SECONDS:
            below = sum(number for upper, number in view.histogram if upper <= edge)
            family.add_sample("fink_latency_seconds_bucket", {"stage": stage, "le": f"{edge:g}"}, below)
        family.add_sample("fink_latency_seconds_bucket", {"stage": stage, "le": "+Inf"}, view.messages)
        family.add_sample("fink_latency_seconds_count", {"stage": stage}, view.messages)
    return family


def _ways(snapshot: Snapshot) -> Iterator[Metric]:
    waiting = snapshot.waiting
    yield _gauge(
        "fink_waiting_alerts",
        "Alerts one stage has put out and the next has not taken in yet.",
        ["earlier", "later"],
        (([each.earlier, each.later], each.alerts) for each in waiting),
    )
    yield _gauge(
        "fink_waiting_oldest_age_seconds",
        "How long the oldest of them have waited; 0 if none waits.",
        ["earlier", "later"],
        (
            ([each.earlier, each.later], max(0.0, snapshot.taken - each.oldest) if each.oldest else 0.0)
            for each in waiting
        ),
    )
    yield _counter("fink_rejected", "Packets that could not be used.", ["reason"], _by_name(snapshot.reasons))
    yield _counter("fink_cut", "Alerts dropped by a quality cut.", ["cut"], _by_name(snapshot.cuts))
    yield _counter(
        "fink_lost_offsets",
        "Messages Kafka no longer had when they were asked for.",
        [],
        [((), snapshot.lost_offsets)],
    )


def _by_name(numbers: Mapping[str, int]) -> Rows:
    return (([name], number) for name, number in numbers.items())


def _topics(snapshot: Snapshot) -> Iterator[Metric]:
    yield _counter(
        "fink_topic_messages",
        "Messages sent.",
        ["topic"],
        (([topic.name], topic.messages) for topic in snapshot.topics),
    )
    yield _counter(
        "fink_filter_seconds",
        "Time a filter took.",
        ["filter"],
        (([each.name], each.ms / 1000) for each in snapshot.filters),
    )
    yield _counter(
        "fink_filter_alerts",
        "Alerts a filter saw, and of these those it let pass and those it failed on.",
        ["filter", "result"],
        (
            ([each.name, result], number)
            for each in snapshot.filters
            for result, number in (("seen", each.seen), ("passed", each.passed), ("failed", each.failed))
        ),
    )
    yield _counter(
        "fink_module_seconds",
        "Time a science module took, of all processes.",
        ["module"],
        (([each.name], each.ms / 1000) for each in snapshot.modules),
    )
    yield _counter(
        "fink_module_failures",
        "Alerts on which a science module failed, or could ask nobody.",
        ["module"],
        (([each.name], each.failed) for each in snapshot.modules),
    )


def _kafka(snapshot: Snapshot) -> Iterator[Metric]:
    lag = snapshot.lag
    known = lag.state == "known"
    yield _gauge("fink_kafka_lag_known", "Whether Kafka says what waits in it.", [], [((), known)])
    yield _gauge(
        "fink_kafka_lag_messages",
        "Messages of an input topic that no batch of raw has taken in.",
        ["topic", "partition"],
        (([each.topic, str(each.partition)], each.waiting) for each in lag.partitions if known),
    )


def _services(snapshot: Snapshot) -> Iterator[Metric]:
    services, labels = snapshot.services, ["service", "host"]
    yield _gauge(
        "fink_service_up",
        "Whether a service is up.",
        labels,
        (([each.name, each.host], each.state == "up") for each in services),
    )
    yield _gauge(
        "fink_service_state",
        "The state a service is in: died ended by itself, lost has not been heard of.",
        [*labels, "state"],
        (([each.name, each.host, state], each.state == state) for each in services for state in SERVICE_STATES),
    )
    yield _gauge(
        "fink_service_start_time_seconds",
        "When a service was started.",
        labels,
        (([each.name, each.host], each.since) for each in services),
    )
    yield _gauge(
        "fink_service_end_time_seconds",
        "When a service that died or is lost ended, or was last heard of.",
        labels,
        (([each.name, each.host], each.ended or each.last_seen) for each in services if each.state in ("died", "lost")),
    )
    yield _gauge(
        "fink_service_cpu_percent",
        "Processor time of a service and its children; 100 is one core.",
        labels,
        (([each.name, each.host], each.cpu_percent) for each in services),
    )
    yield _gauge(
        "fink_service_memory_bytes",
        "Resident memory of a service and its children.",
        labels,
        (([each.name, each.host], _times(each.memory_mib, _MIB)) for each in services),
    )
    yield _gauge(
        "fink_service_sample_age_seconds",
        "Time since a service last told of itself.",
        labels,
        (([each.name, each.host], each.sample_age) for each in services if each.state in ("up", "starting", "lost")),
    )


def _times(number: float | None, factor: float) -> float | None:
    return None if number is None else number * factor


def _machines(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ["host", "path"]
    yield _gauge(
        "fink_disk_free_bytes",
        "Free space of a disk.",
        labels,
        (([each.host, each.path], each.free_gib * _GIB) for each in snapshot.disks),
    )
    yield _gauge(
        "fink_disk_size_bytes",
        "Size of a disk.",
        labels,
        (([each.host, each.path], each.total_gib * _GIB) for each in snapshot.disks),
    )
    yield _gauge("fink_disks_away", "Disks that cannot be looked at.", [], [((), len(snapshot.disks_away))])
    machine = snapshot.machine
    for name, text, value in (
        (
            "fink_machine_cpu_percent",
            "Load of the processors of the dashboard's host; 100 is all.",
            machine.cpu_percent,
        ),
        ("fink_machine_memory_used_bytes", "Memory in use on that host.", machine.memory_used_gib * _GIB),
        ("fink_machine_memory_size_bytes", "Memory of that host.", machine.memory_total_gib * _GIB),
    ):
        yield _gauge(name, text, ["host"], [([machine.host], value)] if machine.host else [])


def _commit_logs(snapshot: Snapshot) -> Iterator[Metric]:
    yield _gauge("fink_commits_read", "Commits the dashboard has read.", [], [((), snapshot.read)])
    yield _gauge("fink_commits_known", "Commits there are.", [], [((), snapshot.to_read)])
    yield _gauge("fink_commits_readable", "Whether the commit logs can be read.", [], [((), not snapshot.trouble)])


def _gauge(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), rows)


def _counter(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), rows)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: Rows) -> Metric:
    """Add series to a family: those with a value, each once, no more than there may be."""
    seen: set[tuple[str, ...]] = set()
    for labels, value in rows:
        named = tuple(plain(label) for label in labels)
        if value is None or named in seen or len(seen) >= MOST_SERIES:
            continue
        seen.add(named)
        family.add_metric(named, float(value))
    return family
