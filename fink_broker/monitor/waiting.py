"""How many messages wait in Kafka for the raw table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.config.model import Config
from fink_broker.errors import ServiceError
from fink_broker.monitor.kafka import Place, reader_options

ANSWER_SECONDS = 10.0


def messages_waiting(config: Config, environ: Mapping[str, str]) -> int:
    """Return how many messages of the input topics no committed batch of the raw table has taken in.

    A partition the table has taken nothing of counts whole, or not at all if the job begins with what comes
    after its start (``kafka.starting_offsets = latest``). One of a topic made anew, which ends before what was taken
    of the old one, counts whole.

    Raises
    ------
    ConfigError
        If the servers ask for a user and a password, and none are set.
    ServiceError
        If Kafka does not answer.
    """
    taken = taken_until(AlertTable(Layout(config.storage.online).table("raw")).log.read_all())
    whole = config.kafka.starting_offsets == "earliest"
    consumer = Consumer(reader_options(config, environ))
    try:
        topics = consumer.list_topics(timeout=ANSWER_SECONDS).topics
        matching = [name for name in topics if re.fullmatch(config.kafka.topic, name)]
        number = 0
        for place in [(name, partition) for name in matching for partition in topics[name].partitions]:
            first, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=ANSWER_SECONDS)
            begin = taken.get(place, first if whole else end)
            number += end - max(first, begin) if begin <= end else end - first
    except KafkaException as error:
        raise ServiceError(
            f"Kafka at {config.input_servers} does not answer: {error.args[0].str()}.", "Does it run? See `fink show`."
        ) from error
    finally:
        consumer.close()
    return number


def taken_until(commits: Iterable[Commit]) -> dict[Place, int]:
    """Return the offset after the last message taken in of each partition.

    Parameters
    ----------
    commits : iterable of Commit
        Of the raw table, in the order in which they were made: a topic made anew begins at 0 again.
    """
    until: dict[Place, int] = {}
    for commit in commits:
        for topic, partitions in commit.details["offsets"].items():
            for partition, (_, end) in partitions.items():
                until[topic, int(partition)] = end
    return until
