"""Puts the snapshot together, again and again, for all who look."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from fink_broker import __version__
from fink_broker.config import Config
from fink_broker.errors import FinkError
from fink_broker.metrics.reading import read_samples
from fink_broker.metrics.sample import ServiceSample
from fink_broker.monitor.board.checked import CheckedRates
from fink_broker.monitor.board.history import History
from fink_broker.monitor.board.lag import LagWatcher
from fink_broker.monitor.board.machine import disk_views, machine_view
from fink_broker.monitor.board.reader import STAGES, LogReader
from fink_broker.monitor.board.services import LocalServices, NoServices, SignsOfLife, service_views
from fink_broker.monitor.board.snapshot import Snapshot
from fink_broker.monitor.board.status import status_of
from fink_broker.monitor.board.sums import StageSums
from fink_broker.monitor.board.views import SERVICE_OF, FilterView, LagView, ModuleView, StageView, Status, TopicView

log = structlog.get_logger("fink_broker.dashboard")

#: the sparklines: how far back, and their step, in seconds
SPARK_SECONDS, SPARK_STEP = 600.0, 10.0
RECENT_SECONDS = 600.0
HOUR_SECONDS = 3600.0
DAY_SECONDS = 86400.0
#: nights, topics, filters and modules a snapshot holds at most; the CSV files hold all nights
SHOWN_NIGHTS, SHOWN_NAMES = 30, 200

Totals = Counter[Any]


class Board:
    """Looks at everything every few seconds, in a thread of its own.

    Parameters
    ----------
    config : Config
        The configuration in force.
    local : LocalServices, optional
        Who knows the services of this host.
    environ : mapping of str to str, optional
        Holds Kafka's user and password where they are needed.
    clock : callable
        Gives the unix time in seconds.
    """

    def __init__(
        self,
        config: Config,
        local: LocalServices | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config, self._clock = config, clock
        self._local = local or NoServices()
        self._reader = LogReader(config.storage.online, clock, config.stream.trigger_seconds)
        self._lag = LagWatcher(config, os.environ if environ is None else environ)
        self._host = socket.gethostname()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._trouble, self._fault = "", ""
        self._signs = SignsOfLife()
        self._checked = CheckedRates()
        self._listeners: list[Callable[[Snapshot], None]] = []
        self.samples: list[ServiceSample] = []
        self.snapshot = self._look_now(LagView())
        self._thread = threading.Thread(target=self._work, name="board", daemon=True)

    @property
    def history(self) -> History:
        """The past; hold `reading` while it is read."""
        return self._reader.ledger.history

    def live_rates(self) -> list[tuple[float, float, float]]:
        """Return start (unix seconds), rate in and rate done of the latest batches of raw; then what checkstream sees.

        Hold `reading` meanwhile.
        """
        batches = self.history.batches()
        return batches + self._checked.after(batches)

    @property
    def reading(self) -> threading.Lock:
        """Is held while commits are added."""
        return self._lock

    def on_snapshot(self, listener: Callable[[Snapshot], None]) -> None:
        """Have each snapshot handed over as soon as it is there; called in the board's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin to look."""
        self._lag.start()
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._lag.close()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def look(self) -> Snapshot:
        """Read what is new, and return how everything stands now."""
        try:
            with self._lock:
                self._reader.read_round()
            self._trouble = ""
        except (FinkError, OSError) as error:
            if not self._trouble:
                log.warning("the commits cannot be read", reason=str(error))
            text = error.message if isinstance(error, FinkError) else str(error)
            self._trouble = f"The commits in {self.config.storage.online} cannot be read: {text}"
        self._read_samples()
        self.snapshot = self._look_now(self._lag.view(self._reader.ledger.taken, self._clock()))
        return self.snapshot

    def _read_samples(self) -> None:
        """Read what services tell of themselves; who is not there any more stays while the disk may be away."""
        fresh = read_samples(self.config)
        if self._trouble:
            known = {(sample.host, sample.name): sample for sample in self.samples}
            known |= {(sample.host, sample.name): sample for sample in fresh}
            fresh = [known[place] for place in sorted(known)]
        self.samples = fresh

    def _work(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                snapshot = self.look()
                for listener in self._listeners:
                    listener(snapshot)
                self._fault = ""
            except Exception as error:  # whatever it is, the next look may succeed: it is needed most in trouble
                if repr(error) != self._fault:
                    log.exception("fault")
                self._fault = repr(error)
            behind = self._reader.read < self._reader.to_read and not self._trouble
            pause = 0.0 if behind else self.config.dashboard.refresh_seconds - (time.monotonic() - began)
            self._stop.wait(max(0.02, pause))

    def _look_now(self, lag: LagView) -> Snapshot:
        now, ledger = self._clock(), self._reader.ledger
        minute, ten = ledger.slots.totals(60.0), ledger.slots.totals(10.0)
        recent, hour = ledger.slots.totals(RECENT_SECONDS), ledger.slots.totals(HOUR_SECONDS)
        raw, science, topics = (ledger.stages[name] for name in ("raw", "science", "topics"))
        waiting = [each.waiting() for each in ledger.handovers]
        self._signs.hear(self.samples, now)
        running = self._signs.running(self.samples, now)
        with self._lock:
            self._checked.add(running)
        disks, disks_away = disk_views(self.config.storage, running, self._host, gone=self._reader.are_gone)
        snapshot = Snapshot(
            taken=now,
            version=__version__,
            survey=self.config.survey,
            status=Status("empty", ""),
            stages=tuple(self._stage(name, now, ten, minute, recent) for name in STAGES),
            waiting=tuple(each for each in waiting if each.later != "archived" or ledger.stages["archived"].batches),
            alerts_day=ledger.history.alerts_since(now - DAY_SECONDS),
            alerts_hour=round(hour["raw", "in"]),
            lost_offsets=raw.lost_offsets,
            reasons=_largest(raw.named["reasons"]),
            reasons_hour=_largest(_named(hour, "raw", "reasons")),
            cuts=_largest(science.named["cuts"]),
            topics=_topics(topics, minute, hour),
            filters=_filters(topics, recent, hour),
            modules=_modules(science, recent, hour),
            lag=lag,
            services=service_views(self._local.look(), self.samples, self._signs, self._host, now),
            disks=disks,
            disks_away=disks_away,
            machine=machine_view(),
            nights=ledger.history.nights(SHOWN_NIGHTS),
            read=self._reader.read,
            to_read=self._reader.to_read,
            is_complete=self._reader.is_complete,
            trouble=self._trouble,
        )
        return replace(snapshot, status=status_of(snapshot))

    def _stage(self, name: str, now: float, ten: Totals, minute: Totals, recent: Totals) -> StageView:
        ledger = self._reader.ledger
        sums, wrong = ledger.stages[name], ledger.differences[name]
        return StageView(
            name=name,
            service=SERVICE_OF[name],
            batches=sums.batches,
            totals=dict(sums.totals),
            rate_in_10=_rate(ten, name, "in", 10.0),
            rate_in_60=_rate(minute, name, "in", 60.0),
            rate_out_10=_rate(ten, name, "out", 10.0),
            rate_out_60=_rate(minute, name, "out", 60.0),
            batch_p50=sums.batch_p50,
            batch_last=sums.batch_last,
            committed=sums.committed,
            age=None if sums.committed is None else max(0.0, now - sums.committed),
            spark_in=ledger.slots.series((name, "in"), SPARK_SECONDS, SPARK_STEP),
            spark_out=ledger.slots.series((name, "out"), SPARK_SECONDS, SPARK_STEP),
            latency_recent=sums.latency_of(recent),
            latency_total=sums.latency(),
            step_recent=sums.step_of(recent),
            step_total=sums.step(),
            differences=tuple(wrong.sentences),
            difference_count=wrong.count,
            difference_day=wrong.since(now - DAY_SECONDS),
            difference_last=wrong.last,
        )


def _rate(totals: Totals, stage: str, way: str, seconds: float) -> float:
    return round(float(totals[stage, way]) / seconds, 3)


def _largest(numbers: Mapping[str, float]) -> dict[str, int]:
    found = {name: round(number) for name, number in numbers.items() if round(number)}
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:SHOWN_NAMES])


