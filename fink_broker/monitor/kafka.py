"""Following Kafka topics that may not be there yet, without a group and without a trace."""

from __future__ import annotations

import re
from collections.abc import Mapping

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from fink_broker.config.kafka_access import input_access
from fink_broker.config.model import Config
from fink_broker.errors import ConfigError

_ANSWER_SECONDS = 3.0

Place = tuple[str, int]


def reader_options(config: Config, environ: Mapping[str, str]) -> dict[str, object]:
    """Return the options of a consumer that only looks on.

    Raises
    ------
    ConfigError
        If the servers ask for a user and a password, and none are set.
    """
    return {
        **input_access(config, environ),
        # the client library wants a name; partitions are assigned by hand, so no group is ever formed
        "group.id": f"fink_checkstream_{config.survey}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "topic.metadata.refresh.interval.ms": 5000,
        "log_level": 0,
    }


class TopicFollower:
    """Reads all partitions of the topics that match a pattern, as they come and go.

    Parameters
    ----------
    consumer : Consumer
        Made with :func:`reader_options`.
    config : Config
        Its ``kafka`` section says which topics, from where, and where to begin.

    Raises
    ------
    ConfigError
        If the pattern is no regular expression.
    """

    def __init__(self, consumer: Consumer, config: Config) -> None:
        self.consumer = consumer
        self.servers = config.input_servers
        self.pattern = config.kafka.topic
        self.partitions: set[Place] = set()
        self._begin = OFFSET_BEGINNING if config.kafka.starting_offsets == "earliest" else OFFSET_END
        try:
            self._matches = re.compile(self.pattern).fullmatch
        except re.error as error:
            raise ConfigError(
                f"kafka.topic '{self.pattern}' is neither a name nor a regular expression: {error}."
            ) from error

    def refresh(self) -> str:
        """Look which topics there are, begin with new ones, leave those that are gone; say what was found."""
        try:
            topics = self.consumer.list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as error:
            return f"waiting for Kafka at {self.servers} ({error.args[0].str()})"
        found = {
            (name, partition)
            for name, topic in topics.items()
            if topic.error is None and self._matches(name)
            for partition in topic.partitions
        }
        gone, new = self.partitions - found, found - self.partitions
        if gone:
            self.consumer.incremental_unassign([TopicPartition(*place) for place in sorted(gone)])
        if new:
            self.consumer.incremental_assign([TopicPartition(*place, self._begin) for place in sorted(new)])
        self.partitions = found
        # what appears from now on is new from its first message
        self._begin = OFFSET_BEGINNING
        if not found:
            return f"waiting for a topic '{self.pattern}' at {self.servers}"
        names = sorted({name for name, _ in found})
        return f"following {', '.join(names)} ({len(found)} partitions) at {self.servers}"

    def ends(self) -> dict[Place, int]:
        """Return the number after the last message of each partition, as far as known."""
        known = {}
        for place in self.partitions:
            watermarks = self.consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            if watermarks is not None and watermarks[1] >= 0:
                known[place] = watermarks[1]
        return known

    def lags(self, ends: Mapping[Place, int]) -> dict[str, dict[int, int]]:
        """Return how many messages of each partition were not read yet: topic → partition → number."""
        lags: dict[str, dict[int, int]] = {}
        places = sorted(ends)
        for place, position in zip(
            places, self.consumer.position([TopicPartition(*place) for place in places]), strict=True
        ):
            if position.offset >= 0:
                lags.setdefault(place[0], {})[place[1]] = max(0, ends[place] - position.offset)
        return lags
