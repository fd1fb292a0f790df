"""distribution on a real Kafka: the right alerts on the right topics, in the wire format clients read."""

from __future__ import annotations

import io
import json
import shutil
import time
import uuid
from collections import defaultdict

import fastavro
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from pipeline import create_topic, running, send, total, until

from fink_broker.archive import Commit
from fink_broker.config.model import Config, DistributionConfig, KafkaConfig, StorageConfig, StreamConfig
from fink_broker.stream.distribution import Distribution
from fink_broker.stream.stream2raw import Stream2Raw

pytestmark = pytest.mark.integration

#: science columns of the expected results that the topics of this test read
SCIENCE = ("cdsxmatch", "tns", "roid", "snn_snia_vs_nonia", "snn_sn_vs_all", "mulens", "rf_kn_vs_nonkn")
EXPECTED_NUMBERS = {
    "sn_candidates": 161,
    "sso_fink_candidates": 108,
    "sso_ztf_candidates": 94,
    "unknowns": 168,
    "vra": 166,
}


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


def decode(message) -> dict:
    """Decode a message as clients do: the key is the schema, the value one bare datum."""
    schema = fastavro.parse_schema(json.loads(message.key()))
    return fastavro.schemaless_reader(io.BytesIO(message.value()), schema)


@pytest.fixture(scope="module")
def distributed(spark, kafka, unpacked, shared_data, tmp_path_factory):
    """Raw alerts of one night with their expected science, sent through the distribution; gives config and job."""
    topic = f"ztf_20231018_{uuid.uuid4().hex[:8]}"
    create_topic(kafka, topic)
    packets = unpacked("ztf_public_20231018")
    send(kafka, topic, packets)
    folder = tmp_path_factory.mktemp("distribution")
    config = Config(
        storage=StorageConfig(online=str(folder)),
        kafka=KafkaConfig(servers=kafka, topic=topic),
        distribution=DistributionConfig(servers=kafka, prefix=f"t{uuid.uuid4().hex[:6]}_", partitions=3),
        stream=StreamConfig(trigger_seconds=0.2),
    )
    raw = Stream2Raw(config)
    with running(raw, config, spark):
        until(lambda: total(raw.raw, "in") == len(packets), "all alerts raw")
    job = Distribution(config)
    expected = spark.read.parquet(str(shared_data / "expected" / "science_20231018.parquet"))
    science = spark.read.parquet(raw.raw.storage.root).join(expected.select("candid", *SCIENCE), "candid")
    job.science.create()
    science.coalesce(2).write.partitionBy("night").parquet(job.science.staging("made-by-hand"))
    files = job.science.publish("made-by-hand")
    schema = job.science.keep_schema(science.drop("night").schema.json())
    counts = {"in": len(packets), "out": len(packets)}
    job.science.commit(Commit("made-by-hand", [], files, counts, time.time(), time.time(), {"schema": schema}))
    with running(job, config, spark):
        until(lambda: total(job.topics, "in") == len(packets), "all alerts distributed")
    return config, job


def test_topics_get_the_alerts_the_rules_say(distributed, kafka, shared_data):
    config, job = distributed
    expected = pq.read_table(shared_data / "expected" / "filters_20231018.parquet").to_pandas().set_index("candid")
    for name in config.distribution.topics:
        sent = sorted(decode(message)["candid"] for message in read_topic(kafka, job.topic(name)))
        assert sent == sorted(expected.index[expected[name]]), name
        assert len(sent) == EXPECTED_NUMBERS.get(name, 0), name
    counted = defaultdict(int)
    for commit in job.topics.log.read_all():
        for topic, number in commit.details["topics"].items():
            counted[topic] += number
    assert counted == {job.topic(name): number for name, number in EXPECTED_NUMBERS.items()}


def test_messages_equal_the_science_table(distributed, kafka):
    _, job = distributed
    rows = {row["candid"]: row for row in pq.read_table(job.science.storage.root).to_pylist()}
    messages = read_topic(kafka, job.topic("sn_candidates"))
    for message in messages:
        alert = decode(message)
        row = rows[alert["candid"]]
        for name in (*SCIENCE, "objectId", "candid", "candidate", "prv_candidates", "fp_hists", "cutoutScience"):
            assert repr(alert[name]) == repr(row[name]), name
        assert alert["brokerIngestTimestamp"] == row["brokerIngestTimestamp"].strftime("%Y-%m-%d %H:%M:%S.%f")
        assert alert["timestamp"].startswith("2023-10-18 ")
        assert not {"origin", "night", "topics"} & set(alert)
        headers = dict(message.headers())
        assert headers["candid"] == str(alert["candid"]).encode()
        assert headers["objectId"] == alert["objectId"].encode()
        assert headers["filter"] == b"sn_candidates"


def test_the_schema_is_what_clients_can_read(distributed, kafka):
    """Records inlined under unique names, values first in unions, no logical types, enums or references."""
    _, job = distributed
    schema = json.loads(read_topic(kafka, job.topic("vra"))[0].key())
    names = []

    def walk(node) -> None:
        if isinstance(node, list):
            assert node[-1] == "null"
            assert len(node) == 2
            walk(node[0])
        elif isinstance(node, dict):
            assert "logicalType" not in node
            if node["type"] == "record":
                names.append(f"{node.get('namespace', '')}.{node['name']}")
                for field in node["fields"]:
                    walk(field["type"])
            else:
                assert node["type"] in ("array", "map")
                walk(node.get("items", node.get("values")))
        else:
            assert node in ("null", "boolean", "int", "long", "float", "double", "bytes", "string")

    walk(schema)
    assert len(names) == len(set(names)) >= 7
    assert schema["name"] == "topLevelRecord"


def test_messages_are_spread_and_compressed_and_kept_a_week(distributed, kafka):
    config, job = distributed
    messages = read_topic(kafka, job.topic("vra"))
    assert {message.partition() for message in messages} == set(range(config.distribution.partitions))
    by_object = defaultdict(set)
    for message in messages:
        by_object[decode(message)["objectId"]].add(message.partition())
    assert all(len(partitions) == 1 for partitions in by_object.values())
    resource = ConfigResource(ResourceType.TOPIC, job.topic("vra"))
    admin = AdminClient({"bootstrap.servers": kafka})
    settings = admin.describe_configs([resource])[resource].result(10)
    assert settings["retention.ms"].value == str(7 * 86_400_000)
    assert settings["compression.type"].value == "producer"


def test_topics_exist_before_the_first_alert(spark, kafka, make_config):
    config = make_config("ztf_20240101_none")
    job = Distribution(config)
    with running(job, config, spark) as said:
        until(lambda: "running" in said, "the job runs")
        assert set(AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics) >= {
            job.topic(name) for name in config.distribution.topics
        }


def test_the_same_batch_is_not_sent_twice(distributed, spark, kafka):
    config, job = distributed
    before = len(read_topic(kafka, job.topic("vra")))
    shutil.rmtree(f"{config.storage.online}/checkpoints/distribution")
    again = Distribution(config)
    with running(again, config, spark) as said:
        until(lambda: "running" in said, "the job runs")
        time.sleep(5)
    assert len(read_topic(kafka, job.topic("vra"))) == before


def test_latency_is_measured_from_kafka_to_kafka(distributed):
    _, job = distributed
    (commit,) = job.topics.log.read_all()
    latency = commit.details["latency_seconds"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"] < 3600
    assert sum(number for _, number in commit.details["latency_histogram"]) == commit.counts["in"]
