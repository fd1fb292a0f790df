"""checkstream: what flows in a topic. It reads beside everybody else and leaves no trace: no group, no commit.

Its rates are among the numbers of the service, where the dashboard finds them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, Message
from rich.console import Console

from fink_broker.alert.survey import SURVEYS
from fink_broker.config.model import Config
from fink_broker.errors import DataError
from fink_broker.metrics.registry import stream_numbers
from fink_broker.monitor import messages
from fink_broker.monitor.kafka import TopicFollower, reader_options
from fink_broker.monitor.readable import describe_alert, describe_fields
from fink_broker.monitor.tally import Report, Tally

Say = Callable[[str], None]

REPORT_SECONDS = 2.0
SAMPLE_SECONDS = 1.0
#: Topics that come and go are noticed after so many seconds.
TOPICS_SECONDS = 5.0


def run(config: Config, stop: threading.Event, say: Say) -> None:
    """Print what flows in the input topics until told to stop (a service entry point).

    Parameters
    ----------
    config : Config
        ``kafka`` names servers and topics; output topics are understood too.
    stop : threading.Event
        Set to end it.
    say : callable
        Takes one line on what it is doing.

    Raises
    ------
    ConfigError
        If the topic is no regular expression, or a password is needed and not set.
    """
    StreamCheck(config, say, Console(highlight=False, soft_wrap=True, markup=False)).run(stop)


class StreamCheck:
    """One look at a stream.

    Parameters
    ----------
    config : Config
        The configuration in force.
    say : callable
        Takes one line on what it is doing.
    console : Console
        Where to print.
    """

    def __init__(self, config: Config, say: Say, console: Console) -> None:
        self._config, self._console = config, console
        self._say, self._said = say, ""
        self._survey = SURVEYS[config.survey]
        self._tally = Tally()
        self._shown = False
        self._next_sample = 0.0

    def run(self, stop: threading.Event) -> None:
        """Follow the topics until told to stop, or until ``stream.exit_after``."""
        seconds = self._config.stream.exit_after
        deadline = time.monotonic() + seconds if seconds else float("inf")
        consumer = Consumer(reader_options(self._config, os.environ))
        try:
            self._follow(TopicFollower(consumer, self._config), stop, deadline)
        finally:
            consumer.close()

    def _follow(self, follower: TopicFollower, stop: threading.Event, deadline: float) -> None:
        report = Report(self._tally)
        look_again, reported = 0.0, time.monotonic()
        while not stop.is_set() and (now := time.monotonic()) < deadline:
            if now >= look_again:
                self._tell(follower.refresh())
                look_again = time.monotonic() + (TOPICS_SECONDS if follower.partitions else 1.0)
            if not follower.partitions:
                stream_numbers().tell(0.0, 0.0, 0)
                reported = now
                stop.wait(0.2)
                continue
            for message in follower.consumer.consume(num_messages=500, timeout=0.2):
                self._take(message)
            if now - reported >= REPORT_SECONDS:
                ends = follower.ends()
                for line in report.lines(now - reported, ends, follower.lags(ends)):
                    self._console.print(line)
                stream_numbers().tell(report.arriving, report.read, report.behind)
                reported = now

    def _tell(self, line: str) -> None:
        """Say a line, unless it was the last one said."""
        if line != self._said:
            self._said = line
            self._say(line)

    def _take(self, message: Message) -> None:
        """Count one message; decode it if its schema is new or it is time for a sample."""
        error = message.error()
        if error is not None:
            self._tell(f"Kafka says: {error.str()}")
            return
        value, key = message.value() or b"", message.key() or b""
        found = messages.look(value, key, self._config.kafka.packet_format)
        new = self._tally.add(found.format, found.schema, len(value) + len(key))
        if new or time.monotonic() >= self._next_sample:
            self._next_sample = time.monotonic() + SAMPLE_SECONDS
            self._sample(value, found)

    def _sample(self, value: bytes, found: messages.Look) -> None:
        """Decode one message; show the first that can be."""
        tally = self._tally
        tally.samples += 1
        try:
            record = messages.decode(value, found, self._config.kafka.packet_schema)
        except DataError as error:
            tally.failures += 1
            tally.last_failure = error.message
            return
        if found.schema in tally.schemas:
            tally.versions[found.schema] = str(record.get("schemavsn"))
        if not self._shown:
            self._shown = True
            for line in (*describe_fields(record), "", *describe_alert(record, self._survey), ""):
                self._console.print(line)
