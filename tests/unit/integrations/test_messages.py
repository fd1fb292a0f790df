"""Messages decoded as clients get them, and foreign bytes that must do no harm."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fink_skyportal.alerts.messages import UnreadableAlert, decode
from hypothesis import given, settings
from hypothesis import strategies as st

SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "objectId", "type": "string"},
        {"name": "roid", "type": ["int", "null"]},
        {"name": "stamp", "type": "bytes"},
        {"name": "jds", "type": {"type": "array", "items": "double"}},
    ],
}
ALERT = {"objectId": "ZTF18aaaaaaa", "roid": None, "stamp": b"\x00\x01", "jds": [1.0, 2.0]}


def datum(schema: Any = SCHEMA, alert: Any = ALERT) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), alert)
    return stream.getvalue()


def key(schema: Any = SCHEMA) -> bytes:
    return json.dumps(schema).encode()


def record(*types: Any) -> dict:
    fields = [{"name": f"f{number}", "type": of_type} for number, of_type in enumerate(types)]
    return {"type": "record", "name": "alert", "fields": fields}


def test_a_datum_is_decoded_with_the_schema_in_its_key() -> None:
    assert decode(datum(), key()) == ALERT


def test_real_alerts_come_out_as_they_went_in(unpacked: Callable, shared_data: Path) -> None:
    contract = pytest.importorskip("contract_messages")
    science = shared_data / "expected" / "science_20231018.parquet"
    messages = contract.from_packets(unpacked("ztf_public_20231018")[:3], science)
    assert len(messages.alerts) == 3
    for alert, value in zip(messages.alerts, messages.values, strict=True):
        assert decode(value, messages.key.encode()) == alert


def test_a_named_type_may_be_used_twice() -> None:
    stamp = {"type": "record", "name": "stamp", "fields": [{"name": "data", "type": "bytes"}]}
    schema = record(stamp, "stamp", ["null", "stamp"])
    alert = {"f0": {"data": b"a"}, "f1": {"data": b"b"}, "f2": None}
    assert decode(datum(schema, alert), key(schema)) == alert


CONTAINER = io.BytesIO()
fastavro.writer(CONTAINER, fastavro.parse_schema(SCHEMA), [ALERT])


@pytest.mark.parametrize(
    ("value", "of_key", "told"),
    [
        (datum(), None, "no key"),
        (datum(), b"", "no key"),
        (b"", key(), "is empty"),
        (datum(), b"fink_sn_candidates_ztf", "is not JSON"),
        (datum(), b"\xff\xfe", "is not JSON"),
        (datum(), b"[" * 100_000, "is not JSON"),
        (datum(), b'"string"', "not the Avro schema of a record"),
        (datum(), b'{"type": "map", "values": "int"}', "not the Avro schema of a record"),
        (datum(), b'{"type": "record", "fields": []}', "is not an Avro schema"),
        (datum(), key(record("no_such_type")), "is not an Avro schema"),
        (datum(), key(record(None)), "is not an Avro schema"),
        (datum()[:-1], key(), "does not fit"),
        (datum() + b"\x00", key(), r"1 bytes are left over"),
        (CONTAINER.getvalue(), key(), "an Avro file"),
    ],
)
def test_what_cannot_be_decoded_is_told_in_a_sentence(value: bytes, of_key: bytes | None, told: str) -> None:
    with pytest.raises(UnreadableAlert, match=told) as raised:
        decode(value, of_key)
    assert str(raised.value).count("\n") == 0
    assert len(str(raised.value)) < 300


def doubling(levels: int) -> dict:
    """Return a schema that is short, and has 2**levels values when it is written out."""
    of_type: Any = "int"
    for level in range(levels):
        inner = {"type": "record", "name": f"r{level}", "fields": [{"name": "a", "type": of_type}]}
        inner["fields"].append({"name": "b", "type": f"r{level - 1}" if level else "int"})
        of_type = inner
    return record(of_type)


@pytest.mark.parametrize(
    "schema",
    [
        record("alert"),
        record({"type": "array", "items": "alert"}),
        record(["null", "alert"]),
        record({"type": "map", "values": "alert"}),
        record({"type": "array", "items": "null"}),
        record({"type": "array", "items": {"type": "record", "name": "empty", "fields": []}}),
        record({"type": "array", "items": {"type": "fixed", "name": "nothing", "size": 0}}),
        doubling(20),
    ],
    ids=[
        "itself",
        "list of itself",
        "maybe itself",
        "map of itself",
        "nulls",
        "empty records",
        "empty fixed",
        "doubling",
    ],
)
def test_schemas_that_would_exhaust_memory_are_refused(schema: dict) -> None:
    # a count of 2**40 elements, then whatever
    with pytest.raises(UnreadableAlert, match=r"contains itself or is nested too deeply|lists of nothing"):
        decode(b"\x80\x80\x80\x80\x80\x40" + b"\x02" * 100, key(schema))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 40))
def test_foreign_bytes_raise_nothing_else(noise: bytes, at: int) -> None:
    good = datum()
    for value in (noise, good[:at] + noise, good[:at] + noise + good[at:]):
        try:
            assert set(decode(value, key())) == set(ALERT)
        except UnreadableAlert:
            continue
