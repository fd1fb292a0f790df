"""The Kafka side of a webhook: where it begins, what it has read, what it commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from fink_broker.config.kafka_access import output_access
from fink_broker.config.model import Config
from fink_broker.notify.notice import Notice
from fink_broker.notify.webhook import Webhook

_ANSWER_SECONDS = 5.0

Place = tuple[str, int]


def kafka_options(config: Config, environ: Mapping[str, str]) -> dict[str, object]:
    """Return how to reach the output Kafka.

    Raises
    ------
    ConfigError
        If it asks for a user and a password, and none are set.
    """
    return {**output_access(config, environ), "log_level": 0}


class Intake:
    """Reads the topics of a webhook, from where its group was.

    Partitions are assigned by hand: a far end that takes minutes to answer then costs no membership in a group, and
    the offsets are committed to the group all the same. A topic without committed offsets is read from its end on the
    first start, so that a new webhook does not begin with a week of alerts; if it did not exist then, from its
    beginning.

    Parameters
    ----------
    webhook : Webhook
        Names topics and group.
    options : mapping
        From :func:`kafka_options`.
    begun : iterable of str
        Topics that were followed before: none of their messages may be passed over.

    Attributes
    ----------
    begun : set of str
        The same, with those followed since.
    missing : tuple of str
        Topics that do not exist yet.
    trouble : str
        What is wrong with Kafka at the moment; empty if nothing is.
    """

    def __init__(self, webhook: Webhook, options: Mapping[str, object], begun: Iterable[str] = ()) -> None:
        self.begun = set(begun)
        self.missing: tuple[str, ...] = ()
        self.trouble = ""
        self._webhook = webhook
        self._next: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}
        self._consumer = Consumer(
            {
                **options,
                "group.id": webhook.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # only where a committed offset is gone: retention took it, or the topic was made anew
                "auto.offset.reset": "earliest",
                # images make messages large and far ends are slow: little is fetched ahead
                "queued.max.messages.kbytes": 8192,
                "queued.min.messages": 100,
                "error_cb": self._note,
            }
        )

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def refresh(self) -> None:
        """Look which topics and partitions there are, and begin with new ones."""
        try:
            topics = self._consumer.list_topics(timeout=_ANSWER_SECONDS).topics
            there = {
                (name, partition)
                for name in self._webhook.topics
                if name in topics and topics[name].error is None
                for partition in topics[name].partitions
            }
            self.missing = tuple(name for name in self._webhook.topics if name not in topics)
            self._leave(self._next.keys() - there)
            self._begin(sorted(there - self._next.keys()))
        except KafkaException as error:
            self._note(error.args[0])
            return
        # what does not exist yet holds nothing old: all that will come is news
        self.begun |= set(self.missing)
        self.trouble = ""

    def read(self, most: int, seconds: float) -> list[Message]:
        """Return the next messages, none if none come in time.

        Parameters
        ----------
        most : int
            At most so many.
        seconds : float
            For how long to wait.
        """
        messages = []
        for message in self._consumer.consume(num_messages=most, timeout=seconds):
            error = message.error()
            if error is not None:
                self._note(error)
                continue
            self._next[message.topic(), message.partition()] = message.offset() + 1
            messages.append(message)
        return messages

    def commit(self, waiting: Iterable[Notice], *, again: bool = False) -> bool:
        """Commit all that was read, except what still waits to be told; return whether Kafka took it.

        Parameters
        ----------
        waiting : iterable of Notice
            Read, but neither accepted by the far end nor set aside.
        again : bool
            Commit what was committed before as well: Kafka forgets the offsets of a quiet topic after some days.
        """
        due = dict(self._next)
        for notice in waiting:
            place = notice.topic, notice.partition
            if place in due:
                due[place] = min(due[place], notice.offset)
        changed = {place: offset for place, offset in due.items() if again or self._committed.get(place) != offset}
        if not changed:
            return True
        try:
            self._commit(changed)
        except KafkaException as error:
            self._note(error.args[0])
            return False
        return True

    def lag(self) -> int:
        """Return how many messages Kafka holds that were not read yet, as far as known."""
        total = 0
        for place, position in self._next.items():
            known = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            if known is not None and known[1] >= 0:
                total += max(0, known[1] - position)
        return total

    def _leave(self, gone: set[Place]) -> None:
        if gone:
            self._consumer.incremental_unassign([TopicPartition(*place) for place in sorted(gone)])
        for place in gone:
            del self._next[place]
            self._committed.pop(place, None)

    def _begin(self, places: list[Place]) -> None:
        """Find where each partition is to be read from, commit that, and read."""
        if not places:
            return
        asked = [TopicPartition(*place) for place in places]
        committed = {
            (found.topic, found.partition): found.offset
            for found in self._consumer.committed(asked, timeout=_ANSWER_SECONDS)
            if found.offset != OFFSET_INVALID and found.offset >= 0
        }
        # a partition that was added to a topic holds nothing old either
        known = self.begun | {topic for topic, _ in committed} | {topic for topic, _ in self._next}
        fresh = {}
        for place in places:
            if place not in committed:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=_ANSWER_SECONDS)
                fresh[place] = low if place[0] in known or self._webhook.start == "earliest" else high
        if fresh:
            self._commit(fresh)
        start = committed | fresh
        self._consumer.incremental_assign([TopicPartition(*place, start[place]) for place in places])
        self._next |= start
        self._committed |= start
        self.begun |= {topic for topic, _ in places}

    def _commit(self, offsets: dict[Place, int]) -> None:
        places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        for answer in self._consumer.commit(offsets=places, asynchronous=False):
            if answer.error is not None:
                raise KafkaException(answer.error)
            self._committed[answer.topic, answer.partition] = answer.offset

    def _note(self, error: KafkaError) -> None:
        self.trouble = f"Kafka: {error.str()}"
