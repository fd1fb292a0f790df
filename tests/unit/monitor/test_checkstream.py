"""What is told of a stream: formats, versions, one alert for people, and the whole service on a mock Kafka."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import time
from collections.abc import Iterator

import fastavro
import pytest
from confluent_kafka import Producer
from rich.console import Console

from fink_broker.alert.survey import ZTF
from fink_broker.config.model import Config, KafkaConfig
from fink_broker.errors import ConfigError, DataError
from fink_broker.monitor import checkstream
from fink_broker.monitor.checkstream import StreamCheck, run
from fink_broker.monitor.messages import Look, decode, look
from fink_broker.monitor.readable import describe_alert, light_curve
from fink_broker.monitor.tally import Report, Tally

SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "schemavsn", "type": "string"},
        {"name": "objectId", "type": "string"},
        {"name": "candid", "type": "long"},
        {
            "name": "candidate",
            "type": {
                "type": "record",
                "name": "candidate",
                "fields": [
                    *({"name": name, "type": "double"} for name in ("jd", "ra", "dec")),
                    {"name": "fid", "type": "int"},
                    *({"name": name, "type": ["null", "float"]} for name in ("magpsf", "sigmapsf", "drb")),
                ],
            },
        },
        {
            "name": "prv_candidates",
            "type": [
                "null",
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "prv",
                        "fields": [
                            {"name": "jd", "type": "double"},
                            {"name": "fid", "type": "int"},
                            {"name": "magpsf", "type": ["null", "float"]},
                            {"name": "diffmaglim", "type": ["null", "float"]},
                        ],
                    },
                },
            ],
        },
    ],
}
ALERT = {
    "schemavsn": "4.02",
    "objectId": "ZTF23abcdefg",
    "candid": 42,
    "candidate": {"jd": 2460236.5, "ra": 12.5, "dec": -3.25, "fid": 2, "magpsf": 18.0, "sigmapsf": 0.125, "drb": 0.875},
    "prv_candidates": [
        {"jd": 2460226.5, "fid": 1, "magpsf": None, "diffmaglim": 20.0},
        {"jd": 2460231.5, "fid": 1, "magpsf": 19.0, "diffmaglim": 20.5},
    ],
}
KEY = json.dumps(SCHEMA).encode()


def container(alert: dict = ALERT, codec: str = "null") -> bytes:
    buffer = io.BytesIO()
    fastavro.writer(buffer, SCHEMA, [alert], codec=codec)
    return buffer.getvalue()


def datum() -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(SCHEMA), ALERT)
    return buffer.getvalue()


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_container_is_known_by_its_header(codec: str) -> None:
    found = look(container(codec=codec), None)
    assert found.format == "container"
    assert json.loads(found.schema)["name"] == "alert"
    assert decode(container(codec=codec), found)["candid"] == 42


def test_a_datum_with_its_schema_in_the_key() -> None:
    found = look(datum(), KEY)
    assert found == Look("schema in key", KEY)
    assert decode(datum(), found) == ALERT


def test_bare_and_enveloped_data_need_the_configuration(tmp_path) -> None:
    path = tmp_path / "alert.avsc"
    path.write_text(json.dumps(SCHEMA))
    enveloped = b"\0" + struct.pack(">I", 7) + datum()
    assert look(datum(), None).format == look(enveloped, None).format == "unreadable"
    assert decode(datum(), look(datum(), None, "bare"), str(path)) == ALERT
    found = look(enveloped, None, "enveloped")
    assert found == Look("enveloped", b"\0\0\0\7")
    assert decode(enveloped, found, str(path)) == ALERT


@pytest.mark.parametrize(
    "value",
    [None, b"", b"Obj", b"Obj\x01", b"Obj\x01" + b"\xff" * 30, container()[:40], b"\x93random bytes", b"{}"],
)
def test_rubbish_is_unreadable(value: bytes | None) -> None:
    found = look(value, None)
    assert found == Look("unreadable")
    with pytest.raises(DataError, match="no Avro"):
        decode(value or b"", found)


def test_data_that_do_not_fit_their_schema() -> None:
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(datum()[:20], look(datum(), KEY))
    with pytest.raises(DataError, match="no JSON"):
        decode(datum(), look(datum(), b"{no json"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        decode(datum(), look(datum(), None, "bare"))


def test_one_alert_in_readable_form() -> None:
    text = "\n".join(describe_alert(ALERT, ZTF))
    assert "ZTF23abcdefg   candid 42" in text
    assert "ra 12.500000°, dec -3.250000°" in text
    assert "20231019" in text
    assert "18.00 ± 0.12 in r band" in text
    assert "2 points, 1 of them detections" in text


def test_the_light_curve_has_bright_on_top_and_time_to_the_right() -> None:
    drawing = light_curve([*ALERT["prv_candidates"], ALERT["candidate"]], width=11, height=3)
    assert drawing == [
        "  18.00 │          r",
        "        │     g     ",
        "  20.00 │v          ",
        "        └───────────",
        "         -10.0 dlast",
    ]


def test_an_alert_with_nothing_in_it_is_still_told() -> None:
    nan = float("nan")
    for empty in ({}, {"candidate": None}, {"candidate": {"jd": nan, "magpsf": nan, "fid": 9}}):
        assert describe_alert(empty, ZTF)[0].startswith("objectId")
    assert light_curve([{"jd": 1.0, "magpsf": nan}, {"jd": 2.0}]) == []
    same = {"jd": 1.0, "fid": 1, "magpsf": 18.0}
    assert any("g" in line for line in light_curve([same, same]))


def test_rates_are_those_since_the_last_report() -> None:
    tally = Tally()
    report = Report(tally)
    place = ("ztf_20231018_programid1", 0)
    assert tally.add("container", b"schema", 500_000)
    report.lines(2.0, {place: 100}, {})
    assert not tally.add("container", b"schema", 500_000)
    tally.add("unreadable", b"", 1)
    tally.versions[b"schema"] = "3.3"
    lines = report.lines(2.0, {place: 110, ("new", 0): 70}, {place[0]: {0: 7, 1: 1}})
    assert lines[0] == "arriving 5.0 messages/s, read 1.0 messages/s, 0.25 MB/s, total 3, behind by 8"
    assert (report.arriving, report.read, report.behind) == (5.0, 1.0, 8)
    assert lines[1] == "  schema versions: 3.3 2; formats: container 2, unreadable 1"
    assert lines[2] == "  behind by partition: ztf_20231018_programid1 [0:7 1:1]"


@pytest.fixture
def mock_kafka() -> Iterator[tuple[Producer, str]]:
    """Yield a producer that carries a mock Kafka in itself, and its address."""
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
    yield producer, f"{broker.host}:{broker.port}"
    producer.flush(5)


class Told:
    """Stands for the numbers the dashboard finds; keeps all there ever were."""

    def __init__(self) -> None:
        self.rates: list[tuple[float, float, int]] = []

    def tell(self, arriving: float, read: float, behind: int) -> None:
        self.rates.append((arriving, read, behind))


def test_the_service_tells_what_flows(mock_kafka: tuple[Producer, str], monkeypatch: pytest.MonkeyPatch) -> None:
    producer, servers = mock_kafka
    numbers = Told()
    monkeypatch.setattr(checkstream, "stream_numbers", lambda: numbers)
    screen, said, stop = io.StringIO(), [], threading.Event()
    config = Config(kafka=KafkaConfig(servers=servers, topic=r"ztf_\d{8}_programid1"))
    check = StreamCheck(config, said.append, Console(file=screen, soft_wrap=True, markup=False))
    thread = threading.Thread(target=check.run, args=(stop,))
    thread.start()
    try:
        wait_for(lambda: said and said[-1].startswith("waiting for a topic"))
        for _ in range(3):
            producer.produce("ztf_20231018_programid1", container())
        producer.produce("ztf_20231018_programid1", container({**ALERT, "schemavsn": "4.02"}, "deflate"))
        producer.produce("ztf_20231018_programid1", datum(), KEY)
        producer.produce("ztf_20231018_programid1", b"rubbish")
        producer.produce("something_else", container())
        producer.flush(10)
        wait_for(lambda: "total 6" in screen.getvalue())
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert numbers.rates[0] == (0.0, 0.0, 0), "no topic, no messages"
    assert max(read for _, read, _ in numbers.rates) > 0
    assert numbers.rates[-1][2] == 0
    told = screen.getvalue()
    assert "formats: container 4, schema in key 1, unreadable 1" in told
    assert "schema versions: 4.02 5" in told
    assert told.count("objectId  ZTF23abcdefg") == 1
    assert "fields of candidate (7): jd, ra, dec, fid, magpsf, sigmapsf, drb" in told
    assert re.search(r"behind by partition: ztf_20231018_programid1 \[", told)
    assert any(line.startswith("following ztf_20231018_programid1") for line in said)


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_kafka_that_is_away_is_waited_for() -> None:
    said, stop = [], threading.Event()
    config = Config(kafka=KafkaConfig(servers="localhost:1"))
    thread = threading.Thread(target=run, args=(config, stop, said.append))
    thread.start()
    try:
        wait_for(lambda: said)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert re.match(r"waiting for Kafka at localhost:1 \(.+\)", said[0])


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither a name nor a regular expression"):
        run(Config(kafka=KafkaConfig(servers="localhost:1", topic="ztf_(")), threading.Event(), print)


def test_a_missing_password_is_told(monkeypatch) -> None:
    monkeypatch.delenv("FINK_KAFKA_USERNAME", raising=False)
    monkeypatch.delenv("FINK_KAFKA_PASSWORD", raising=False)
    config = Config(kafka=KafkaConfig(servers="localhost:1", security_protocol="SASL_PLAINTEXT"))
    with pytest.raises(ConfigError, match="no user and password are set"):
        run(config, threading.Event(), print)
