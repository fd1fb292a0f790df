"""Sending to Kafka so that every message is there once, also after a kill between any two instructions.

Before a batch is sent, where the topics end is written down. If the batch was not committed, what came into
the topics since then is read back at the next start, by its headers, and left out when the batch is sent again.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from fink_broker.metrics.registry import sending_numbers
from fink_broker.stream.kafka_io import MAX_MESSAGE_BYTES, answer_of

#: topic → partition → offset
Ends = dict[str, dict[int, int]]
#: topic and candid of messages that are in Kafka, and the filter that let them pass
Sent = dict[tuple[str, int], str]

#: seconds without an answer of Kafka's after which a message counts as not sent
DELIVERY_SECONDS = 30
ANSWER_SECONDS = 15.0
#: after a request to stop: how long Kafka may still take in what it has been given
STOP_SECONDS = 15.0
#: what a process that was killed has sent may be on its way for so long
SETTLE_SECONDS = 1.0


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
    stop : threading.Event
        Set when the job is to end: a Kafka that does not answer is then waited for no longer.
    """

    def __init__(self, options: Mapping[str, str], compression: str, stop: threading.Event) -> None:
        self._options = dict(options)
        self._stop = stop
        self._patience = STOP_SECONDS
        self._error: KafkaError | None = None
        self._numbers = sending_numbers()
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
        """Hand a message over; it has arrived when `flush` returns.

        Raises
        ------
        KafkaException
            If an earlier one has not arrived, or Kafka does not answer and the job is to end.
        """
        while self._error is None:
            try:
                self._producer.produce(
                    topic, value, key, partition=partition, headers=headers, on_delivery=self._delivered
                )
                self._numbers.messages.inc()
                self._numbers.size.inc(len(value))
                self._producer.poll(0)
                return
            except BufferError:
                self._wait(0.1)
        self._give_up()

    def flush(self) -> None:
        """Wait until all messages have arrived.

        Raises
        ------
        KafkaException
            If one has not, or Kafka does not answer and the job is to end.
        """
        while len(self._producer) and self._error is None:
            self._wait(0.2)
        if self._error is not None:
            self._give_up()

    def _wait(self, seconds: float) -> None:
        """Let Kafka take in messages for a moment."""
        self._producer.flush(seconds)
        if self._stop.is_set():
            self._patience -= seconds
            if self._patience <= 0:
                self._error = KafkaError(KafkaError._TIMED_OUT)

    def _give_up(self) -> None:
        self._producer.purge()
        raise KafkaException(self._error)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = self._error or error
            return
        offset = message.offset()
        # Kafka may say that it has a message already, without saying where
        if offset is not None and offset >= 0:
            self.ends.setdefault(message.topic(), {})[message.partition()] = offset + 1


def find_ends(options: Mapping[str, str], topics: Iterable[str], *, all_there: bool = True) -> Ends:
    """Return where topics end: topic → partition → offset of the next message.

    Parameters
    ----------
    options : mapping
        Connection of a librdkafka client.
    topics : iterable of str
        Which.
    all_there : bool
        Whether a topic that is not there is an error; else it is left out.

    Raises
    ------
    KafkaException
        If Kafka does not answer, or does not know a topic (yet).
    """
    admin = AdminClient({**options, "log_level": 0})
    known = admin.list_topics(timeout=ANSWER_SECONDS).topics
    wanted = list(topics)
    if all_there and any(topic not in known for topic in wanted):
        raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    places = [TopicPartition(topic, number) for topic in wanted if topic in known for number in known[topic].partitions]
    found = admin.list_offsets({place: OffsetSpec.latest() for place in places}) if places else {}
    ends: Ends = {}
    for place, answer in found.items():
        ends.setdefault(place.topic, {})[place.partition] = answer_of(answer, ANSWER_SECONDS).offset
    return ends


def sent_since(options: Mapping[str, str], ends: Ends, say: Callable[[str], None]) -> Sent:
    """Return what came into topics since they ended there.

    Raises
    ------
    KafkaException
        If Kafka does not answer.
    """
    say("starting: reading back what was sent of the batch that was cut short")
    now = _settled_ends(options, ends)
    consumer = Consumer({**options, "group.id": "fink_distribution", "enable.auto.commit": False, "log_level": 0})
    try:
        starts: dict[tuple[str, int], int] = {}
        for topic, partitions in now.items():
            for partition, end in partitions.items():
                # a topic that was made anew begins before the old one's end
                start = ends[topic].get(partition, 0) if ends[topic].get(partition, 0) <= end else 0
                if start < end:
                    low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_SECONDS)
                    if max(low, start) < end:
                        starts[topic, partition] = max(low, start)
        return _read_back(consumer, starts, now) if starts else {}
    finally:
        consumer.close()


def _settled_ends(options: Mapping[str, str], topics: Iterable[str]) -> Ends:
    """Return where topics end once they have not grown for a moment."""
    before, now = None, find_ends(options, topics, all_there=False)
    while now != before:
        time.sleep(SETTLE_SECONDS)
        before, now = now, find_ends(options, topics, all_there=False)
    return now


def _read_back(consumer: Consumer, starts: dict[tuple[str, int], int], ends: Ends) -> Sent:
    consumer.assign([TopicPartition(topic, partition, start) for (topic, partition), start in starts.items()])
    open_ends = set(starts)
    found: Sent = {}
    while open_ends:
        message = consumer.poll(ANSWER_SECONDS)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if message.error():
            raise KafkaException(message.error())
        headers = dict(message.headers() or [])
        if "candid" in headers and "filter" in headers:
            found[message.topic(), int(headers["candid"])] = headers["filter"].decode()
        if message.offset() + 1 >= ends[message.topic()][message.partition()]:
            open_ends.discard((message.topic(), message.partition()))
    return found
