"""distribution on a real Kafka: the right alerts on the right topics, in the wire format clients read."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter, defaultdict
from pathlib import Path

import clients
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from distributing import all_messages, commit_by_hand, decode, distributing, read_topic, science_rows
from expected_topics import COUNTS, expected_topics
from fink_client import VERSIONS
from pipeline import create_topic, running, send, total, until

from fink_broker.config.model import (
    Config,
    DistributionConfig,
    FiltersConfig,
    KafkaConfig,
    StorageConfig,
    StreamConfig,
)
from fink_broker.filters.registry import BUILT_IN
from fink_broker.stream.stream2raw import Stream2Raw

pytestmark = pytest.mark.integration

#: science columns compared with what was sent
SCIENCE = ("cdsxmatch", "tns", "roid", "snn_snia_vs_nonia", "snn_sn_vs_all", "mulens", "rf_kn_vs_nonkn")
#: a topic of a user in each form in which alerts go out
USERS = """
[[topic]]
name = "bright"
owner = "jane@example.org"
description = "Bright alerts."
version = "1"
rule = "magpsf < 18"
output = "{form}"
"""


#: its images are scored with random numbers: only what production decides whatever the seed can be compared
SEEDED = "new_hostless"


def fixed(expected: pd.DataFrame, name: str) -> pd.Index:
    """Return the candids of which production says the same with every seed."""
    return expected.index[expected["new_hostless_stable"]] if name == SEEDED else expected.index


@pytest.fixture(scope="module")
def distributed(spark, kafka, unpacked, shared_data, tmp_path_factory):
    """Raw alerts of one night with their expected science, sent through the distribution; gives config and job."""
    topic = f"ztf_20231018_{uuid.uuid4().hex[:8]}"
    create_topic(kafka, topic)
    packets = unpacked("ztf_public_20231018")
    send(kafka, topic, packets)
    folder = tmp_path_factory.mktemp("distribution")
    config = Config(
        storage=StorageConfig(online=str(folder), state=folder / "state"),
        kafka=KafkaConfig(servers=kafka, topic=topic),
        distribution=DistributionConfig(servers=kafka, prefix=f"t{uuid.uuid4().hex[:6]}_", partitions=3),
        filters=FiltersConfig(file=str(folder / "topics.toml"), sdss="none"),
        stream=StreamConfig(trigger_seconds=0.2),
    )
    raw = Stream2Raw(config)
    with running(raw, config, spark):
        until(lambda: total(raw.raw, "in") == len(packets), "all alerts raw")
    (folder / "topics.toml").write_text(USERS.format(form="full"))
    with distributing(config) as (job, _):
        commit_by_hand(job.science, "made-by-hand", science_rows(raw.raw, shared_data, unpacked))
        until(lambda: total(job.topics, "in") == len(packets), "all alerts distributed")
    return config, job


def test_topics_get_the_alerts_the_rules_say(distributed, kafka, shared_data):
    config, job = distributed
    expected = expected_topics(shared_data, "20231018").set_index("candid")
    counted = Counter()
    for commit in job.topics.log.read_all():
        counted.update(commit.details["topics"])
    assert len(config.distribution.topics) == 21
    for name in config.distribution.topics:
        sent = sorted(decode(message)["candid"] for message in read_topic(kafka, job.topic(name)))
        assert len(sent) == counted[job.topic(name)], name
        if name != SEEDED:
            assert len(sent) == COUNTS[name][0], name
        assert [candid for candid in sent if candid in fixed(expected, name)] == sorted(
            expected.index[expected[name]].intersection(fixed(expected, name))
        ), name


def test_what_each_filter_said_of_each_alert_is_kept(distributed, kafka, shared_data):
    """Every alert that was seen has a row, with the topics it passed; each filter's numbers are in the commit."""
    config, job = distributed
    rows = pq.read_table(job.topics.storage.root, partitioning=None).to_pylist()
    expected = expected_topics(shared_data, "20231018").set_index("candid")
    assert sorted(row["candid"] for row in rows) == sorted(expected.index)
    for row in rows:
        assert row["failed"] == []
        for name in config.distribution.topics:
            if row["candid"] in fixed(expected, name):
                assert (name in row["topics"]) == expected.loc[row["candid"], name], name
    (commit,) = job.topics.log.read_all()
    for name, entry in commit.details["filters"].items():
        assert entry["seen"] == len(rows)
        assert entry["passed"] == sum(name in row["topics"] for row in rows)
        assert entry["failed"] == 0
        assert entry["ms"] > 0
        assert entry["identity"]


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
        assert headers["version"] == BUILT_IN["sn_candidates"].identity.encode()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_generation_of_the_client_reads_them(distributed, kafka, new_client, version, tmp_path):
    _, job = distributed
    topic = job.topic("sn_candidates")
    alerts = {alert["candid"]: alert for alert in map(decode, read_topic(kafka, topic))}
    clients.check_stream(new_client(version, kafka), topic, alerts, tmp_path)


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


def test_topics_exist_before_the_first_alert(kafka, make_config):
    config = make_config("ztf_20240101_none")
    with distributing(config) as (job, said):
        until(lambda: "running" in said, "the job runs")
        assert set(AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics) >= {
            job.topic(name) for name in config.distribution.topics
        }


def test_what_is_done_is_not_sent_again(distributed, kafka):
    config, job = distributed
    before = len(read_topic(kafka, job.topic("vra")))
    with distributing(config) as (_, said):
        until(lambda: "running" in said, "the job runs")
        time.sleep(2)
    assert len(read_topic(kafka, job.topic("vra"))) == before


