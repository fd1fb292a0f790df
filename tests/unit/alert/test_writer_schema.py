"""Schemas of strangers: refused with a reason, or read whole; nothing else."""

from __future__ import annotations

import copy
import io
import json

import fastavro
import pytest

from fink_broker.alert.schema import SCHEMAS, evolve, missing_fields, ztf_reading_schema
from fink_broker.alert.writer_schema import read_writer_schema
from fink_broker.errors import DataError

ZTF = json.loads((SCHEMAS / "ztf" / "alert_4.02.avsc").read_text())


def field(of_type, name: str = "x") -> str:
    return json.dumps({"type": "record", "name": "alert", "fields": [{"name": name, "type": of_type}]})


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"type": "record", "name": "a", "fields": 5}',
        '{"type": "record", "name": "a", "fields": [5]}',
        '{"type": "record", "fields": [{"name": "x", "type": "int"}]}',
        '{"type": "record", "name": "a", "fields": [{"type": "int"}]}',
        '{"type": "record", "name": "a", "fields": [{"name": "x"}]}',
        field("quark"),
        field(["null", "alert"]),
        field({"type": "array"}),
        field({"type": "record", "name": "alert", "fields": [{"name": "y", "type": "int"}]}),
        field("int", name="a b"),
        field("int", name=""),
        field("int", name=7),
    ],
)
def test_what_no_decoder_should_follow_is_a_data_error(text: str):
    with pytest.raises(DataError, match="writer's schema"):
        read_writer_schema(text)


def test_names_that_differ_by_case_cannot_be_columns():
    two = {"type": "record", "name": "a", "fields": [{"name": name, "type": "int"} for name in ("x", "X")]}
    with pytest.raises(DataError, match="but for their case"):
        read_writer_schema(json.dumps(two))


def test_what_does_not_matter_for_reading_is_left_out():
    read = read_writer_schema(
        '{"type": "record", "name": "a", "namespace": "n", "doc": "d", "fields": '
        '[{"name": "x", "type": {"type": "int", "extra": 1}, "default": "wrong", "aliases": [5]}]}'
    )
    assert read["name"] == "n.a"
    assert read["fields"] in ([{"name": "x", "type": {"type": "int"}}], [{"name": "x", "type": "int"}])


def test_a_newer_version_that_defines_a_type_elsewhere_is_read_whole():
    """A new image before the others defines their common type, with a field of its own."""
    newer = copy.deepcopy(ZTF)
    cutouts = [one for one in newer["fields"] if one["name"].startswith("cutout")]
    record = next(branch for branch in cutouts[0]["type"] if isinstance(branch, dict))
    position = newer["fields"].index(cutouts[0])
    name = record.get("namespace", "ztf.alert") + "." + record["name"].rpartition(".")[2]
    larger = {**record, "fields": [*record["fields"], {"name": "pixels", "type": "int"}]}
    cutouts[0]["type"] = ["null", name]
    newer["fields"].insert(position, {"name": "cutoutMask", "type": ["null", larger], "default": None})
    writer = read_writer_schema(json.dumps(newer))
    reading = json.loads(ztf_reading_schema())
    assert "cutoutMask.pixels" in missing_fields(reading, writer)
    assert "cutoutScience.pixels" in missing_fields(reading, writer)

    widened = evolve(reading, writer)
    assert missing_fields(widened, writer) == []
    assert evolve(widened, writer) == widened
    image = {"fileName": "a", "stampData": b"b", "pixels": 63}
    fields = {one["name"]: one["type"] for one in widened["fields"]}
    part = {"type": "record", "name": "part", "fields": []}
    for name_ in ("cutoutScience", "cutoutTemplate", "cutoutDifference", "cutoutMask"):
        part["fields"].append({"name": name_, "type": fields[name_]})
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(part), {"cutoutScience": image, "cutoutMask": image})
    buffer.seek(0)
    read = fastavro.schemaless_reader(buffer, fastavro.parse_schema(part))
    assert read == {"cutoutScience": image, "cutoutTemplate": None, "cutoutDifference": None, "cutoutMask": image}
