"""The parts of a `Snapshot`, as plain data.

Times are unix seconds, durations seconds, rates alerts a second, unless a name says otherwise. Nothing in here refers
to what it was made from: a snapshot can be handed to any thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: How urgent something is: all is well, look at it, act now; ``empty``: nothing ever ran.
Level = Literal["ok", "warn", "bad", "empty"]

#: The service that does each stage.
SERVICE_OF = {"raw": "stream2raw", "science": "raw2science", "topics": "distribution", "archived": "archive"}


@dataclass(frozen=True)
class LatencyView:
    """How long alerts took from Kafka in to where they went.

    Parameters
    ----------
    messages : int
        Alerts that were timed.
    p50, p95, p99, longest : float or None
        Seconds; None without any.
    histogram : tuple of (float, int)
        Upper edge in seconds and alerts, by rising edge; the last also counts all beyond its edge.
    """

    messages: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    longest: float | None = None
    histogram: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Waiting:
    """What one stage has put out and the next has not taken in yet.

    Parameters
    ----------
    earlier, later : str
        The stages.
    alerts, batches : int
        How many wait.
    oldest : float or None
        When the oldest of these batches was committed.
    """

    earlier: str
    later: str
    alerts: int = 0
    batches: int = 0
    oldest: float | None = None


@dataclass(frozen=True)
class StageView:
    """One stage.

    Parameters
    ----------
    name : str
        ``raw``, ``science``, ``topics`` or ``archived``.
    service : str
        The service that does it.
    batches : int
        Commits since the beginning.
    totals : dict
        Alerts since the beginning: ``in``, ``out``, and each way in between (``rejected``, ``duplicate``, ``cut`` ...).
    rate_in_10, rate_in_60, rate_out_10, rate_out_60 : float
        Alerts a second over the last 10 and 60 seconds.
    batch_p50, batch_last : float or None
        Seconds a batch takes: the median of the latest ones, and the last one.
    committed : float or None
        When the last batch was committed.
    age : float or None
        Seconds since.
    spark_in, spark_out : tuple of float
        Alerts a second in the last ten minutes, in steps of ten seconds, the latest last.
    latency_recent, latency_total : LatencyView
        Of alerts that left this stage in the last ten minutes, and since the beginning; empty where it is not measured.
    step_recent, step_total : LatencyView
        The time alerts took from the commit of the stage before to the commit of this one, in the last ten minutes and
        since the beginning. Of raw: a trigger and a batch, the time since Kafka at most where none waited there.
    differences : tuple of str
        What does not add up at this stage or between it and the one before, the latest ones, in sentences.
    difference_count : int
        How many there are in all.
    difference_day : int
        How many of them came up in the last 24 hours.
    difference_last : float or None
        When the last one came up.
    """

    name: str
    service: str
    batches: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    rate_in_10: float = 0.0
    rate_in_60: float = 0.0
    rate_out_10: float = 0.0
    rate_out_60: float = 0.0
    batch_p50: float | None = None
    batch_last: float | None = None
    committed: float | None = None
    age: float | None = None
    spark_in: tuple[float, ...] = ()
    spark_out: tuple[float, ...] = ()
    latency_recent: LatencyView = field(default_factory=LatencyView)
    latency_total: LatencyView = field(default_factory=LatencyView)
    step_recent: LatencyView = field(default_factory=LatencyView)
    step_total: LatencyView = field(default_factory=LatencyView)
    differences: tuple[str, ...] = ()
    difference_count: int = 0
    difference_day: int = 0
    difference_last: float | None = None


@dataclass(frozen=True)
class TopicView:
    """An output topic: messages sent since the beginning and in the last hour, and rate of the last minute."""

    name: str
    messages: int
    last_hour: int
    rate_60: float


@dataclass(frozen=True)
class FilterView:
    """A filter: alerts seen, passed and failed, and milliseconds it took since the beginning.

    ``us_recent`` is microseconds an alert over the last ten minutes, None if it saw none; ``error`` the last it made,
    however long ago.
    """

    name: str
    seen: int
    passed: int
    failed: int
    ms: float
    us_recent: float | None
    error: str
    failed_last_hour: int = 0


@dataclass(frozen=True)
class ModuleView:
    """A science module: milliseconds it took since the beginning, and alerts on which it failed or found nothing to do.

    ``us_recent`` is microseconds an alert over the last ten minutes, None if it was not timed.
    """

    name: str
    ms: float
    us_recent: float | None
    failed: int
    failed_last_hour: int
    skipped: int


@dataclass(frozen=True)
class PartitionLag:
    """Messages of a partition of an input topic that no batch of raw has taken in."""

    topic: str
    partition: int
    waiting: int


@dataclass(frozen=True)
class LagView:
    """How far raw is behind Kafka.

    Parameters
    ----------
    state : str
        ``known``; ``unknown``: Kafka did not answer; ``asking``: no answer yet.
    asked : float or None
        When Kafka was last asked.
    text : str
        Why it is unknown.
    total : int
        Messages that wait, of all partitions.
    partitions : tuple of PartitionLag
        By topic and partition; of very many those with most waiting.
    count : int
        How many partitions there are.
    """

    state: Literal["known", "unknown", "asking"] = "asking"
    asked: float | None = None
    text: str = ""
    total: int = 0
    partitions: tuple[PartitionLag, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class ServiceView:
    """A service, on this host or another.

    Parameters
    ----------
    name, host : str
        What runs where.
    state : str
        ``up``, ``starting``, ``stopped`` (was asked to), ``died``, or ``lost``: its samples ended, without a word.
    since : float or None
        Start.
    ended : float or None
        End; None while it runs, and if it was killed.
    last_seen : float or None
        When it last gave a sign of life, by this host's clock; None if that is not known.
    pid : int or None
        Its process.
    doing : str
        What it last said.
    why : str
        Why it died, empty otherwise.
    cpu_percent, memory_mib : float or None
        Of the process and its children; 100 is one core. None if not known.
    sample_age : float or None
        Seconds since its last sample.
    log : tuple of str
        Last lines of its log, without secrets.
    """

    name: str
    host: str
    state: Literal["up", "starting", "stopped", "died", "lost"]
    since: float | None = None
    ended: float | None = None
    pid: int | None = None
    doing: str = ""
    why: str = ""
    cpu_percent: float | None = None
    memory_mib: float | None = None
    sample_age: float | None = None
    last_seen: float | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiskView:
    """A disk: host, what lies on it, free and total GiB, and how urgent that is."""

    host: str
    path: str
    free_gib: float
    total_gib: float
    level: Level


@dataclass(frozen=True)
class MachineView:
    """A host: processor load, memory."""

    host: str = ""
    cores: int = 0
    cpu_percent: float = 0.0
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    memory_used_gib: float = 0.0
    memory_total_gib: float = 0.0
    swap_used_gib: float = 0.0


@dataclass(frozen=True)
class NightView:
    """Alerts of an observing night (``YYYYMMDD``) that each stage put out; ``filtered``: seen by all filters."""

    night: str
    raw: int = 0
    science: int = 0
    filtered: int = 0
    archived: int = 0


@dataclass(frozen=True)
class Status:
    """All in one line, and what is to be done, the most urgent first."""

    level: Level
    headline: str
    notes: tuple[tuple[Level, str], ...] = ()