def test_a_batch_that_was_cut_short_is_finished_without_a_repeat(distributed, kafka):
    """As after a kill between the last message and the commit, and half-way through the messages."""
    config, job = distributed
    topics = [job.topic(name) for name in (*config.distribution.topics, "bright")]
    before = all_messages(kafka, topics)
    (commit,) = job.topics.log.read_all()
    log = next(Path(job.topics.storage.root).glob("_commits/*/*.json"))
    log.unlink()
    for path in Path(job.topics.storage.root).glob("night=*/*.parquet"):
        path.unlink()
    # part of the messages is gone, as if they had never been sent
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([job.topic("sso_ztf_candidates")])[job.topic("sso_ztf_candidates")].result(20)
    with distributing(config) as (again, _):
        until(lambda: total(again.topics, "in") == commit.counts["in"], "the batch is done")
    (second,) = job.topics.log.read_all()
    assert second.id == commit.id
    assert second.details["topics"] == commit.details["topics"]
    assert all_messages(kafka, topics) == before


@pytest.mark.parametrize("form", ["light_curve", "thin"])
def test_a_topic_can_carry_less_of_an_alert(distributed, kafka, form):
    """The topics file is read again without a restart, and the messages hold what it asks for."""
    config, job = distributed
    file = Path(config.filters.file)
    file.write_text(USERS.format(form=form).replace("bright", f"bright_{form}"))
    science = job.science
    rows = pq.read_table(science.storage.root, partitioning=None)
    with distributing(config) as (again, said):
        until(lambda: "running" in said, "the job runs")
        file.write_text(USERS.format(form=form).replace("bright", f"brighter_{form}").replace("18", "17"))
        topic = again.topic(f"brighter_{form}")
        admin = AdminClient({"bootstrap.servers": kafka})
        until(lambda: topic in admin.list_topics(timeout=10).topics, "the topic of the changed file is there")
        already = total(again.topics, "in")
        commit_by_hand(science, f"once-more-{form}", rows)
        until(lambda: total(again.topics, "in") == already + len(rows), "all alerts distributed")
    messages = read_topic(kafka, topic)
    bright = [row for row in rows.to_pylist() if row["candidate"]["magpsf"] < 17]
    assert sorted(decode(message)["candid"] for message in messages) == sorted(row["candid"] for row in bright)
    assert messages
    for message in messages:
        alert = decode(message)
        assert {"objectId", "candid", "candidate", "cdsxmatch", "timestamp"} <= set(alert)
        assert not {"cutoutScience", "cutoutTemplate", "cutoutDifference"} & set(alert)
        assert ("prv_candidates" in alert) == (form == "light_curve")


BAD_FUNCTIONS = """
import os, time

def raises(magpsf):
    raise ValueError("no")

def too_short(magpsf):
    return [True]

def sleeps(magpsf):
    time.sleep(3600)

def ends_the_process(magpsf):
    os._exit(3)

def reads_a_column_that_is_not_there(magspf):
    return magspf < 18

def good(magpsf):
    return magpsf < 18
"""


def test_filters_that_misbehave_harm_nobody_else(distributed, kafka):
    config, job = distributed
    folder = Path(config.filters.file).parent
    mark = uuid.uuid4().hex[:6]
    (folder / f"bad_{mark}.py").write_text(BAD_FUNCTIONS)
    names = [line.split()[1].partition("(")[0] for line in BAD_FUNCTIONS.splitlines() if line.startswith("def ")]
    entry = '[[topic]]\nname = "{0}"\nowner = "x"\ndescription = "A test."\n{1}\noutput = "thin"\n'
    topics = [entry.format(f"{name}_{mark}", f'function = "bad_{mark}:{name}"') for name in names]
    topics.append(entry.format(f"rule_{mark}", 'rule = "magspf < 18"'))
    Path(config.filters.file).write_text("\n".join(topics))
    rows = pq.read_table(job.science.storage.root, partitioning=None).slice(0, 558)
    bright = int((pc.struct_field(rows["candidate"].combine_chunks(), "magpsf").to_numpy() < 18).sum())
    before = len(read_topic(kafka, job.topic("vra")))
    already = total(job.topics, "in")
    with distributing(config) as (again, said):
        until(lambda: "running" in said, "the job runs")
        commit_by_hand(job.science, f"misbehaved-{mark}", rows)
        until(lambda: total(again.topics, "in") == already + len(rows), "all alerts distributed")
        commit_by_hand(job.science, f"misbehaved-again-{mark}", rows)
        until(lambda: total(again.topics, "in") == already + 2 * len(rows), "all alerts distributed")
    assert len(read_topic(kafka, job.topic("vra"))) == before + 2 * COUNTS["vra"][0]
    assert len(read_topic(kafka, job.topic(f"good_{mark}"))) == 2 * bright > 0
    first, second = job.topics.log.read_all()[-2:]
    assert first.details["filters"][f"raises_{mark}"]["failed"] == len(rows)
    off = json.loads((Path(config.storage.state) / "filters.json").read_text())
    for name in ("sleeps", "ends_the_process", "reads_a_column_that_is_not_there", "rule"):
        assert f"{name}_{mark}" in off
        assert f"{name}_{mark}" not in second.details["filters"]
    assert f"good_{mark}" not in off
    kept = pq.read_table(job.topics.storage.root, partitioning=None).to_pylist()
    assert any(f"raises_{mark}" in row["failed"] for row in kept)
    assert not any(f"good_{mark}" in row["failed"] for row in kept)


def test_latency_is_measured_from_kafka_to_kafka(distributed):
    _, job = distributed
    commit = job.topics.log.read_all()[0]
    latency = commit.details["latency_seconds"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"] < 3600
    assert sum(number for _, number in commit.details["latency_histogram"]) == commit.counts["in"]
