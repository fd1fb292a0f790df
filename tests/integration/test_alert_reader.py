"""The integrations' reader at a real Kafka: nothing lost, nothing doubled, and mistakes told in a sentence."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import fastavro
import pytest
from confluent_kafka import Producer
from contract_messages import encoded
from fink_skyportal.alerts import connection
from fink_skyportal.alerts import reader as reader_module
from fink_skyportal.alerts.reader import AlertReader, LoginRefused, ReaderError, Received, TopicMissing
from pipeline import create_topic
from rich.console import Console

from fink_broker.config.model import Config, KafkaConfig, StorageConfig
from fink_broker.service import java_parts
from fink_broker.service import kafka as kafka_module
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.kafka_users import KafkaUsers
from fink_broker.service.ports import free_port

pytestmark = pytest.mark.integration

SCHEMA = {"type": "record", "name": "alert", "fields": [{"name": "number", "type": "int"}]}
PATIENCE = 10.0
Place = tuple[int, int]


def fill(servers: str, topic: str, numbers: range) -> None:
    """Send numbered alerts, spread over two partitions."""
    producer, schema = Producer({"bootstrap.servers": servers}), fastavro.parse_schema(SCHEMA)
    for number in numbers:
        producer.produce(topic, encoded({"number": number}, schema), key=json.dumps(SCHEMA), partition=number % 2)
    assert producer.flush(20) == 0


def take(reader: AlertReader, number: int, seconds: float = PATIENCE) -> list[Received]:
    """Return the next alerts; fails if they do not come in time."""
    found, deadline = [], time.monotonic() + seconds
    while len(found) < number:
        assert time.monotonic() < deadline, f"{len(found)} of {number} alerts came within {seconds} s"
        found += reader.poll_many(number - len(found), 1.0)
    return found


def numbers(received: list[Received]) -> list[int]:
    return sorted(one.alert["number"] for one in received)


@pytest.fixture
def filled(kafka: str) -> str:
    """A topic of two partitions with the alerts 0 to 9."""
    topic = f"fink_reader_{uuid.uuid4().hex[:8]}_ztf"
    create_topic(kafka, topic, 2)
    fill(kafka, topic, range(10))
    return topic


@pytest.fixture
def new_reader(kafka: str, filled: str) -> Callable[..., AlertReader]:
    """Return a function that gives a reader of the topic; those of one test are of one group."""
    group, readers = uuid.uuid4().hex, []

    def make(**changes: object) -> AlertReader:
        given = {"servers": kafka, "group": group, "topics": [filled], "say": lambda _: None, **changes}
        readers.append(AlertReader(**given))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


@pytest.fixture(autouse=True)
def _short_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let members of a group learn of others soon."""
    monkeypatch.setitem(reader_module._SETTINGS, "heartbeat.interval.ms", 300)


