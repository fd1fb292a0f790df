"""Data transfer on a real Kafka: what is selected arrives exactly once, in the form download clients read."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import fink_client
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import saved_alerts
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from pipeline import until
from transfer_archive import alerts_of, copies
from transfer_rows import commit

from fink_broker.archive import AlertTable, Layout
from fink_broker.config.model import Config, DistributionConfig, KafkaConfig, StorageConfig
from fink_broker.errors import ServiceError, UsageError
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.ports import free_port
from fink_broker.stream.transfer.selection import Selection
from fink_broker.stream.transfer.transfers import Transfers

pytestmark = pytest.mark.integration

PARTITIONS = 10
SEED = 20240101


@dataclass(frozen=True)
class Archive:
    """A science table, and the configuration that names it."""

    config: Config
    table: AlertTable
    conf: Path

    def transfers(self, stop: threading.Event | None = None) -> Transfers:
        return Transfers(self.config, stop or threading.Event(), print)

    def rows(self) -> dict[int, dict[str, Any]]:
        """Return all rows by candid."""
        rows: list[dict[str, Any]] = []
        for batch in self.table.log.read_all():
            for file in batch.files:
                rows += pq.ParquetFile(f"{self.table.storage.root}/{file.path}").read().to_pylist()
        return {row["candid"]: row for row in rows}


@pytest.fixture
def archive(kafka: str, tmp_path: Path) -> Archive:
    online = tmp_path / "online"
    conf = tmp_path / "fink.conf"
    conf.write_text(
        f"[storage]\nonline = '{online}'\nstate = '{tmp_path / 'state'}'\n[distribution]\nservers = '{kafka}'\n"
    )
    config = Config(
        storage=StorageConfig(online=str(online), state=tmp_path / "state"),
        distribution=DistributionConfig(servers=kafka),
    )
    return Archive(config, AlertTable(Layout(str(online)).table("science")), conf)


@pytest.fixture(scope="session")
def alerts(unpacked: Callable[..., list[bytes]]) -> pa.Table:
    return alerts_of(unpacked("ztf_public_20231018")[:200])


def new_topic() -> str:
    return f"ftransfer_ztf_2024-01-01_{uuid.uuid4().hex[:8]}"


def read_topic(servers: str, topic: str) -> list:
    """Return all messages of a topic."""
    options = {"bootstrap.servers": servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
    consumer = Consumer(options)
    partitions = [
        TopicPartition(topic, number, 0) for number in consumer.list_topics(topic, 10).topics[topic].partitions
    ]
    assert len(partitions) == PARTITIONS
    left = sum(consumer.get_watermark_offsets(partition, 10)[1] for partition in partitions)
    consumer.assign(partitions)
    messages = []
    while left:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        messages.append(message)
        left -= 1
    consumer.close()
    return messages


def decoded(servers: str, topic: str) -> tuple[list, list[dict[str, Any]]]:
    """Return the messages of a transfer by number, and what a reader makes of them with the schema topic's key."""
    keys = read_topic(servers, f"{topic}_schema")
    assert len({message.key() for message in keys}) == 1
    schema = fastavro.parse_schema(json.loads(keys[0].key()))
    messages = read_topic(servers, topic)
    for message in messages:
        assert int(dict(message.headers())["number"]) == message.partition() + PARTITIONS * message.offset()
        assert message.key() == topic.encode()
    messages.sort(key=lambda message: int(dict(message.headers())["number"]))
    found = []
    for message in messages:
        stream = io.BytesIO(message.value())
        found.append(fastavro.schemaless_reader(stream, schema))
        assert not stream.read(1)
        assert int(dict(message.headers())["candid"]) == found[-1]["candid"]
    return messages, found


