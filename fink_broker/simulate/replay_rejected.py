"""Send rejected packets to Kafka again, exactly as they came, and note which of them Kafka has taken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from fink_broker.archive.rejected import Arrival, RejectedEntry, RejectedPacket
from fink_broker.archive.replayed import Replayed
from fink_broker.config import Config
from fink_broker.config.kafka_access import input_access
from fink_broker.errors import DataError, ServiceError, UsageError
from fink_broker.simulate.topics import MAX_MESSAGE_BYTES, quiet_options

#: Packets after which the ledger is written: so many are sent again at most, if the command is killed.
PIECE = 200
_ANSWER_SECONDS = 10.0
_DELIVERY_SECONDS = 60.0


def client_options(config: Config, environ: Mapping[str, str]) -> dict[str, object]:
    """Return the options of a client of the input Kafka.

    Raises
    ------
    ConfigError
        If it asks for a user and a password, and none are set.
    """
    return {**quiet_options(config.input_servers), "client.id": "fink-reject", **input_access(config, environ)}


class Replay:
    """Sends packets to the topics they came from, or to one of them.

    Parameters
    ----------
    config : Config
        The configuration in force; its ``kafka`` section says where to.
    environ : mapping
        Environment variables: who we are at Kafka.
    topic : str
        Where all packets go instead; empty: each to its own.

    Attributes
    ----------
    sent : int
        Packets Kafka has taken.
    topics : Counter
        How many of them in each topic.

    Raises
    ------
    ConfigError
        If Kafka asks for a password, and none is set.
    UsageError
        If the broker does not read that topic.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], topic: str = "") -> None:
        self._config, self._topic = config, topic
        self._options = client_options(config, environ)
        self._ledger = Replayed(config)
        self._taken: set[Arrival] = set()
        self._failed: Counter[str] = Counter()
        self._existing: set[str] | None = None
        self.sent = 0
        self.topics: Counter[str] = Counter()
        if topic:
            self._check_read(topic)

    def send(self, packets: Iterable[RejectedPacket], show: Callable[[int], None] = lambda _sent: None) -> int:
        """Send packets; return how many Kafka has taken. Each piece of them is noted as soon as it has.

        Parameters
        ----------
        packets : iterable of RejectedPacket
            What is sent; those without bytes are passed over.
        show : callable
            Told how many Kafka has taken.

        Raises
        ------
        UsageError
            If the broker does not read a topic, or it is gone.
        ServiceError
            If Kafka does not answer, or does not take a packet.
        DataError
            If it cannot be noted what was sent: before anything is, unless the disk became full meanwhile.
        """
        self._ledger.check()
        producer = Producer(
            {
                **self._options,
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": int(_DELIVERY_SECONDS * 1000),
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "linger.ms": 5,
                "allow.auto.create.topics": False,
            }
        )
        waiting = 0
        try:
            for packet in packets:
                if packet.content is None:
                    continue
                self._produce(producer, packet.entry, packet.content)
                waiting += 1
                if waiting == PIECE:
                    self._settle(producer, show)
                    waiting = 0
        finally:
            self._settle(producer, show)
        return self.sent

    def _produce(self, producer: Producer, entry: RejectedEntry, content: bytes) -> None:
        topic = self._topic or entry.topic
        self._check_topic(topic)

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error is None:
                self._taken.add(entry.arrival)
                self.topics[topic] += 1
            else:
                self._failed[error.str()] += 1

        try:
            producer.produce(topic, content, on_delivery=on_delivery)
        except (KafkaException, BufferError) as error:
            self._failed[str(error)] += 1
        producer.poll(0)

    def _settle(self, producer: Producer, show: Callable[[int], None]) -> None:
        """Wait for what is under way, and note what Kafka has taken."""
        left = producer.flush(_DELIVERY_SECONDS + _ANSWER_SECONDS)
        if self._taken:
            self._note()
        show(self.sent)
        failed = self._failed.total() + left
        if failed:
            reason = next(iter(self._failed), "no answer")
            self._failed.clear()
            raise ServiceError(
                f"Kafka at {self._config.input_servers} did not take {failed:,} packets: {reason}.",
                f"{self.sent:,} were sent; the same command sends the rest.",
            )

    def _note(self) -> None:
        """Note what Kafka has taken."""
        try:
            self._ledger.add(self._taken)
        except OSError as error:
            raise DataError(
                f"{len(self._taken):,} packets were sent, and that could not be noted: {error.strerror or error}.",
                "Once it can, the same command sends them again: alerts that come twice are dropped.",
            ) from error
        self.sent += len(self._taken)
        self._taken = set()

    def _check_read(self, topic: str) -> None:
        if not re.fullmatch(self._config.kafka.topic, topic):
            raise UsageError(
                f"The broker does not read the topic {topic}.",
                f"Name one with --topic that matches kafka.topic, {self._config.kafka.topic}.",
            )

    def _check_topic(self, topic: str) -> None:
        self._check_read(topic)
        if self._existing is None:
            self._existing = self._topics()
        if topic not in self._existing:
            raise UsageError(
                f"Kafka has no topic {topic} any more.",
                f"Name another with --topic; the broker reads those that match {self._config.kafka.topic}.",
            )

    def _topics(self) -> set[str]:
        try:
            return set(AdminClient(self._options).list_topics(timeout=_ANSWER_SECONDS).topics)
        except KafkaException as error:
            raise ServiceError(
                f"Kafka at {self._config.input_servers} does not answer: {error.args[0].str()}.",
                "Is it running? Nothing was sent.",
            ) from error