def _named(totals: Totals, stage: str, detail: str) -> Counter[str]:
    """Return the numbers by name of one detail of a stage."""
    return Counter({key[2]: number for key, number in totals.items() if key[:2] == (stage, detail)})


def _topics(sums: StageSums, minute: Totals, hour: Totals) -> tuple[TopicView, ...]:
    rates, hours = _named(minute, "topics", "topics"), _named(hour, "topics", "topics")
    views = [
        TopicView(name, int(number), round(hours[name]), round(rates[name] / 60.0, 3))
        for name, number in sums.named["topics"].items()
    ]
    return tuple(sorted(views, key=lambda view: (-view.messages, view.name))[:SHOWN_NAMES])


def _filters(sums: StageSums, recent: Totals, hour: Totals) -> tuple[FilterView, ...]:
    failed = _named(hour, "topics", "filter_failed")
    ms, seen = _named(recent, "topics", "filter_ms"), _named(recent, "topics", "filter_seen")
    views = [
        FilterView(
            name,
            int(known["seen"]),
            int(known["passed"]),
            int(known["failed"]),
            round(float(known["ms"]), 3),
            _micros(ms[name], seen[name]),
            sums.errors.get(name, ""),
            round(failed[name]),
        )
        for name, known in sums.filters.items()
    ]
    return tuple(sorted(views, key=lambda view: (-view.ms, view.name))[:SHOWN_NAMES])


def _modules(sums: StageSums, recent: Totals, hour: Totals) -> tuple[ModuleView, ...]:
    ms, failed = _named(recent, "science", "module_ms"), _named(hour, "science", "failed")
    named = sums.named
    views = [
        ModuleView(
            name,
            round(float(named["module_ms"][name]), 3),
            _micros(ms[name], recent["science", "out"]) if name in ms else None,
            int(named["failed"][name]),
            round(failed[name]),
            int(named["skipped"][name]),
        )
        for name in {*named["module_ms"], *named["failed"], *named["skipped"]}
    ]
    return tuple(sorted(views, key=lambda view: (-view.ms, -view.failed, view.name))[:SHOWN_NAMES])


def _micros(ms: float, alerts: float) -> float | None:
    return round(1000.0 * ms / alerts, 1) if alerts else None
