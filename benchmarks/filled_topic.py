"""A Kafka of its own with a topic full of alerts as the distribution sends them, for benchmarks of its readers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.progress import track

from benchmarks.filter_table import quiet_config, science_alerts
from benchmarks.science_alerts import FIRST_CANDID, read_packets
from fink_broker.alert.wire import encode
from fink_broker.alert.wire_schema import wire_schema_text
from fink_broker.config import Config
from fink_broker.config.model import KafkaConfig, StorageConfig
from fink_broker.service import java_parts
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.ports import free_port
from fink_broker.stream.messages import public
from fink_broker.stream.sending import partition_of

PARTITIONS = 10
_BATCH = 200


@contextmanager
def own_kafka(folder: Path, console: Console) -> Iterator[str]:
    """Run a Kafka on the loopback; give its ``host:port``."""
    java_parts.ensure("kafka", console)
    ports = KafkaConfig(embedded_port=free_port(), embedded_sasl_port=0)
    server = KafkaServer(Config(storage=StorageConfig(state=folder), kafka=ports))
    server.start()
    try:
        server.wait_until_up(threading.Event())
        yield server.servers
    finally:
        server.terminate()


class TopicFiller:
    """Distinct alerts with our own science, sent again and again under fresh names.

    Parameters
    ----------
    source : str
        Folder or file of packets, or ``synthetic``.
    distinct : int
        How many of them are classified.
    """

    def __init__(self, source: str, distinct: int = 400) -> None:
        alerts = science_alerts(read_packets(source, "")[:distinct], quiet_config())
        self._alerts = public(alerts)
        self._sent = 0

    def fill(self, servers: str, topic: str, count: int, alerts_an_object: int = 1) -> None:
        """Make a topic and send alerts to it.

        Parameters
        ----------
        servers : str
            ``host:port`` of Kafka.
        topic : str
            Name of the topic, which is new.
        count : int
            How many alerts.
        alerts_an_object : int
            How many of them share an ``objectId``; they come one after the other, a quarter of an hour apart.
        """
        admin = AdminClient({"bootstrap.servers": servers})
        admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(30)
        producer = Producer(
            {"bootstrap.servers": servers, "compression.type": "lz4", "message.max.bytes": 32 * 1024 * 1024}
        )
        for start in track(range(0, count, _BATCH), description=f"filling {topic}", transient=True):
            batch = self._fresh(np.arange(start, min(start + _BATCH, count)), alerts_an_object)
            key = wire_schema_text(batch.schema).encode()
            for object_id, value in zip(batch["objectId"].to_pylist(), encode(batch), strict=True):
                while True:
                    try:
                        producer.produce(topic, value, key, partition_of(object_id, PARTITIONS))
                        break
                    except BufferError:
                        producer.poll(0.5)
            producer.poll(0)
        if producer.flush(60):
            raise RuntimeError(f"Kafka at {servers} did not take all alerts.")
        self._sent += count

    def _fresh(self, numbers: np.ndarray, alerts_an_object: int) -> pa.Table:
        """Return alerts of these numbers, under names that were not used before."""
        of_object = numbers // alerts_an_object
        batch = self._alerts.take(pa.array(of_object % len(self._alerts)))
        candids = pa.array(FIRST_CANDID + self._sent + numbers)
        names = pa.array([f"ZTF24{_letters(self._sent + number)}" for number in of_object.tolist()])
        candidate = batch["candidate"].combine_chunks()
        fields = {field.name: candidate.field(field.name) for field in candidate.type}
        days = candidate.field("jd").to_numpy(zero_copy_only=False) + (numbers % alerts_an_object) / 96
        fields |= {"candid": candids.cast(fields["candid"].type), "jd": pa.array(days)}
        nested = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
        for name, column in (("candid", candids), ("objectId", names), ("candidate", nested)):
            batch = batch.set_column(batch.schema.get_field_index(name), name, column)
        return batch


def _letters(number: int) -> str:
    """Return a number as seven letters, as ZTF names its objects."""
    letters = ""
    for _ in range(7):
        number, digit = divmod(number, 26)
        letters = chr(ord("a") + digit) + letters
    return letters
