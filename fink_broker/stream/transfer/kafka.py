"""The topics of a transfer in Kafka: made, measured, filled with the schema, removed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from fink_broker.config import Config
from fink_broker.config.kafka_access import output_access
from fink_broker.errors import ServiceError, UsageError
from fink_broker.stream import kafka_io
from fink_broker.stream.kafka_io import Say
from fink_broker.stream.transfer.manifest import Manifest
from fink_broker.stream.transfer.stopping import Stopped

#: Copies of the schema: each run of a client takes one for its group, so there are as many downloads by a group.
SCHEMA_COPIES = 1000
#: Header that holds the number of a message.
NUMBER, CANDID = "number", "candid"

#: Errors that time mends, also those of a topic that was just made.
_PASSING = (
    *kafka_io.PASSING,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
)

_SETTLED_SECONDS = 1.0
_ANSWER_SECONDS = 15.0
_KNOWN_SECONDS = 30.0
_PIECE_SECONDS = 0.5
_GONE_SECONDS = 30.0
_Answer = TypeVar("_Answer")


class TransferTopics:
    """The topics of transfers in the output Kafka.

    Parameters
    ----------
    config : Config
        Names the Kafka (section ``distribution``).
    stop : threading.Event
        Ends all waiting.
    say : callable
        Told when Kafka is away.

    Raises
    ------
    ServiceError
        If Kafka asks for a password and none is set.
    """

    def __init__(self, config: Config, stop: threading.Event, say: Say) -> None:
        settings = config.distribution
        self.options = output_access(config, os.environ)
        self.compression = settings.compression
        self._replication = settings.replication
        self._stop, self._say = stop, say

    def existing(self) -> set[str]:
        """Return the names of all topics, once Kafka answers."""
        admin = self._admin()
        return self._patiently(lambda: set(admin.list_topics(timeout=10).topics))

    def create(self, manifest: Manifest) -> None:
        """Make the topics of a transfer, of which nothing is ever trimmed.

        Raises
        ------
        ServiceError
            If Kafka refuses.
        """
        settings = {
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "cleanup.policy": "delete",
            "max.message.bytes": str(kafka_io.MAX_MESSAGE_BYTES),
            "compression.type": "producer",
        }
        names = [manifest.schema_topic, manifest.topic]
        self._patiently(
            lambda: kafka_io.create_topics(self.options, names, manifest.partitions, self._replication, settings)
        )

    def ends(self, topic: str, partitions: int) -> list[int]:
        """Return how many messages each partition of a topic holds.

        Raises
        ------
        ServiceError
            If the first ones are gone.
        """
        if any(self._offsets(topic, partitions, OffsetSpec.earliest())):
            raise ServiceError(
                f"Messages of {topic} are gone from Kafka.",
                f"Remove the transfer (`fink transfer --remove {topic}`) and start it again.",
            )
        return self._offsets(topic, partitions, OffsetSpec.latest())

    def settled_ends(self, topic: str, partitions: int) -> list[int]:
        """Return the same once it no longer changes: what a killed process sent may still be on its way."""
        before = self.ends(topic, partitions)
        while True:
            if self._stop.wait(_SETTLED_SECONDS):
                raise Stopped
            now = self.ends(topic, partitions)
            if now == before:
                return now
            before = now

    def last_numbers(self, topic: str, ends: Sequence[int]) -> list[int | None]:
        """Return the number in the last message of each partition; None if there is no message or no number in it."""
        places = [TopicPartition(topic, number, end - 1) for number, end in enumerate(ends) if end > 0]
        numbers: list[int | None] = [None] * len(ends)
        waited_for = {place.partition for place in places}
        consumer = Consumer({**self.options, "group.id": "fink-transfer", "enable.auto.commit": False, "log_level": 0})
        try:
            consumer.assign(places)
            while waited_for:
                if self._stop.is_set():
                    raise Stopped
                message = consumer.poll(_PIECE_SECONDS)
                if message is not None and not message.error() and message.partition() in waited_for:
                    waited_for.remove(message.partition())
                    numbers[message.partition()] = _number(dict(message.headers() or []).get(NUMBER))
        finally:
            consumer.close()
        return numbers

    def fill_schema(self, manifest: Manifest, copies: int = SCHEMA_COPIES) -> None:
        """Send the copies of the schema that are not there yet, and wait until Kafka has them."""
        share = -(-copies // manifest.partitions)
        ends = self.ends(manifest.schema_topic, manifest.partitions)
        missing = [partition for partition, end in enumerate(ends) for _ in range(share - end)]
        if not missing:
            return
        failures: list[KafkaError] = []
        producer = Producer(
            {
                **self.options,
                "log_level": 0,
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,
                "max.in.flight": 1,  # as in NumberedSender: the topic was just made
                "message.timeout.ms": 0,
                "message.max.bytes": kafka_io.MAX_MESSAGE_BYTES,
                "compression.type": self.compression,
                "linger.ms": 20,
            }
        )
        key = manifest.avro.encode()
        for partition in missing:
            producer.produce(
                manifest.schema_topic,
                key=key,
                value=b"",
                partition=partition,
                on_delivery=lambda error, _message: failures.append(error) if error else None,
            )
        while producer.flush(0.5) and not failures:
            if self._stop.is_set():
                producer.purge()
                raise Stopped
        if failures:
            raise ServiceError(f"Kafka refused the schema: {failures[0].str()}.", "See its log.")

    def remove(self, topics: Sequence[str]) -> None:
        """Remove topics, and wait until they are gone; absent ones are fine.

        Raises
        ------
        ServiceError
            If Kafka refuses.
        """
        admin = self._admin()
        there = [topic for topic in topics if topic in self.existing()]
        for topic, answer in (admin.delete_topics(there, operation_timeout=15) if there else {}).items():
            try:
                answer.result(timeout=20)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise ServiceError(
                        f"Kafka refused to remove the topic {topic}: {error.args[0].str()}.",
                        "Check the rights of the user, and delete.topic.enable of the brokers.",
                    ) from error
        deadline = time.monotonic() + _GONE_SECONDS
        while self.existing() & set(there):
            if time.monotonic() > deadline:
                raise ServiceError(f"Kafka still has {', '.join(there)}.", "Try again in a minute.")
            self._stop.wait(0.2)

    def _offsets(self, topic: str, partitions: int, which: OffsetSpec) -> list[int]:
        admin = self._admin()  # kept until it has answered
        asked = {TopicPartition(topic, number): which for number in range(partitions)}

        def ask() -> list[int]:
            answers = admin.list_offsets(asked, request_timeout=10)
            found = {
                place.partition: kafka_io.answer_of(answer, _ANSWER_SECONDS).offset for place, answer in answers.items()
            }
            return [found[number] for number in range(partitions)]

        return self._patiently(ask, topic)

    def _patiently(self, call: Callable[[], _Answer], topic: str = "") -> _Answer:
        """Return the answer of Kafka, waiting as long as it is away; a topic just made may take some seconds."""
        unknown_until = time.monotonic() + _KNOWN_SECONDS
        while kafka_io.wait_for_kafka(self.options, self._stop, self._say):
            try:
                return call()
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.UNKNOWN_TOPIC_OR_PART and time.monotonic() > unknown_until:
                    raise UsageError(f"Kafka has no topic {topic}.", "Was it removed?") from error
                if code not in _PASSING:
                    raise ServiceError(f"Kafka refuses: {error.args[0].str()}.", "See its log.") from error
                self._stop.wait(0.1)
        raise Stopped

    def _admin(self) -> AdminClient:
        return AdminClient({**self.options, "log_level": 0})


def _number(header: bytes | None) -> int | None:
    return int(header) if header is not None and header.isdigit() else None
