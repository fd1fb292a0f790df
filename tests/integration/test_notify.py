"""The notifier with a real Kafka: nothing is lost, nothing is told twice, nobody waits for another."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from pipeline import create_topic
from unit.notify.far_end import KEY, Answer, FarEnd, headers, packet, until

from fink_broker.alert.packet import read_packet, write_datum
from fink_broker.config.model import Config, DistributionConfig, FiltersConfig, StorageConfig
from fink_broker.notify.channel import Timing
from fink_broker.notify.notifier import Notifier
from fink_broker.notify.status import read_statuses

pytestmark = pytest.mark.integration

TIMING = Timing(window=3.0, first_pause=0.02, longest_pause=0.2, connect=1.0, answer=0.5, topics_missing=0.3)


@pytest.fixture
def config(kafka: str, tmp_path: Path) -> Config:
    return Config(
        storage=StorageConfig(state=tmp_path / "state"),
        distribution=DistributionConfig(servers=kafka, prefix=f"n{uuid.uuid4().hex[:6]}_"),
        filters=FiltersConfig(file=str(tmp_path / "topics.toml")),
    )


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    server = FarEnd()
    yield server
    server.close()


def topic_of(config: Config, name: str = "sn_candidates") -> str:
    return f"{config.distribution.prefix}{name}_ztf"


def write_webhooks(config: Config, *tables: str) -> None:
    common = 'kind = "json"\nurl = "${URL}"\ntopic = "sn_candidates"\n'
    Path(config.filters.file).write_text("\n".join(f"[[webhook]]\n{common}{table}\n" for table in tables))


@contextmanager
def notifying(config: Config, far_end: FarEnd, timing: Timing = TIMING) -> Iterator[list[str]]:
    """Run the notifier while the block lasts; gives the list of what it says."""
    stop, said, failures = threading.Event(), [], []

    def work() -> None:
        try:
            Notifier(config, said.append, {"URL": far_end.url}, timing).run(stop)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert failures == []


def publish(config: Config, numbers: Iterable[int], topic: str | None = None) -> None:
    """Send alerts as the broker does."""
    producer = Producer({"bootstrap.servers": config.output_servers})
    for number in numbers:
        producer.produce(topic or topic_of(config), packet(number), KEY, headers=headers(number))
    assert producer.flush(30) == 0


def committed(config: Config, name: str, topic: str | None = None) -> int:
    """Return the sum of the offsets a webhook has committed."""
    consumer = Consumer({"bootstrap.servers": config.output_servers, "group.id": f"fink_notifier_{name}"})
    topic = topic or topic_of(config)
    partitions = consumer.list_topics(timeout=10).topics[topic].partitions
    places = consumer.committed([TopicPartition(topic, partition) for partition in partitions], timeout=10)
    consumer.close()
    return sum(max(0, place.offset) for place in places)


def identities(config: Config, numbers: Iterable[int]) -> list[str]:
    return sorted(f"{topic_of(config)} {2_500_000_000_000_000_000 + number}" for number in numbers)


def at_random(seed: int) -> Callable[[int], Answer]:
    chance = random.Random(seed)
    faults = [Answer(500), Answer(503), Answer(429, headers={"Retry-After": "0"}), Answer(cut=True)]
    return lambda _: chance.choice([*faults, *[Answer()] * 4])


def following(config: Config, *names: str) -> Callable[[], bool]:
    """Return whether webhooks have begun to follow their topics."""
    return lambda: {s["name"] for s in read_statuses(config.storage.state) if s["begun"]} >= set(names)


def test_each_of_200_alerts_is_told_once_through_failures_and_a_restart(config: Config, far_end: FarEnd) -> None:
    create_topic(config.output_servers, topic_of(config), 10)
    far_end.behave = at_random(5)
    write_webhooks(config, 'name = "a"\nper_minute = 30\nfrom = "earliest"')
    publish(config, range(100))
    with notifying(config, far_end):
        until(lambda: len(far_end.told()) >= 12, "some are told")
    assert len(far_end.told()) < 100, "it was stopped in the middle"
    publish(config, range(100, 200))
    publish(config, range(90, 110))  # a broker that was restarted sends some again
    with notifying(config, far_end):
        until(lambda: committed(config, "a") == 220, "all is committed", 60)
    assert sorted(far_end.told()) == identities(config, range(200))
    kinds = [post["kind"] for post in far_end.accepted]
    assert "more" in kinds
    assert kinds.count("alert") >= 29
    (status,) = read_statuses(config.storage.state)
    assert status["posted"] + status["summarised"] == 200
    assert (status["repeats"], status["refused"], status["lag"], status["waiting"]) == (20, 0, 0, 0)
    assert status["retries"] > 5


def test_a_dead_webhook_does_not_delay_a_healthy_one(config: Config, far_end: FarEnd) -> None:
    create_topic(config.output_servers, topic_of(config), 4)
    calls: list[float] = []

    def behave(number: int) -> Answer:
        if far_end.asked[number][1]["webhook"] == "dead":
            calls.append(time.monotonic())
            return Answer(delay=3.0)
        return Answer()

    far_end.behave = behave
    write_webhooks(config, 'name = "dead"\nper_minute = 1000', 'name = "well"\nper_minute = 1000')
    with notifying(config, far_end):
        until(following(config, "dead", "well"), "both follow")
        started = time.monotonic()
        publish(config, range(100))
        until(lambda: len(far_end.told()) == 100, "the healthy one has told all")
        seconds = time.monotonic() - started
    assert seconds < 5.0
    assert len(calls) >= 1, "the dead one was asked"
    assert committed(config, "well") == 100
    assert committed(config, "dead") == 0, "it has told nothing, so it has settled nothing"


def test_a_first_start_tells_nothing_old_and_a_later_one_all(config: Config, far_end: FarEnd) -> None:
    create_topic(config.output_servers, topic_of(config), 4)
    publish(config, range(50))
    write_webhooks(config, 'name = "a"\nper_minute = 1000')
    with notifying(config, far_end):
        until(following(config, "a"), "it follows")
    publish(config, range(50, 60))
    with notifying(config, far_end):
        until(lambda: len(far_end.told()) >= 10, "what came while it was down")
        publish(config, range(60, 65))
        until(lambda: len(far_end.told()) >= 15, "what comes")
    assert sorted(far_end.told()) == identities(config, range(50, 65))


def test_a_topic_that_is_made_later_is_told_from_its_beginning(config: Config, far_end: FarEnd) -> None:
    write_webhooks(config, 'name = "a"\nper_minute = 1000')
    with notifying(config, far_end) as said:
        until(lambda: any(f"waiting for the topic {topic_of(config)}" in line for line in said), "it says so")
        waiting = [line for line in said if "waiting for the topic" in line]
        time.sleep(1.5)
        assert [line for line in said if "waiting for the topic" in line] == waiting, "and once"
        admin = AdminClient({"bootstrap.servers": config.output_servers})
        assert topic_of(config) not in admin.list_topics(timeout=10).topics, "it does not make it itself"
    create_topic(config.output_servers, topic_of(config), 4)
    publish(config, range(10))
    with notifying(config, far_end):
        until(lambda: len(far_end.told()) == 10, "all is told, although it was down when the topic was made")
    assert sorted(far_end.told()) == identities(config, range(10))


def test_topics_that_grow_or_are_made_anew(config: Config, far_end: FarEnd) -> None:
    create_topic(config.output_servers, topic_of(config), 1)
    write_webhooks(config, 'name = "a"\nper_minute = 1000')
    admin = AdminClient({"bootstrap.servers": config.output_servers})
    with notifying(config, far_end, replace(TIMING, topics=0.3)) as said:
        until(following(config, "a"), "it follows")
        for answer in admin.create_partitions([NewPartitions(topic_of(config), 5)]).values():
            answer.result(10)
        publish(config, range(50))
        until(lambda: len(far_end.told()) == 50, "alerts in old and new partitions are told")
        admin.delete_topics([topic_of(config)])[topic_of(config)].result(10)
        until(lambda: any("waiting for the topic" in line for line in said), "it is gone")
        create_topic(config.output_servers, topic_of(config), 2)
        publish(config, range(50, 60))
        until(lambda: len(far_end.told()) == 60, "those of the topic made anew are told")
    assert sorted(far_end.told()) == identities(config, range(60))


PROGRAM = """
import sys, threading
from fink_broker.config.model import Config
from fink_broker.notify import run
run(Config.model_validate_json(sys.argv[1]), threading.Event(), print)
"""


def test_kills_lose_nothing_and_repeat_at_most_what_was_under_way(config: Config, far_end: FarEnd) -> None:
    create_topic(config.output_servers, topic_of(config), 4)
    far_end.behave = lambda _: time.sleep(0.01) or Answer()
    write_webhooks(config, 'name = "a"\nper_minute = 6000\nfrom = "earliest"')
    publish(config, range(300))
    kills, command = 0, [sys.executable, "-c", PROGRAM, config.model_dump_json()]
    while len(set(far_end.told())) < 300:
        before = len(set(far_end.told()))
        process = subprocess.Popen(command, env={**os.environ, "URL": far_end.url})
        target = min(300, before + 80)
        try:
            until(lambda target=target: len(set(far_end.told())) >= target, "some more are told")
        finally:
            process.kill()
            process.wait()
        kills += 1
        assert kills < 10
    told = far_end.told()
    assert sorted(set(told)) == identities(config, range(300))
    assert kills >= 3
    assert len(told) - 300 <= kills


def test_what_cannot_be_read_is_set_aside_and_the_rest_told(config: Config, far_end: FarEnd) -> None:
    create_topic(config.output_servers, topic_of(config), 1)
    write_webhooks(config, 'name = "a"\nper_minute = 1000')
    with notifying(config, far_end):
        until(following(config, "a"), "it follows")
        producer = Producer({"bootstrap.servers": config.output_servers})
        for key, value in ((None, b"x"), (KEY, b"\xff" * 20), (b"{", packet(1)), (KEY, None)):
            producer.produce(topic_of(config), value, key)
        producer.flush(10)
        publish(config, [7])
        until(lambda: committed(config, "a") == 5, "all is committed")
    assert far_end.told() == identities(config, [7])
    refused = (config.storage.state / "notify" / "a.refused.jsonl").read_text().splitlines()
    assert len(refused) == 4


def test_real_alerts(config: Config, far_end: FarEnd, unpacked: Callable[..., list[bytes]]) -> None:
    create_topic(config.output_servers, topic_of(config), 4)
    write_webhooks(config, 'name = "a"\nper_minute = 1000\nlink = "https://fink-portal.org"')
    records = [read_packet(data) for data in unpacked("ztf_packets_schema_3.3")]
    with notifying(config, far_end):
        until(following(config, "a"), "it follows")
        producer = Producer({"bootstrap.servers": config.output_servers})
        for record, schema in records:
            producer.produce(topic_of(config), write_datum(record, schema), json.dumps(schema).encode())
        producer.flush(10)
        until(lambda: len(far_end.accepted) == len(records), "all are told")
    told = {post["alerts"][0]["candid"]: post["alerts"][0] for post in far_end.accepted}
    for record, _ in records:
        alert = told[str(record["candid"])]
        assert alert["link"] == f"https://fink-portal.org/{record['objectId']}"
        assert alert["ra"] == pytest.approx(record["candidate"]["ra"])
