"""The simulator: stored or synthetic alerts, sent to Kafka as the survey would."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from fink_broker.alert.survey import JD_UNIX_EPOCH, ZTF
from fink_broker.config.model import Config
from fink_broker.errors import DataError, ServiceError
from fink_broker.simulate.pacing import Waiter, pace_of
from fink_broker.simulate.producer import Sender
from fink_broker.simulate.progress import SendingProgress
from fink_broker.simulate.repeat import Repetition
from fink_broker.simulate.sources import Source, open_source, told_skipped
from fink_broker.simulate.stored import StoredAlert
from fink_broker.simulate.topics import Topics

SYNTHETIC_COUNT = 1000

Say = Callable[[str], None]


def run(config: Config, stop: threading.Event, say: Say) -> None:
    """Send the alerts the configuration names (a service entry point).

    Raises
    ------
    DataError
        If there are no alerts to send.
    ServiceError
        If Kafka did not take all of them.
    """
    with SendingProgress(say) as progress:
        Replay(config, stop, progress).run()


class Replay:
    """One run of the simulator.

    Parameters
    ----------
    config : Config
        Its ``simulator`` section says what to send, where to, and how fast.
    stop : threading.Event
        Ends it.
    progress : SendingProgress
        Shows how far it is.
    """

    def __init__(self, config: Config, stop: threading.Event, progress: SendingProgress) -> None:
        self._settings = config.simulator
        self._stop, self._progress = stop, progress
        self._servers = config.simulator_servers
        self._source: Source = open_source(
            self._settings.source,
            progress.say,
            synthetic_count=self._settings.limit or SYNTHETIC_COUNT,
            seed=self._settings.seed,
        )
        self._topics = Topics(self._servers, self._settings.partitions, stop, progress.say)
        self._sender = Sender(self._servers, stop, progress.say, self._topics.forget)
        self._unfit: Counter[str] = Counter()
        self._first: StoredAlert | None = None
        self._last: StoredAlert | None = None

    def run(self) -> None:
        """Send all alerts and say how it went."""
        if not self._topics.wait_for_kafka():
            return
        self._progress.say(f"sending {self._source} to {self._servers}")
        began = time.monotonic()
        waiter = Waiter(pace_of(self._settings), self._stop, self._meanwhile)
        alerts = Repetition(self._settings.repeat).alerts(self._source)
        for alert in itertools.islice(alerts, self._settings.limit or None):
            if not waiter.wait(alert.jd) or not self._send(alert):
                break
            self._show()
        self._sender.finish(self._show)
        self._summarise(began)

    def _send(self, alert: StoredAlert) -> bool:
        try:
            packet = alert.packet()
        except DataError as error:
            self._unfit[error.message] += 1
            return True
        topic = self._settings.topic or ZTF.input_topic(alert.jd)
        if not self._topics.ensure(topic) or not self._sender.send(topic, packet):
            return False
        self._first, self._last = self._first or alert, alert
        return True

    def _meanwhile(self) -> None:
        self._sender.poll()
        self._show()

    def _show(self) -> None:
        self._progress.show(self._sender.delivered, self._total())

    def _total(self) -> int | None:
        """Return how many alerts there are to send, None if that is not known yet."""
        expected, limit = self._source.expected, self._settings.limit
        if expected is None:
            return limit or None
        everything = expected * self._settings.repeat
        return min(everything, limit) if limit else everything

    def _summarise(self, began: float) -> None:
        """Say what was sent.

        Raises
        ------
        ServiceError
            If Kafka did not take all of it.
        """
        sender, failed = self._sender, self._sender.failed.total()
        seconds = max(sender.last_delivery - began, 1e-3)
        passed_over = self._source.skipped + self._unfit
        if passed_over:
            self._progress.say(f"passed over in all: {told_skipped(passed_over)}")
        parts = [f"{sender.delivered:,} alerts sent"]
        if self._first and self._last:
            parts[0] += f" (exposed {_utc(self._first.jd)} to {_utc(self._last.jd)})"
        if sender.delivered:
            parts += [
                f"{sender.bytes / 1e6:.1f} MB in {seconds:.1f} s, {sender.delivered / seconds:.1f} alerts/s",
                f"to {_told_topics(sorted(sender.topics))}",
            ]
        parts += [f"{failed:,} failed"] * bool(failed) + [f"{sender.given_up:,} given up"] * bool(sender.given_up)
        self._progress.say("; ".join(parts))
        if failed:
            raise ServiceError(
                f"{failed} alerts were not taken by Kafka at {self._servers}: {told_skipped(sender.failed)}.",
                f"{sender.delivered} were.",
            )


def _told_topics(names: list[str]) -> str:
    if len(names) <= 3:
        return ", ".join(names)
    return f"{len(names)} topics, {names[0]} to {names[-1]}"


def _utc(jd: float) -> str:
    return datetime.fromtimestamp((jd - JD_UNIX_EPOCH) * 86400.0, UTC).strftime("%Y-%m-%d %H:%M:%S")
