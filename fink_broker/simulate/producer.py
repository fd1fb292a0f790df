"""Send packets to Kafka: each once, spread over the partitions, never more in memory than a bounded queue."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from fink_broker.errors import ServiceError
from fink_broker.simulate.topics import MAX_MESSAGE_BYTES, quiet_options

_QUEUE_KIB = 64 * 1024
_QUEUE_MESSAGES = 10_000
#: How long what is in the queue may still be delivered after being told to stop (s)
STOP_SECONDS = 5.0
_PIECE = 0.2

Say = Callable[[str], None]


class Sender:
    """Sends packets and keeps count of what became of them.

    Parameters
    ----------
    servers : str
        ``host:port`` list.
    stop : threading.Event
        Ends all waiting.
    say : callable
        Told when Kafka is away, and when it is back.
    on_lost_topic : callable
        Given the name of a topic that turns out not to exist.
    options : mapping
        Further options of the client library.
    """

    def __init__(
        self,
        servers: str,
        stop: threading.Event,
        say: Say,
        on_lost_topic: Callable[[str], None] = lambda _name: None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        self.delivered = 0
        self.bytes = 0
        #: packets Kafka did not take, by reason
        self.failed: Counter[str] = Counter()
        #: packets given up since the simulator was told to stop
        self.given_up = 0
        self.topics: Counter[str] = Counter()
        self.last_delivery = time.monotonic()
        self._servers, self._stop, self._say, self._on_lost_topic = servers, stop, say, on_lost_topic
        self._fatal = ""
        self._away = False
        self._producer = Producer(
            {
                **quiet_options(servers),
                "error_cb": self._on_error,
                "enable.idempotence": True,  # a packet sent twice by a lost answer is written once
                # one request at a time: if the first of several to a topic just made is turned away and a later one is
                # taken, the broker calls the first a repeat when it comes again, and it would be lost as delivered
                "max.in.flight": 1,
                "acks": "all",
                "message.timeout.ms": 0,  # Kafka is waited for as long as it takes
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.messages": _QUEUE_MESSAGES,
                "queue.buffering.max.kbytes": _QUEUE_KIB,
                "linger.ms": 5,
                "sticky.partitioning.linger.ms": 0,  # without a key: each packet to a partition of its own
                "allow.auto.create.topics": False,
                **(options or {}),
            }
        )

    @property
    def waiting(self) -> int:
        """Packets in the queue or under way."""
        return len(self._producer)

    def send(self, topic: str, packet: bytes) -> bool:
        """Queue a packet, waiting for room; return False if told to stop first.

        Raises
        ------
        ServiceError
            If the connection is beyond repair.
        """
        while not self._stop.is_set():
            try:
                self._producer.produce(topic, packet, on_delivery=self._on_delivery)
                self.poll()
                return True
            except BufferError:
                self.poll(_PIECE)
            except KafkaException as error:
                self._check()
                self._fail(error.args[0])
                return True
        return False

    def poll(self, seconds: float = 0.0) -> None:
        """Take note of deliveries, waiting for some if given time.

        Raises
        ------
        ServiceError
            If the connection is beyond repair.
        """
        self._producer.poll(seconds)
        self._check()

    def finish(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until the queue is empty; once told to stop, only a few seconds more.

        Parameters
        ----------
        meanwhile : callable
            Called from time to time.

        Raises
        ------
        ServiceError
            If the connection is beyond repair.
        """
        told_at: float | None = None
        while self._producer.flush(_PIECE):
            self._check()
            meanwhile()
            if self._stop.is_set():
                told_at = told_at or time.monotonic()
                if time.monotonic() - told_at > STOP_SECONDS:
                    self._producer.purge()
                    self._producer.flush(_PIECE)
                    self.given_up += len(self._producer)
                    return

    def _check(self) -> None:
        if self._fatal:
            raise ServiceError(f"Kafka at {self._servers} lost track of this sender: {self._fatal}.", "Start it again.")

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        topic = message.topic() or ""
        if error is None:
            self.delivered += 1
            self.bytes += len(message)
            self.topics[topic] += 1
            self.last_delivery = time.monotonic()
            if self._away:
                self._away = False
                self._say(f"Kafka at {self._servers} is back")
        elif error.code() in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self.given_up += 1
        else:
            if error.code() in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):
                self._on_lost_topic(topic)
            self._fail(error)

    def _fail(self, error: KafkaError) -> None:
        self.failed[error.str()] += 1

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error.str()
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            self._away = True
            self._say(f"waiting for Kafka at {self._servers}: {self.waiting} alerts are in the queue")
