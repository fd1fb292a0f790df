"""What is taken of a message, and what cannot be."""

from __future__ import annotations

import json
import random

import pytest
from unit.notify.far_end import KEY, TOPIC, headers, notice, packet

from fink_broker.alert.packet import read_packet, write_datum
from fink_broker.errors import DataError
from fink_broker.notify.notice import read_notice

PLACE = TOPIC, 1, 42


def test_values_of_an_alert() -> None:
    read = notice(3)
    assert read.values["objectId"] == "ZTF240000003"
    assert read.values["candid"] == "2500000000000000003", "as text: programs read large numbers as floats"
    assert read.values["filter"] == "sn_candidates"
    assert read.values["topic"] == TOPIC
    assert (read.values["band"], read.values["drb"]) == ("g", None)
    assert read.identity == f"{TOPIC} 2500000000000000003"


def test_headers_are_not_needed() -> None:
    read = read_notice(KEY, packet(3), [], place=PLACE, sent=None)
    assert read.identity == notice(3).identity
    nameless = read_notice(KEY, packet(3, candid=None, objectId=None), [], place=PLACE, sent=None)
    assert nameless.identity == f"{TOPIC} 1:42"


def test_values_no_alert_should_have() -> None:
    odd = notice(1, candidate={"jd": 1e300, "magpsf": float("inf"), "fid": 77}, finkclass="x" * 10_000)
    assert [odd.values[name] for name in ("time", "magpsf", "band")] == [None] * 3
    assert len(str(odd.values["finkclass"])) == 200
    assert notice(1, candidate={"jd": None, "fid": None}).values["time"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, packet(1)),
        (KEY, None),
        (b"", b""),
        (b"no json", packet(1)),
        (b"[]", packet(1)),
        (b'{"type":"record"}', packet(1)),
        (b"[" * 100_000, packet(1)),
        (KEY, packet(1)[:50]),
        (KEY, packet(1) + b"more"),
        (KEY, b"Obj\x01" + packet(1)),
        (b'{"type":"record","name":"a","fields":[{"name":"a","type":"a"}]}', b"\x02"),
    ],
)
def test_what_cannot_be_decoded_is_a_data_error(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(DataError):
        read_notice(key, value, headers(1), place=PLACE, sent=None)


def test_damaged_bytes_never_raise_anything_else() -> None:
    chance, whole = random.Random(1), packet(1)
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            assert read_notice(KEY, bytes(damaged), [], place=PLACE, sent=None).values
        except DataError:
            continue


def test_a_schema_of_another_shape_gives_what_it_has() -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "candidate", "type": "string"}]}
    value = write_datum({"candidate": "text"}, schema)
    read = read_notice(json.dumps(schema).encode(), value, headers(5), place=PLACE, sent=None)
    assert read.values["objectId"] == "ZTF240000005"
    assert read.values["magpsf"] is None


def test_real_alerts(unpacked) -> None:
    for data in unpacked("ztf_packets_schema_3.3"):
        record, schema = read_packet(data)
        read = read_notice(json.dumps(schema).encode(), write_datum(record, schema), [], place=PLACE, sent=0.0)
        assert read.values["objectId"] == record["objectId"]
        assert read.values["candid"] == str(record["candid"])
        assert read.values["magpsf"] == pytest.approx(record["candidate"]["magpsf"])