def test_a_reader_gets_the_rows_of_the_table_in_one_schema(archive: Archive, alerts: pa.Table, kafka: str) -> None:
    commit(archive.table, "one", "20231018", alerts[:120])
    older = alerts[120:].drop_columns(["tns"])
    older = older.set_column(older.schema.get_field_index("roid"), "roid", older["roid"].cast(pa.int64()))
    commit(archive.table, "two", "20231019", older)
    commit(archive.table, "three", "20231021", alerts[:5])
    transfers, topic = archive.transfers(), new_topic()
    selection = Selection.asked("2023-10-18", "2023-10-20", classes=["SN candidate", "(SIMBAD) QSO"], where="drb > 0.2")

    manifest = transfers.plan(selection, topic)
    transfers.begin(manifest)
    sent = transfers.send(topic)

    rows = [row for batch in (alerts[:120], older) for row in batch.to_pylist()]
    wanted = [
        row
        for row in rows
        if (row["finkclass"] == "SN candidate" or row["cdsxmatch"] == "QSO")
        and row["candidate"]["drb"] is not None
        and row["candidate"]["drb"] > 0.2
    ]
    assert 50 < len(wanted) < len(rows)
    assert sent == manifest.alerts == len(wanted)
    assert len(read_topic(kafka, f"{topic}_schema")) == 1000
    _, found = decoded(kafka, topic)
    for alert, row in zip(found, wanted, strict=True):
        kept = {name: value for name, value in row.items() if name != "science_failed"}
        added = {name: alert.pop(name) for name in ("timestamp", "year", "month", "day", "tnsclass", "tracklet")}
        assert saved_alerts.differences(alert, {"tns": None, **kept}) == []
        assert saved_alerts.seconds_between(added["timestamp"], row["candidate"]["jd"]) < 1e-3
        assert (added["year"], added["month"], added["day"]) == (2023, 10, 18)
        assert added["tnsclass"] == row.get("tns", "Unknown")
    assert transfers.send(topic) == 0
    assert [entry.state for entry in transfers.list_all()] == ["complete"]
    with pytest.raises(UsageError, match="another selection"):
        transfers.known(Selection.asked("2023-10-18", "2023-10-18"), topic)


def test_nothing_is_ever_trimmed(archive: Archive, alerts: pa.Table, kafka: str) -> None:
    commit(archive.table, "one", "20231018", alerts[:3])
    transfers, topic = archive.transfers(), new_topic()
    transfers.begin(transfers.plan(Selection.asked("2023-10-18", "2023-10-18", output="thin"), topic))
    transfers.send(topic)
    admin = AdminClient({"bootstrap.servers": kafka})
    for name in (topic, f"{topic}_schema"):
        resource = ConfigResource(ResourceType.TOPIC, name)
        settings = admin.describe_configs([resource])[resource].result(10)
        assert settings["retention.ms"].value == settings["retention.bytes"].value == "-1"
        assert settings["cleanup.policy"].value == "delete"


def test_finished_it_is_complete_only_as_long_as_kafka_has_it(archive: Archive, alerts: pa.Table, kafka: str) -> None:
    commit(archive.table, "one", "20231018", alerts[:30])
    transfers, topic = archive.transfers(), new_topic()
    transfers.begin(transfers.plan(Selection.asked("2023-10-18", "2023-10-18", output="thin"), topic))
    assert transfers.send(topic) == 30
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([topic])[topic].result(20)
    until(lambda: topic not in admin.list_topics(timeout=10).topics, "the topic is gone")
    (listed,) = transfers.list_all()
    assert (listed.sent, listed.state.partition(":")[0]) == (0, "incomplete")

    assert transfers.send(topic) == 30
    assert [(entry.sent, entry.state) for entry in transfers.list_all()] == [(30, "complete")]
    _, found = decoded(kafka, topic)
    assert [alert["candid"] for alert in found] == alerts["candid"].to_pylist()[:30]

    place = TopicPartition(topic, 4, 2)
    admin.delete_records([place])[place].result(20)
    assert f"Messages of {topic} are gone" in transfers.list_all()[0].state
    with pytest.raises(ServiceError, match="are gone from Kafka"):
        transfers.send(topic)


