"""Kafka as the jobs use it: options for Spark, topics made in time, and patience when it is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from fink_broker.errors import ServiceError

#: errors of Kafka's that time may mend
PASSING = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NOT_CONTROLLER,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
    KafkaError._FATAL,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError._NOENT,  # the ends of a topic just made, none of whose partitions has a leader yet
)

#: largest message in bytes (an alert is 70 kB; its key 15 kB)
MAX_MESSAGE_BYTES = 32 * 1024 * 1024

Say = Callable[[str], None]
Answer = TypeVar("Answer")


def spark_options(access: Mapping[str, str]) -> dict[str, str]:
    """Return the options of Spark's Kafka source that correspond to those of librdkafka."""
    protocol = access["security.protocol"]
    options = {"kafka.bootstrap.servers": access["bootstrap.servers"], "kafka.security.protocol": protocol}
    if protocol.startswith("SASL"):
        mechanism = access["sasl.mechanism"]
        kind = "scram.ScramLoginModule" if mechanism.startswith("SCRAM") else "plain.PlainLoginModule"
        user, password = (
            access[name].replace("\\", "\\\\").replace('"', '\\"') for name in ("sasl.username", "sasl.password")
        )
        options |= {
            "kafka.sasl.mechanism": mechanism,
            "kafka.sasl.jaas.config": f"org.apache.kafka.common.security.{kind} required "
            f'username="{user}" password="{password}";',
        }
    return options


def wait_for_kafka(options: dict[str, str], stop: threading.Event, say: Say) -> bool:
    """Wait until Kafka answers; return False if told to stop first."""
    servers = options["bootstrap.servers"]
    admin = AdminClient({**options, "log_level": 0, "socket.connection.setup.timeout.ms": 5000})
    told = False
    while not stop.is_set():
        try:
            admin.list_topics(timeout=3)
            return True
        except KafkaException as error:
            if not told:
                say(f"waiting for Kafka at {servers} ({error.args[0].str()})")
                told = True
            stop.wait(1.0)
    return False


def create_topics(
    options: dict[str, str],
    topics: Sequence[str],
    partitions: int,
    replication: int,
    settings: dict[str, str],
) -> list[str]:
    """Create the topics that do not exist yet and return their names; those with too few partitions get more.

    Raises
    ------
    ServiceError
        If Kafka refuses to create one.
    KafkaException
        If Kafka does not answer: later it may.
    """
    admin = AdminClient({**options, "log_level": 0})
    existing = admin.list_topics(timeout=10).topics
    _widen(
        admin, {name: partitions for name in topics if name in existing and len(existing[name].partitions) < partitions}
    )
    wanted = [
        NewTopic(name, num_partitions=partitions, replication_factor=replication, config=settings)
        for name in topics
        if name not in existing
    ]
    if not wanted:
        return []
    for name, answer in admin.create_topics(wanted, operation_timeout=15).items():
        _await(answer, f"to create the topic {name}", KafkaError.TOPIC_ALREADY_EXISTS)
    return [topic.topic for topic in wanted]


def _widen(admin: AdminClient, partitions: dict[str, int]) -> None:
    """Give topics that were made with fewer partitions the number messages are spread over."""
    if not partitions:
        return
    wanted = [NewPartitions(name, number) for name, number in partitions.items()]
    for name, answer in admin.create_partitions(wanted, operation_timeout=15).items():
        _await(answer, f"to give the topic {name} {partitions[name]} partitions", None)


def answer_of(asked: Future[Answer], seconds: float) -> Answer:
    """Return the answer of an administrative question.

    Raises
    ------
    KafkaException
        If it failed, or did not come in time.
    """
    try:
        return asked.result(timeout=seconds)
    except TimeoutError as error:  # the client's own time-out, which is no KafkaException
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from error


def _await(answer: Future[None], what: str, harmless: int | None) -> None:
    try:
        answer_of(answer, 20.0)
    except KafkaException as error:
        if error.args[0].code() in PASSING:
            raise
        if error.args[0].code() != harmless:
            raise ServiceError(
                f"Kafka refused {what}: {error.args[0].str()}.",
                "Check distribution.replication against the number of brokers, and the user's rights.",
            ) from error
