"""The simulator against a real Kafka."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from fink_broker.alert.packet import read_packet
from fink_broker.alert.survey import ZTF
from fink_broker.config.model import Config, KafkaConfig, SimulatorConfig, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.ports import free_port
from fink_broker.simulate import run

pytestmark = pytest.mark.integration


def replay(servers: str, **settings) -> list[str]:
    said: list[str] = []
    run(Config(simulator=SimulatorConfig(servers=servers, rate=0, **settings)), threading.Event(), said.append)
    return said


def read_all(servers: str, topic: str) -> dict[int, list[bytes]]:
    """Return all messages of a topic by partition."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    partitions = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in partitions}
    consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in ends.items()])
    messages: dict[int, list[bytes]] = {p: [] for p in partitions}
    deadline = time.monotonic() + 30
    while sum(map(len, messages.values())) < sum(high - low for low, high in ends.values()):
        assert time.monotonic() < deadline
        if (message := consumer.poll(1.0)) is not None and message.error() is None:
            assert message.key() is None
            messages[message.partition()].append(message.value())
    consumer.close()
    return messages


def test_an_archive_of_a_night_arrives_byte_for_byte_on_all_partitions(kafka, unpacked, shared_data):
    packets = unpacked("ztf_public_20231018")
    topic = f"t{uuid.uuid4().hex}"
    said = replay(kafka, source=str(shared_data / "ztf" / "ztf_public_20231018.tar.gz"), topic=topic, partitions=3)
    partitions = read_all(kafka, topic)
    assert sorted(packet for packets in partitions.values() for packet in packets) == sorted(packets)
    assert len(partitions) == 3
    assert min(len(packets) for packets in partitions.values()) > 100
    assert said[-1].startswith("558 alerts sent (exposed ")
    assert topic in said[-1]


def test_each_alert_travels_on_the_topic_of_its_night_and_passes_differ(kafka, unpacked, tmp_path):
    folder = tmp_path / "alerts"
    folder.mkdir()
    packets = unpacked("ztf_packets_schema_3.3", "ztf_packets_schema_3.2")
    for number, packet in enumerate(packets):
        (folder / f"{number}.avro").write_bytes(packet)
    (folder / "damaged.avro").write_bytes(packets[0][:5000])
    first = [read_packet(packet)[0] for packet in packets]
    said = replay(kafka, source=str(folder), repeat=3)
    assert any("damaged.avro" in line for line in said)
    assert said[-1].startswith(f"{3 * len(packets)} alerts sent")

    topics = {ZTF.input_topic(record["candidate"]["jd"] + number) for record in first for number in range(3)}
    arrived = [
        (topic, read_packet(packet)[0])
        for topic in topics
        for packets in read_all(kafka, topic).values()
        for packet in packets
    ]
    assert len({record["candid"] for _, record in arrived}) == len(arrived) == 3 * len(first)
    for topic, record in arrived:
        assert record["candid"] == record["candidate"]["candid"]
        assert topic == ZTF.input_topic(record["candidate"]["jd"])


def test_a_synthetic_night_arrives(kafka):
    topic = f"t{uuid.uuid4().hex}"
    replay(kafka, source="synthetic", limit=40, topic=topic)
    records = [read_packet(packet)[0] for packets in read_all(kafka, topic).values() for packet in packets]
    assert len(records) == 40
    assert {record["schemavsn"] for record in records} == {"4.02"}


def test_it_waits_for_a_kafka_that_is_late_and_goes_on_when_it_was_away(tmp_path):
    port = free_port()
    config = Config(
        storage=StorageConfig(state=tmp_path / "state"), kafka=KafkaConfig(embedded_port=port, embedded_sasl_port=0)
    )
    settings = SimulatorConfig(source="synthetic", limit=60, rate=30, topic="late")
    stop, said = threading.Event(), []
    service = threading.Thread(
        target=run, args=(config.model_copy(update={"simulator": settings}), stop, said.append), daemon=True
    )
    service.start()
    wait_until(lambda: said)
    assert said == [f"waiting for Kafka at localhost:{port}"]
    server = KafkaServer(config)
    server.start()
    server.wait_until_up(threading.Event())
    wait_until(lambda: len(said) > 1)
    time.sleep(0.5)
    server.terminate()  # with alerts on their way
    wait_until(lambda: any("in the queue" in line for line in said))
    server.start()
    server.wait_until_up(threading.Event())
    service.join(60)
    assert not service.is_alive()
    assert said[-1].startswith("60 alerts sent")
    candids = [
        read_packet(packet)[0]["candid"] for packets in read_all(server.servers, "late").values() for packet in packets
    ]
    server.terminate()
    assert len(set(candids)) == len(candids) == 60


def test_it_stops_at_once_however_slow_the_pace(kafka):
    stop, said = threading.Event(), []
    settings = SimulatorConfig(servers=kafka, source="synthetic", limit=50, rate=0.01, topic=f"t{uuid.uuid4().hex}")
    service = threading.Thread(target=run, args=(Config(simulator=settings), stop, said.append))
    service.start()
    wait_until(lambda: any("sending" in line for line in said))
    time.sleep(1.0)
    stop.set()
    service.join(3)
    assert not service.is_alive()
    assert said[-1].startswith("1 alerts sent")


def test_a_packet_kafka_does_not_take_is_counted_and_told(kafka, tmp_path):
    topic = f"t{uuid.uuid4().hex}"
    small = NewTopic(topic, 1, 1, config={"max.message.bytes": "20000"})
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([small])[topic].result(30)
    with pytest.raises(ServiceError, match=r"5 alerts were not taken.*5 ×.*too large"):
        replay(kafka, source="synthetic", limit=5, topic=topic)


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
