"""Sending to Kafka so that every message is there once, also after a kill between any two instructions.

Before a batch is sent, where the topics end is written down. If the batch was not committed, what came into
the topics since then is read back at the next start, by its headers, and left out when the batch is sent again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from fink_broker.stream.kafka_io import MAX_MESSAGE_BYTES

#: topic → partition → offset
Ends = dict[str, dict[int, int]]
#: what a message says, whatever the alert looks like: topic, candid, identity of the filter
Identity = tuple[str, int, str]

#: seconds without an answer of Kafka's after which a message counts as not sent
DELIVERY_SECONDS = 30
ANSWER_SECONDS = 15.0


def headers_of(candid: int, object_id: str, filter_name: str, version: str) -> list[tuple[str, bytes]]:
    """Return the headers of a message: what it is, for a reader that drops repeats without decoding."""
    return [
        ("candid", str(candid).encode()),
        ("objectId", object_id.encode()),
        ("filter", filter_name.encode()),
        ("version", version.encode()),
    ]


def partition_of(object_id: str, partitions: int) -> int:
    """Return the partition of an object: its alerts share one, so their order is kept."""
    return zlib.crc32(object_id.encode()) % partitions


class Sender:
    """A producer that knows where the topics end.

    Parameters
    ----------
    options : mapping
        Connection of a librdkafka client.
    compression : str
        Of messages.
    """

    def __init__(self, options: Mapping[str, str], compression: str) -> None:
        self._options = dict(options)
        self._error: KafkaError | None = None
        self.ends: Ends = {}
        self._producer = Producer(
            {
                **self._options,
                "log_level": 0,
                "compression.type": compression,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 20,
                "batch.size": 1024 * 1024,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.kbytes": 256 * 1024,
                "delivery.timeout.ms": DELIVERY_SECONDS * 1000,
            }
        )

    def look(self, topics: Iterable[str]) -> None:
        """See where topics end.

        Raises
        ------
        KafkaException
            If Kafka does not answer.
        """
        self.ends = {**self.ends, **find_ends(self._options, topics)}

    def send(self, topic: str, partition: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Hand a message over; it has arrived when `flush` returns."""
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition=partition, headers=headers, on_delivery=self._delivered
                )
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)

    def flush(self) -> None:
        """Wait until all messages have arrived.

        Raises
        ------
        KafkaException
            If one has not.
        """
        self._producer.flush()
        if self._error is not None:
            raise KafkaException(self._error)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = self._error or error
        else:
            self.ends.setdefault(message.topic(), {})[message.partition()] = message.offset() + 1


def find_ends(options: Mapping[str, str], topics: Iterable[str]) -> Ends:
    """Return where topics end: topic → partition → offset of the next message."""
    admin = AdminClient({**options, "log_level": 0})
    known = admin.list_topics(timeout=ANSWER_SECONDS).topics
    wanted = [TopicPartition(topic, number) for topic in topics if topic in known for number in known[topic].partitions]
    found = admin.list_offsets({place: OffsetSpec.latest() for place in wanted}) if wanted else {}
    ends: Ends = {}
    for place, answer in found.items():
        ends.setdefault(place.topic, {})[place.partition] = answer.result(ANSWER_SECONDS).offset
    return ends


def sent_since(options: Mapping[str, str], ends: Ends, say: Callable[[str], None]) -> set[Identity]:
    """Return what came into topics since they ended there.

    Raises
    ------
    KafkaException
        If Kafka does not answer.
    """
    now = find_ends(options, ends)
    consumer = Consumer({**options, "group.id": "fink_distribution", "enable.auto.commit": False, "log_level": 0})
    try:
        missing: dict[tuple[str, int], int] = {}
        for topic, partitions in now.items():
            for partition, end in partitions.items():
                # a topic that was made anew begins before the old one's end
                start = ends[topic].get(partition, 0) if ends[topic].get(partition, 0) <= end else 0
                if start < end:
                    low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_SECONDS)
                    if max(low, start) < end:
                        missing[topic, partition] = max(low, start)
        if not missing:
            return set()
        say("reading back what was sent of the batch that was cut short")
        return _read_back(consumer, missing, now)
    finally:
        consumer.close()


def _read_back(consumer: Consumer, starts: dict[tuple[str, int], int], ends: Ends) -> set[Identity]:
    consumer.assign([TopicPartition(topic, partition, start) for (topic, partition), start in starts.items()])
    open_ends = set(starts)
    found: set[Identity] = set()
    while open_ends:
        message = consumer.poll(ANSWER_SECONDS)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if message.error():
            raise KafkaException(message.error())
        headers = dict(message.headers() or [])
        if "candid" in headers and "version" in headers:
            found.add((message.topic(), int(headers["candid"]), headers["version"].decode()))
        if message.offset() + 1 >= ends[message.topic()][message.partition()]:
            open_ends.discard((message.topic(), message.partition()))
    return found
