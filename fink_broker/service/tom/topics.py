"""The topics the TOM follows: their names, which of them there are, and how many alerts it still has to take in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, TopicPartition

from fink_broker.alert.survey import SURVEYS
from fink_broker.config import Config
from fink_broker.config.kafka_access import output_access
from fink_broker.errors import ServiceError

ANSWER_SECONDS = 5.0


def wanted(config: Config) -> list[str]:
    """Return the names of the topics, in the order of the configuration."""
    survey, prefix = SURVEYS[config.survey], config.distribution.prefix
    return [survey.output_topic(prefix, name) for name in dict.fromkeys(config.tom.topics)]


def existing(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Return those topics that there are.

    Raises
    ------
    ConfigError
        If the servers ask for a user and a password, and none are set.
    ServiceError
        If Kafka does not answer.
    """
    with _looking(config, environ, "fink_tom") as consumer:  # asked for, never joined
        there = consumer.list_topics(timeout=ANSWER_SECONDS).topics
    return [topic for topic in wanted(config) if topic in there]


def waiting(config: Config, environ: Mapping[str, str], groups: Mapping[str, str]) -> int:
    """Return how many alerts of its topics the TOM has not taken in.

    Parameters
    ----------
    config : Config
        Names the topics.
    environ : mapping of str to str
        User and password, where Kafka asks for them.
    groups : mapping of str to str
        The consumer group of each topic that there is.

    Raises
    ------
    ConfigError
        If the servers ask for a user and a password, and none are set.
    ServiceError
        If Kafka does not answer.
    """
    number = 0
    for topic, group in groups.items():
        with _looking(config, environ, group) as consumer:
            partitions = consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].partitions
            places = [TopicPartition(topic, partition) for partition in partitions]
            for place in consumer.committed(places, timeout=ANSWER_SECONDS):
                first, end = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
                number += max(0, end - max(first, place.offset))  # where none is committed, the offset is negative
    return number


@contextmanager
def _looking(config: Config, environ: Mapping[str, str], group: str) -> Iterator[Consumer]:
    """Give a client that only asks; naming a group, it does not join it.

    Raises
    ------
    ServiceError
        If Kafka does not answer.
    """
    options = {**output_access(config, environ), "group.id": group, "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer(options)
    try:
        yield consumer
    except KafkaException as error:
        raise ServiceError(
            f"Kafka at {config.output_servers} does not answer: {error.args[0].str()}.", "Does it run? See `fink show`."
        ) from error
    finally:
        consumer.close()