def test_removed_it_can_be_sent_again(archive: Archive, alerts: pa.Table, kafka: str) -> None:
    commit(archive.table, "one", "20231018", alerts[:30])
    transfers, topic = archive.transfers(), new_topic()
    manifest = transfers.plan(Selection.asked("2023-10-18", "2023-10-18", output="thin"), topic)
    for _ in range(2):
        transfers.begin(manifest)
        assert transfers.send(topic) == 30
        transfers.remove(topic)
        assert not {topic, f"{topic}_schema"} & set(AdminClient({"bootstrap.servers": kafka}).list_topics().topics)
        assert transfers.list_all() == []


def test_a_topic_of_others_is_left_alone(archive: Archive, alerts: pa.Table, kafka: str) -> None:
    commit(archive.table, "one", "20231018", alerts[:30])
    transfers, topic = archive.transfers(), new_topic()
    manifest = transfers.plan(Selection.asked("2023-10-18", "2023-10-18", output="thin"), topic)
    transfers.begin(manifest)
    transfers.send(topic)
    transfers.store.remove(topic)
    with pytest.raises(UsageError, match="exists, and not from this transfer"):
        transfers.begin(manifest)
    # and if somebody else wrote to the topic of a transfer, it does not call itself complete
    transfers.store.write(manifest)
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, b"something", partition=3)
    assert producer.flush(10) == 0
    with pytest.raises(ServiceError, match=r"Partition 3 .* holds what this transfer did not send"):
        transfers.send(topic)


SCRIPT = """
import sys
from fink_broker.cli.transfer import TransferOptions, transfer
conf, topic = sys.argv[1:]
sys.exit(transfer(TransferOptions(start="2023-10-01", stop="2023-10-31", topic=topic, where="roid < 3"), conf))
"""


