"""How far the raw table is behind Kafka, partition by partition; Kafka is asked in a thread of its own."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Set

from confluent_kafka import Consumer, KafkaException, TopicPartition

from fink_broker.config import Config
from fink_broker.errors import FinkError, ServiceError
from fink_broker.monitor.board.views import LagView, PartitionLag
from fink_broker.monitor.kafka import Place, reader_options

#: seconds between two questions
EVERY_SECONDS = 5.0
#: seconds Kafka may take for one answer
ANSWER_SECONDS = 4.0
#: ends that were asked for longer ago are no answer
FRESH_SECONDS = 60.0
#: partitions that are told, those with most waiting; the total is of all
MOST_PARTITIONS = 500

Ends = dict[Place, tuple[int, int]]


class LagWatcher:
    """Asks Kafka for the ends of its partitions again and again, until it is closed.

    Parameters
    ----------
    config : Config
        Its ``kafka`` section says where, which topics, and from where a first run begins.
    environ : mapping of str to str
        Holds user and password where the servers ask for them.
    """

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._config, self._environ = config, environ
        self._stop = threading.Event()
        self._ends: Ends = {}
        self._taken: Mapping[Place, int] = {}
        self._taken_before: Mapping[Place, int] = {}
        self._asked: float | None = None
        self._trouble = ""
        self._thread = threading.Thread(target=self._watch, name="lag", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()

    def view(self, taken: Mapping[Place, int], now: float) -> LagView:
        """Return how far behind raw is.

        Parameters
        ----------
        taken : mapping of tuple of str and int to int
            Offset after the last message raw has taken in, by topic and partition.
        now : float
            Unix time in seconds.
        """
        self._taken = dict(taken)  # the ledger's own goes on while Kafka is being asked
        if self._asked is None:
            return LagView()
        if self._trouble:
            return LagView("unknown", self._asked, self._trouble)
        if now - self._asked > FRESH_SECONDS:
            return LagView("unknown", self._asked, f"Kafka at {self._config.input_servers} takes long to answer.")
        anew = made_anew(self._ends, self._taken_before)
        whole = self._config.kafka.starting_offsets == "earliest"
        return lag_view(self._ends, taken, self._asked, whole=whole, anew=anew)

    def _watch(self) -> None:
        consumer: Consumer | None = None
        while not self._stop.is_set():
            try:
                consumer = consumer or Consumer(reader_options(self._config, self._environ))
                taken = self._taken
                self._ends, self._trouble = read_ends(consumer, self._config.kafka.topic, self._stop.is_set), ""
                self._taken_before = taken
            except KafkaException as error:
                reason = error.args[0].str() if error.args else "no answer"
                self._trouble = f"Kafka at {self._config.input_servers} does not answer ({reason})."
            except FinkError as error:
                self._trouble = error.message
            except re.error as error:
                self._trouble = f"kafka.topic is no regular expression: {error}."
            self._asked = time.time()
            self._stop.wait(EVERY_SECONDS)
        if consumer is not None:
            consumer.close()


def read_ends(consumer: Consumer, pattern: str, is_over: Callable[[], bool] = lambda: False) -> Ends:
    """Return the first offset and that after the last of each partition whose topic matches a pattern.

    Raises
    ------
    KafkaException
        If Kafka does not answer.
    ServiceError
        If it tells nothing of a partition in time.
    """
    topics = consumer.list_topics(timeout=ANSWER_SECONDS).topics
    ends: Ends = {}
    for name in sorted(topics):
        if not re.fullmatch(pattern, name):
            continue
        for partition in topics[name].partitions:
            if is_over():
                return ends
            found = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=ANSWER_SECONDS)
            if found is None:
                raise ServiceError(f"Kafka did not tell in time how far {name} [{partition}] reaches.")
            ends[name, partition] = found
    return ends


def made_anew(ends: Ends, taken_before: Mapping[Place, int]) -> Set[Place]:
    """Return partitions of topics that were deleted and made again: they end before what was taken of the old ones.

    Parameters
    ----------
    ends : dict
        First offset and that after the last, by topic and partition.
    taken_before : mapping
        Offset after the last message taken in when Kafka was asked for these ends: what was taken in since may well be
        beyond them.
    """
    return {place for place, (_, end) in ends.items() if taken_before.get(place, 0) > end}


def lag_view(
    ends: Ends, taken: Mapping[Place, int], asked: float, *, whole: bool, anew: Set[Place] = frozenset()
) -> LagView:
    """Return how many messages of each partition wait.

    Parameters
    ----------
    ends : dict
        First offset and that after the last, by topic and partition.
    taken : mapping
        Offset after the last message taken in, by topic and partition.
    asked : float
        When the ends were asked for (unix seconds).
    whole : bool
        Whether a partition nothing was taken of counts whole; else it does not count.
    anew : set
        Partitions that begin again (`made_anew`): until a batch has taken something of one, it counts whole.
    """

    def number(place: Place, first: int, end: int) -> int:
        begin = taken.get(place, first if whole else end)
        return end - first if place in anew and begin > end else max(0, end - max(first, begin))

    waiting = [PartitionLag(*place, number(place, *ends[place])) for place in sorted(ends)]
    # those with most waiting: the topics of tonight are the last by name
    most = sorted(waiting, key=lambda each: -each.waiting)[:MOST_PARTITIONS]
    told = tuple(sorted(most, key=lambda each: (each.topic, each.partition)))
    text = "" if waiting else "No input topic is there yet."
    return LagView("known", asked, text, sum(each.waiting for each in waiting), told, len(waiting))
