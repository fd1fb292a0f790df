"""The service: it keeps one channel for each webhook of the file, as the file changes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from fink_broker.config.model import Config
from fink_broker.metrics.registry import collecting
from fink_broker.notify.channel import Channel, Timing
from fink_broker.notify.intake import kafka_options
from fink_broker.notify.numbers import NoticeNumbers
from fink_broker.notify.webhook import Webhook
from fink_broker.notify.webhook_file import Reading, read_webhooks, signature

log = logging.getLogger(__name__)

Say = Callable[[str], None]

LOOK_SECONDS = 1.0
#: Between two lines that differ in numbers only.
NUMBERS_SECONDS = 60.0
#: A channel that crashed is started again after so many seconds.
CRASH_SECONDS = 30.0
#: What a channel does most of the time: not worth a line.
CALM = ("starting", "following", "gathering a summary")
#: For as long requests under way may go on when the service stops.
STOP_SECONDS = 20.0


def run(config: Config, stop: threading.Event, say: Say) -> None:
    """Post alerts to webhooks until told to stop (a service entry point).

    Parameters
    ----------
    config : Config
        ``filters.file`` names the file of webhooks, ``distribution`` the topics and their Kafka.
    stop : threading.Event
        Set to end it.
    say : callable
        Takes one line on what it is doing.

    Raises
    ------
    ConfigError
        If Kafka asks for a password, and none is set. What is wrong in the file only ends what it is about.
    """
    notifier = Notifier(config, say, os.environ)
    with collecting(NoticeNumbers(lambda: notifier.channels)):
        notifier.run(stop)


class Notifier:
    """All channels, and the file that says which there are.

    Parameters
    ----------
    config : Config
        The configuration in force.
    say : callable
        Takes one line on what it is doing.
    environ : mapping
        Environment variables, where addresses and passwords are.
    timing : Timing
        How channels spend their time.
    """

    def __init__(self, config: Config, say: Say, environ: Mapping[str, str], timing: Timing | None = None) -> None:
        self._config, self._say, self._environ, self._timing = config, say, environ, timing or Timing()
        self._kafka = kafka_options(config, environ)
        self._file = Path(config.filters.file)
        self._folder = config.storage.state / "notify"
        self._signature: str | None = None
        self._reading = Reading()
        self._wanted: dict[str, Webhook] = {}
        self._channels: dict[str, Channel] = {}
        self._not_before: dict[str, float] = {}
        self._said: tuple[str, ...] = ()
        self._numbers_at = 0.0

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels at work, by the name of their webhook."""
        return self._channels

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; then let requests under way come to their end."""
        try:
            while not stop.is_set():
                self._look()
                self._tend()
                self._tell()
                stop.wait(LOOK_SECONDS)
        finally:
            for channel in self._channels.values():
                channel.stop.set()
            deadline = time.monotonic() + STOP_SECONDS
            for channel in self._channels.values():
                channel.join(max(0.0, deadline - time.monotonic()))

    def _look(self) -> None:
        """Read the file if it has changed."""
        found = signature(self._file)
        if found == self._signature:
            return
        self._signature = found
        before, self._reading = self._reading, read_webhooks(self._config, self._environ)
        for problem in self._reading.problems:
            if problem not in before.problems:
                log.warning("%s", problem)
        broken = {problem.name for problem in self._reading.problems}
        # a mistake while a file is edited does not end what has worked so far
        kept = {name: old for name, old in self._wanted.items() if self._reading.unreadable or name in broken}
        self._wanted = kept | self._reading.webhooks
        self._not_before.clear()

    def _tend(self) -> None:
        """End channels that are not wanted any more or as they are now; start those that are missing."""
        for name, channel in list(self._channels.items()):
            if channel.webhook != self._wanted.get(name):
                channel.stop.set()  # its successor waits until it has settled its last alert
            if not channel.is_alive():
                del self._channels[name]
                if channel.crashed:
                    self._not_before[name] = time.monotonic() + CRASH_SECONDS
        for name, webhook in self._wanted.items():
            if name not in self._channels and time.monotonic() >= self._not_before.get(name, 0.0):
                self._channels[name] = Channel(webhook, self._kafka, self._folder, self._timing)
                self._channels[name].start()

    def _tell(self) -> None:
        """Say how things stand: at once when something else happens, now and then when only numbers change."""
        doing = tuple(
            f"{name} {channel.status.counters.doing}"
            for name, channel in sorted(self._channels.items())
            if channel.status.counters.doing not in CALM
        )
        state = (*doing, *(str(problem) for problem in self._reading.problems), str(len(self._channels)))
        now = time.monotonic()
        if state == self._said and now < self._numbers_at:
            return
        self._said, self._numbers_at = state, now + NUMBERS_SECONDS
        self._say("; ".join([self._numbers(), *doing, *(f"not used: {entry}" for entry in self._reading.problems)]))

    def _numbers(self) -> str:
        if not self._wanted:
            return f"no webhooks in {self._file}"
        counters = [channel.status.counters for channel in self._channels.values()]
        refused = sum(entry.refused + entry.unreadable for entry in counters)
        return (
            f"{len(self._wanted)} webhook{'s' if len(self._wanted) > 1 else ''}: "
            f"{sum(entry.posted for entry in counters)} alerts posted, "
            f"{sum(entry.summarised for entry in counters)} in summaries, {refused} set aside"
        )