@pytest.fixture
def command(archive: Archive, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Return a function that starts a transfer as a user does."""
    started: list[subprocess.Popen[str]] = []

    def start(topic: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", SCRIPT, str(archive.conf), topic]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def messages_in(admin: AdminClient, topic: str, consumer: Consumer) -> int:
    if topic not in admin.list_topics(timeout=10).topics:
        return 0
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    try:
        return sum(consumer.get_watermark_offsets(place, 10)[1] for place in places)
    except KafkaException:  # the topic was made this instant
        return 0


def test_killed_at_any_instant_it_goes_on_and_sends_each_alert_once(
    archive: Archive, alerts: pa.Table, kafka: str, command: Callable[[str], subprocess.Popen[str]]
) -> None:
    for number in range(15):
        commit(archive.table, f"batch-{number}", f"202310{18 + number // 5}", copies(alerts, number))
    rows, topic, dice = archive.rows(), new_topic(), random.Random(SEED)
    wanted = sum(row["roid"] < 3 for row in rows.values())
    admin = AdminClient({"bootstrap.servers": kafka})
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex})
    # before anything is sent, and in the middle, at a number of messages drawn by lot
    marks = [0, *sorted(dice.randrange(1, wanted) for _ in range(4))]
    killed_at = []
    for mark in marks:
        process = command(topic)
        if mark == 0:
            time.sleep(dice.uniform(0.5, 3.0))
        while messages_in(admin, topic, consumer) < mark and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed_at.append(messages_in(admin, topic, consumer))

    process = command(topic)
    printed, _ = process.communicate(timeout=120)

    assert process.returncode == 0, printed
    assert f"All {wanted:,} alerts are in {topic}" in printed
    assert len({number for number in killed_at if 0 < number < wanted}) >= 2, killed_at
    _, found = decoded(kafka, topic)
    assert [alert["candid"] for alert in found] == [row["candid"] for row in rows.values() if row["roid"] < 3]
    for alert in found[:: wanted // 50]:
        assert alert["cutoutScience"] == rows[alert["candid"]]["cutoutScience"]
    copies_of_schema = read_topic(kafka, f"{topic}_schema")
    assert len(copies_of_schema) >= 1000
    again = command(topic)
    assert "were sent to" in again.communicate(timeout=60)[0]
    assert again.returncode == 0
    consumer.close()


def test_interrupted_it_says_how_to_go_on(
    archive: Archive, alerts: pa.Table, command: Callable[[str], subprocess.Popen[str]], kafka: str
) -> None:
    for number in range(15):
        commit(archive.table, f"batch-{number}", "20231018", copies(alerts, number))
    topic = new_topic()
    admin = AdminClient({"bootstrap.servers": kafka})
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex})
    process = command(topic)
    while messages_in(admin, topic, consumer) < 100 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert f"fink transfer --resume {topic}" in printed
    transfers = archive.transfers()
    assert [entry.state for entry in transfers.list_all()] == ["interrupted"]
    assert transfers.send(topic) > 0
    _, found = decoded(kafka, topic)
    assert len(found) == transfers.store.find(topic).alerts == 2250
    consumer.close()


def test_while_kafka_is_away_it_waits(alerts: pa.Table, tmp_path: Path) -> None:
    """Kafka is killed in the middle, and comes back; and it is away at the start."""
    settings = Config(
        storage=StorageConfig(online=str(tmp_path / "online"), state=tmp_path / "state"),
        kafka=KafkaConfig(embedded_port=free_port(), embedded_sasl_port=0),
    )
    table, said = AlertTable(Layout(settings.storage.online).table("science")), []
    for number in range(10):
        commit(table, f"batch-{number}", "20231018", copies(alerts, number))
    transfers, topic = Transfers(settings, threading.Event(), said.append), new_topic()
    manifest = transfers.plan(Selection.asked("2023-10-18", "2023-10-18"), topic)
    server = KafkaServer(settings)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: (transfers.begin(manifest), transfers.send(topic)))
        try:
            until(lambda: any("waiting for Kafka" in line for line in said), "it says that it waits")
            server.start()
            server.wait_until_up(threading.Event())
            admin = AdminClient({"bootstrap.servers": server.servers})
            consumer = Consumer({"bootstrap.servers": server.servers, "group.id": "watching", "log_level": 0})
            until(lambda: running.done() or messages_in(admin, topic, consumer) > 100, "some are sent")
            consumer.close()
            if running.done():
                running.result()  # which says why
            os.kill(server.pid, signal.SIGKILL)
            assert not running.done()
            time.sleep(3)
            server = KafkaServer(settings)
            server.start()
            assert running.result(timeout=90)[1] == 2000
            _, found = decoded(server.servers, topic)
            assert len({alert["candid"] for alert in found}) == len(found) == 2000
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("version", "columns"), [("12.3.0", ("finkclass", "tnsclass")), ("9.2", ("finkclass",))], ids=["12.3.0", "9.2"]
)
def test_the_communitys_clients_download_it(
    version: str, columns: tuple[str, ...], archive: Archive, alerts: pa.Table, kafka: str, tmp_path: Path
) -> None:
    commit(archive.table, "one", "20231018", alerts[:60])
    transfers, topic = archive.transfers(), new_topic()
    transfers.begin(transfers.plan(Selection.asked("2023-10-18", "2023-10-18"), topic))
    transfers.send(topic)
    for column in columns:  # each by a group of its own
        home = tmp_path / column
        client = fink_client.FinkClient(version, home, kafka, f"{column}-{uuid.uuid4().hex[:6]}")
        client.register(topic)
        client.transfer(topic, home / "out", column)
        files = sorted((home / "out").rglob("*.parquet"))
        assert {path.parent.name.partition("=")[0] for path in files} == {column}
        candids = [candid for path in files for candid in pq.ParquetFile(path).read(["candid"])["candid"].to_pylist()]
        assert sorted(candids) == sorted(alerts["candid"].to_pylist()[:60])
    assert "finkclass=SN%20candidate" in {path.parent.name for path in (tmp_path / "finkclass").rglob("*.parquet")}
