"""Reads the broker's topics for a group: every alert until it is said to be done, whatever happens in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from .connection import PIECE_SECONDS, Connection, LoginRefused, ReaderError, TopicMissing
from .messages import UnreadableAlert, decode
from .progress import Place, Progress

__all__ = ["AlertReader", "LoginRefused", "ReaderError", "Received", "TopicMissing"]

_SETTINGS = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # a member that was killed holds its partitions for so long
    "session.timeout.ms": 10_000,
    # one that is busy with an alert, or waits for a database, keeps them, and the others of the group wait for it
    "max.poll.interval.ms": 600_000,
    "reconnect.backoff.max.ms": 2000,
    # alerts are large and taken one by one: little is fetched ahead
    "queued.max.messages.kbytes": 16_384,
    "log_level": 0,
}


#: For how long Kafka is asked where the group was.
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Received:
    """A message of a topic.

    Parameters
    ----------
    topic, partition, offset : str, int, int
        Where it stands in Kafka.
    key : bytes or None
        JSON text of the schema.
    value : bytes
        The message as it came.
    alert : dict or None
        What it says; null if it cannot be decoded.
    error : str
        Why it cannot be decoded, in one sentence; else empty.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None = field(repr=False)
    value: bytes = field(repr=False)
    alert: dict[str, Any] | None = field(repr=False)
    error: str


class AlertReader:
    """Reads topics as a member of a group, from where the group was; a new one from the oldest alert kept.

    While Kafka is away polling brings nothing, and goes on when it is back. What is not said to be done comes again
    after a restart.

    Parameters
    ----------
    servers : str
        ``host:port`` of Kafka; several are separated by commas.
    group : str
        Name of the group: its members share the alerts.
    topics : sequence of str
        Names of topics.
    username, password : str, optional
        The login (SCRAM-SHA-512); unless both are given there is none.
    stop : threading.Event, optional
        Ends a wait when it is set.
    say : callable
        Gets one line when Kafka goes away, and when it is back.

    Raises
    ------
    ReaderError
        If a setting cannot be used.
    """

    def __init__(
        self,
        servers: str,
        group: str,
        topics: Sequence[str],
        username: str | None = None,
        password: str | None = None,
        *,
        stop: threading.Event | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        if not (servers and group and topics and all(topics)):
            raise ReaderError("Servers, group and topics must be given: host:port of Kafka, a name, names of topics.")
        user = username if username and password else None
        login = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": username,
            "sasl.password": password,
        }
        self._topics, self._stop, self._say = list(topics), stop or threading.Event(), say
        self._is_member = self._is_closed = False
        self._connection = Connection(servers, group, topics, user, stop=self._stop, say=say)
        self._progress = Progress()
        self._collected: list[Received] = []
        settings = {**_SETTINGS, "bootstrap.servers": servers, "group.id": group, "error_cb": self._connection.note}
        try:
            self._consumer = Consumer({**settings, **(login if user else {})})
        except KafkaException as error:
            raise ReaderError(f"Kafka cannot be read with these settings: {error.args[0].str()}.") from None

    def __enter__(self) -> AlertReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def poll(self, timeout_seconds: float) -> Received | None:
        """Return the next message, or None if there is none in time, or the stop is set.

        Parameters
        ----------
        timeout_seconds : float
            For how long to wait (s).

        Raises
        ------
        TopicMissing, LoginRefused, ReaderError
            If reading cannot go on with these settings.
        """
        deadline = time.monotonic() + timeout_seconds
        self._join()
        while not self._stop.is_set():
            self._connection.check(self._consumer, deadline)
            left = max(0.0, deadline - time.monotonic())
            received = self._received(self._consumer.poll(min(left, PIECE_SECONDS)))
            if received is not None or time.monotonic() >= deadline:
                return received
        return None

    def poll_many(self, limit: int, timeout_seconds: float) -> list[Received]:
        """Return the next messages: wait for the first, and take at once what else is there.

        Those of partitions that are taken away meanwhile are left out: whoever has them now reads them.

        Parameters
        ----------
        limit : int
            At most so many.
        timeout_seconds : float
            For how long to wait for the first (s).

        Raises
        ------
        TopicMissing, LoginRefused, ReaderError
            If reading cannot go on with these settings.
        """
        found = self._collected = []
        while len(found) < limit:
            received = self.poll(0.0 if found else timeout_seconds)
            if received is None:
                break
            found.append(received)
        self._collected = []
        return found

    def done(self, received: Received) -> None:
        """Say that a message is finished with: when all before it are too, it may be committed."""
        self._progress.done((received.topic, received.partition), received.offset)

    def commit(self) -> None:
        """Tell Kafka how far all is done. What it does not take now is part of the next commit.

        Raises
        ------
        ReaderError
            If the user may not use the group.
        """
        self._commit(self._progress.due())

    def close(self) -> None:
        """Commit what is done and leave the group, so that others take over at once."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._consumer.close()  # gives the partitions back, which commits
        except (KafkaException, ReaderError) as error:
            self._say(f"Leaving Kafka: {error}")

    def _join(self) -> None:
        """Become a member of the group with the first poll: the others wait for members that do not poll."""
        if not self._is_member:
            self._is_member = True
            self._consumer.subscribe(self._topics, on_assign=self._begin, on_revoke=self._give_back, on_lost=self._lose)

    def _received(self, message: Message | None) -> Received | None:
        """Return a message decoded; None for what is only said about Kafka, or belongs to somebody else by now."""
        if message is None:
            return None
        if message.error() is not None:
            self._connection.judge(message.error())
            return None
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if not self._progress.hand_out((topic, partition), offset):
            return None
        key, value = message.key(), message.value() or b""
        try:
            return Received(topic, partition, offset, key, value, decode(value, key), "")
        except UnreadableAlert as error:
            return Received(topic, partition, offset, key, value, None, str(error))

    def _begin(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Begin with what was assigned, where we were if it was ours before and nobody has read on since."""
        places = _places(partitions)
        further = self._progress.begin(places, self._committed(self._progress.unsure(places)))
        for partition in partitions:
            partition.offset = further.get((partition.topic, partition.partition), partition.offset)
        consumer.assign(partitions)

    def _committed(self, places: list[Place]) -> dict[Place, int | None]:
        if not places:
            return {}
        try:
            answers = self._consumer.committed([TopicPartition(*place) for place in places], timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            self._connection.judge(error.args[0])
            return {}
        return {
            (answer.topic, answer.partition): answer.offset if answer.offset >= 0 else None
            for answer in answers
            if answer.error is None
        }

    def _give_back(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit what is done of partitions that somebody else may read from now on."""
        places = _places(partitions)
        try:
            self._commit(self._progress.due(places))
        finally:
            self._forget(places)

    def _lose(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget(_places(partitions))

    def _forget(self, places: list[Place]) -> None:
        self._progress.lose(places)
        self._collected[:] = [one for one in self._collected if (one.topic, one.partition) not in places]

    def _commit(self, due: dict[Place, int]) -> None:
        if not due:
            return
        try:
            offsets = [TopicPartition(*place, offset) for place, offset in due.items()]
            for answer in self._consumer.commit(offsets=offsets, asynchronous=False):
                if answer.error is None:
                    self._progress.committed((answer.topic, answer.partition), answer.offset)
                else:
                    self._connection.judge(answer.error)
        except KafkaException as error:
            self._connection.judge(error.args[0])


def _places(partitions: Iterable[TopicPartition]) -> list[Place]:
    return [(found.topic, found.partition) for found in partitions]