@pytest.fixture
def soon_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a reader be sure of a mistake after a second: this Kafka has been up for longer than it needs."""
    monkeypatch.setattr(connection, "CONFIRM_SECONDS", 1.0)


def test_a_group_goes_on_after_what_is_committed(
    kafka: str, filled: str, new_reader: Callable[..., AlertReader]
) -> None:
    with new_reader() as first:
        received = take(first, 10)
        assert numbers(received) == list(range(10))
        assert {one.error for one in received} == {""}
        of_one = [one for one in received if one.partition == 0]
        for one in [*of_one[:2], of_one[4]]:  # the fourth and the third are not done
            first.done(one)
    with new_reader() as second:
        rest = take(second, 8)
        assert [one.offset for one in rest if one.partition == 0] == [2, 3, 4]
        assert [one.offset for one in rest if one.partition == 1] == [0, 1, 2, 3, 4]
        for one in rest:
            second.done(one)
        second.commit()
        second.commit()
    fill(kafka, filled, range(10, 12))
    with new_reader() as third:
        assert numbers(take(third, 2)) == [10, 11]
    third.close()


def test_what_cannot_be_decoded_comes_whole_with_the_reason(
    kafka: str, filled: str, new_reader: Callable[..., AlertReader]
) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(filled, b"nothing of ours", partition=0)
    producer.produce(filled, None, key=json.dumps(SCHEMA), partition=1)
    assert producer.flush(20) == 0
    bad = [one for one in take(new_reader(), 12) if one.alert is None]
    assert sorted((one.value, bool(one.key)) for one in bad) == [(b"", True), (b"nothing of ours", False)]
    assert sorted(one.error for one in bad) == [
        "The message has no key, where the schema of the alert should be.",
        "The message is empty.",
    ]


def test_poll_many_takes_what_is_there_and_a_stop_ends_a_wait(new_reader: Callable[..., AlertReader]) -> None:
    stop = threading.Event()
    reader = new_reader(stop=stop)
    assert len(reader.poll_many(4, PATIENCE)) in range(1, 5)
    begun = time.monotonic()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    while reader.poll(60.0) is not None:
        pass
    assert time.monotonic() - begun < 30
    timer.join()


def test_a_topic_that_does_not_exist_is_named_with_those_that_do(
    filled: str, new_reader: Callable[..., AlertReader], soon_sure: None
) -> None:
    with pytest.raises(TopicMissing, match=rf"no topic fink_nothing_ztf; .*\b{filled}\b") as raised:
        new_reader(topics=[filled, "fink_nothing_ztf"]).poll(PATIENCE)
    assert isinstance(raised.value, ReaderError)


def test_passwords(kafka_config: Config, filled: str, new_reader: Callable[..., AlertReader], soon_sure: None) -> None:
    name, password = f"astro-{uuid.uuid4().hex[:6]}", uuid.uuid4().hex
    KafkaUsers(kafka_config, {}).add(name, ["fink_reader_"], password)
    servers = f"127.0.0.1:{kafka_config.kafka.embedded_sasl_port}"
    login = {"servers": servers, "username": name}
    assert numbers(take(new_reader(**login, password=password), 10)) == list(range(10))

    said: list[str] = []
    wrong = new_reader(**login, password="not" + password, say=said.append)
    with pytest.raises(LoginRefused, match=f"refuses the user {name}: check user and password") as raised:
        for _ in range(30):
            assert wrong.poll(1.0) is None
    assert password not in f"{raised.value} {said}"

    with pytest.raises(ReaderError, match=f"does not let {name} use the group fink_mine: choose another name"):
        for _ in range(10):
            new_reader(**login, password=password, group="fink_mine").poll(PATIENCE)


def test_two_readers_share_the_alerts_and_one_takes_over_from_the_other(
    kafka: str, filled: str, new_reader: Callable[..., AlertReader]
) -> None:
    """While alerts come in, a second reader joins and the first one leaves: each alert is done once."""
    seen: Counter[int] = Counter()
    lock, leave, end = threading.Lock(), threading.Event(), threading.Event()
    shares = {"first": 0, "second": 0}

    def work(name: str, reader: AlertReader, until: threading.Event) -> None:
        with reader:
            while not until.is_set():
                for one in reader.poll_many(3, 0.2):
                    with lock:
                        seen[one.alert["number"]] += 1
                        shares[name] += 1
                    reader.done(one)

    def wait_for(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{sum(seen.values())} alerts, {shares}"
            time.sleep(0.02)

    first = threading.Thread(target=work, args=("first", new_reader(), leave))
    second = threading.Thread(target=work, args=("second", new_reader(), end))
    try:
        first.start()
        wait_for(lambda: len(seen) == 10)
        second.start()
        sent = 10
        while not shares["second"]:
            assert sent < 10_000, "the second reader gets nothing"
            fill(kafka, filled, range(sent, sent + 10))
            sent += 10
            wait_for(lambda: len(seen) == sent)  # noqa: B023 - it is called before the next round
        leave.set()
        first.join(PATIENCE)
        fill(kafka, filled, range(sent, sent + 10))
        wait_for(lambda: len(seen) == sent + 10)
    finally:
        leave.set()
        end.set()
        for thread in (first, second):
            if thread.ident:
                thread.join(PATIENCE)
    assert set(seen.values()) == {1}


@pytest.fixture
def own_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaServer]:
    """A Kafka of our own that is not started yet, and is as it was when it is started again."""
    java_parts.ensure("kafka", Console(stderr=True))
    properties, shorter = kafka_module.server_properties, "\ngroup.min.session.timeout.ms=1000\n"
    monkeypatch.setattr(kafka_module, "server_properties", lambda *given, **more: properties(*given, **more) + shorter)
    ports = KafkaConfig(embedded_port=free_port(), embedded_sasl_port=0)
    server = KafkaServer(Config(storage=StorageConfig(state=tmp_path), kafka=ports))
    yield server
    server.terminate()


def start(server: KafkaServer) -> None:
    server.start()
    server.wait_until_up(threading.Event())


def test_kafka_away_at_the_start_and_in_between(own_kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # for so long a commit is tried, and the place of who was in the group is held
    monkeypatch.setitem(reader_module._SETTINGS, "session.timeout.ms", 3000)
    servers, topic, said = own_kafka.servers, "fink_reader_ztf", []
    with AlertReader(servers, "group", [topic], say=said.append) as reader:
        assert [reader.poll(0.3) for _ in range(3)] == [None] * 3
        assert len(said) == 1
        assert said[0].startswith(f"Waiting for Kafka at {servers}")

        start(own_kafka)
        create_topic(servers, topic, 2)
        fill(servers, topic, range(10))
        first = take(reader, 6, 30)
        assert said[1:] == [f"Kafka at {servers} answers."]
        for one in first[:5]:
            reader.done(one)
        own_kafka.terminate()
        reader.commit()  # in vain, and later once more
        reader.done(first[5])
        start(own_kafka)
        rest = take(reader, 4, 60)
        assert numbers(first + rest) == list(range(10))
        for one in rest:
            reader.done(one)
        fill(servers, topic, range(10, 12))
        assert numbers(take(reader, 2)) == [10, 11]  # not done
    with AlertReader(servers, "group", [topic], say=said.append) as reader:
        assert numbers(take(reader, 2)) == [10, 11]
