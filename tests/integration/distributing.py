"""What tests of the distribution share: a job that runs while a block lasts, batches made by hand, whole topics."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition
from expected_topics import science_table

from fink_broker.archive import AlertTable, Commit
from fink_broker.config.model import Config
from fink_broker.stream.distribution import Distribution


def read_topic(servers: str, topic: str) -> list:
    """Return all messages of a topic."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    messages = []
    while len(messages) < sum(ends.values()):
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        messages.append(message)
    consumer.close()
    return messages


def all_messages(servers: str, topics: list[str]) -> Counter[tuple[str, bytes, bytes, int, bytes]]:
    """Count the messages of some topics by topic, candid, version of the filter, partition and value."""
    counted: Counter[tuple[str, bytes, bytes, int, bytes]] = Counter()
    for topic in topics:
        for message in read_topic(servers, topic):
            headers = dict(message.headers())
            counted[topic, headers["candid"], headers["version"], message.partition(), message.value()] += 1
    return counted


def decode(message) -> dict:
    """Decode a message as clients do: the key is the schema, the value one bare datum."""
    schema = fastavro.parse_schema(json.loads(message.key()))
    return fastavro.schemaless_reader(io.BytesIO(message.value()), schema)


def science_rows(raw: AlertTable, shared_data, unpacked) -> pa.Table:
    """Return the raw alerts with production's science columns beside them."""
    science = science_table(shared_data, unpacked, "20231018")
    alerts = pq.read_table(raw.storage.root, partitioning=None)
    order = dict(zip(alerts["candid"].to_pylist(), range(len(alerts)), strict=True))
    alerts = alerts.take(pa.array([order[candid] for candid in science["candid"].to_pylist()]))
    for name in science.column_names:
        if name not in alerts.column_names:
            alerts = alerts.append_column(name, science[name])
    return alerts


def commit_by_hand(table: AlertTable, name: str, rows: pa.Table) -> None:
    """Make a batch of a table exist, in two files."""
    table.create()
    folder = Path(table.staging(name)) / "night=20231018"
    folder.mkdir(parents=True)
    middle = len(rows) // 2
    for number, part in enumerate((rows.slice(0, middle), rows.slice(middle))):
        pq.write_table(part, folder / f"{number}.parquet")
    counts = {"in": len(rows), "out": len(rows)}
    table.commit(Commit(name, [], table.publish(name), counts, time.time(), time.time()))


@contextmanager
def distributing(config: Config) -> Iterator[tuple[Distribution, list[str]]]:
    """Run the distribution while the block lasts, then let it finish; gives the job and the list of what it says."""
    job, stop, said, failed = Distribution(config), threading.Event(), [], []

    def work() -> None:
        try:
            job.run(stop, said.append)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield job, said
    finally:
        stop.set()
        thread.join(60)
        if failed:
            raise failed[0]
    assert not thread.is_alive()
