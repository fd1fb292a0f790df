"""Read the first alert that comes out, as a client would."""

from __future__ import annotations

import io
import json
import os
import re
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from fink_broker.config.kafka_access import output_access
from fink_broker.config.model import Config

POLL_SECONDS = 0.2
#: values of ``cdsxmatch`` that say nothing of the object: nobody was asked, no answer, nothing there
NO_LABEL = (None, "", "Fail", "Unknown")


@dataclass
class FirstAlert:
    """Filled in when the first alert has come out.

    Parameters
    ----------
    text : str
        What it is, in a line; empty before.
    at : float
        When it came, on the monotonic clock, s.
    """

    text: str = ""
    at: float = 0.0


def wait_for_first_alert(config: Config, stop: threading.Event, found: FirstAlert) -> None:
    """Follow all output topics until the first message sent from now on, or until ``stop``.

    Parameters
    ----------
    config : Config
        Output servers and the prefix of topics.
    stop : threading.Event
        Ends the wait.
    found : FirstAlert
        Where the alert is noted.
    """
    consumer = Consumer(
        {
            **output_access(config, os.environ),
            "group.id": f"fink-demo-{uuid.uuid4().hex[:8]}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 1000,
            "log_level": 0,
        }
    )
    pattern = f"^{re.escape(config.distribution.prefix)}.*_{config.survey}$"
    try:
        known = _ends(consumer, pattern, stop)

        def from_now(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            for partition in partitions:
                partition.offset = known.get((partition.topic, partition.partition), OFFSET_BEGINNING)
            consumer.assign(partitions)

        consumer.subscribe([pattern], on_assign=from_now)
        while not stop.is_set():
            message = consumer.poll(POLL_SECONDS)
            if message is not None and not message.error():
                found.at = time.monotonic()
                found.text = describe(message)
                return
    finally:
        consumer.close()


def _ends(consumer: Consumer, pattern: str, stop: threading.Event) -> dict[tuple[str, int], int]:
    """Return where the partitions of the topics there are end; a Kafka that has just come up is asked again."""
    while not stop.wait(POLL_SECONDS):
        try:
            return {
                (name, number): consumer.get_watermark_offsets(TopicPartition(name, number), timeout=5)[1]
                for name, topic in consumer.list_topics(timeout=5).topics.items()
                if re.match(pattern, name)
                for number in topic.partitions
            }
        except KafkaException:
            continue
    return {}


def describe(message: Message) -> str:
    """Return one line on the alert in a message: topic, object, magnitude, label."""
    alert = decode(message)
    candidate = alert.get("candidate") or {}
    magnitude = f", {candidate['magpsf']:.2f} mag" if candidate.get("magpsf") is not None else ""
    label = f", {alert['cdsxmatch']}" if alert.get("cdsxmatch") not in NO_LABEL else ""
    return f"{alert.get('objectId')} (candid {alert.get('candid')}{magnitude}{label}) on {message.topic()}"


def decode(message: Message) -> dict[str, Any]:
    """Return the alert of a message, whose key is its schema."""
    schema = fastavro.parse_schema(json.loads(message.key()))
    alert: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(message.value()), schema)
    return alert
