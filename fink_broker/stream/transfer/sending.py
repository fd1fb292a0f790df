"""Numbered messages to Kafka, each exactly once however often the sender is killed.

The broker keeps the order of one idempotent producer, and no message is given up before a later one is sent. So a
partition holds its first messages without a gap at any instant, and its length tells where to go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from fink_broker.errors import ServiceError
from fink_broker.stream.kafka_io import MAX_MESSAGE_BYTES, Say
from fink_broker.stream.transfer.kafka import CANDID, NUMBER

#: How long what is in the queue may still be delivered after being told to stop (s)
STOP_SECONDS = 5.0
_PIECE = 0.2
_QUEUE_KIB = 64 * 1024
_QUEUE_MESSAGES = 50_000


class NumberedSender:
    """Sends messages in the order of their numbers, each to its partition.

    Parameters
    ----------
    options : dict
        Options of the client library.
    topic : str
        Where to.
    ends : sequence of int
        Messages each partition holds already.
    stop : threading.Event
        Ends all waiting.
    say : callable
        Told when Kafka is away, and when it is back.
    compression : str
        Of the messages.
    """

    def __init__(
        self,
        options: dict[str, str],
        topic: str,
        ends: Sequence[int],
        stop: threading.Event,
        say: Say,
        *,
        compression: str = "none",
    ) -> None:
        self.delivered = 0
        self._topic, self._key, self._stop, self._say = topic, topic.encode(), stop, say
        self._ends = list(ends)
        self._failure = ""
        self._away = False
        self._producer = Producer(
            {
                **options,
                "log_level": 0,
                "error_cb": self._on_error,
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,
                # One request at a time: if the first of several to a topic just made is turned away and a later one is
                # taken, the broker calls the first a repeat when it comes again, and it would be lost as delivered.
                "max.in.flight": 1,
                "acks": "all",
                "message.timeout.ms": 0,  # Kafka is waited for as long as it takes
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.messages": _QUEUE_MESSAGES,
                "queue.buffering.max.kbytes": _QUEUE_KIB,
                "batch.size": 1024 * 1024,
                "compression.type": compression,
                "linger.ms": 20,
                "allow.auto.create.topics": False,
            }
        )

    def send(self, number: int, candid: int, value: bytes) -> bool:
        """Queue a message, waiting for room; return False if told to stop first.

        Raises
        ------
        ServiceError
            If the connection is beyond repair, or somebody else writes to the topic.
        """
        headers = [(NUMBER, str(number).encode()), (CANDID, str(candid).encode())]
        partition = number % len(self._ends)
        while not self._stop.is_set():
            try:
                self._producer.produce(
                    self._topic, value, self._key, partition, on_delivery=self._on_delivery, headers=headers
                )
                self.poll()
                return True
            except BufferError:
                self.poll(_PIECE)
            except KafkaException as error:
                self._failure = self._failure or error.args[0].str()
                self._check()
        return False

    def poll(self, seconds: float = 0.0) -> None:
        """Take note of deliveries, waiting for some if given time."""
        self._producer.poll(seconds)
        self._check()

    def finish(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until all is delivered; once told to stop, only a few seconds more.

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
                    return
        self._check()

    def _check(self) -> None:
        if self._failure:
            raise ServiceError(
                f"The transfer to {self._topic} cannot go on: {self._failure}.",
                f"`fink transfer --resume {self._topic}` goes on; if that fails as well, --remove it and start again.",
            )

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            if error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
                self._failure = self._failure or error.str()
            return
        partition, offset = message.partition() or 0, message.offset()
        # after a lost answer the broker may say no more than that it has the message
        if offset is not None and offset >= 0 and offset != self._ends[partition]:
            self._failure = self._failure or "another process writes to this topic"
        self._ends[partition] += 1
        self.delivered += 1
        if self._away:
            self._away = False
            self._say("Kafka is back")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = self._failure or error.str()
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            self._away = True
            self._say(f"waiting for Kafka: {len(self._producer):,} alerts are in the queue")
