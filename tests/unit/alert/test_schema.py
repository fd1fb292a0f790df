"""The reading schema: every version of the survey fits in, and nothing a writer brings is dropped."""

from __future__ import annotations

import io
import json
from pathlib import Path

import fastavro
import pytest

from fink_broker.alert.schema import evolve, missing_fields, nullable, parse, refusal, ztf_reading_schema
from fink_broker.errors import DataError


def record(name, **fields):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields.items()]}


OLD = record("alert", objectId="string", candid="long", candidate=["null", record("candidate", jd="double")])
NEW = record(
    "alert",
    objectId="string",
    candid="long",
    candidate=["null", record("candidate", jd="double", drb=["float", "null"])],
    fp_hists=["null", {"type": "array", "items": record("fp", flux="float")}],
)


def test_every_field_becomes_nullable_with_default_null():
    for field in nullable(NEW)["fields"]:
        assert field["type"][0] == "null"
        assert field["default"] is None


def test_missing_fields_are_named_with_their_path():
    assert missing_fields(OLD, NEW) == ["candidate.drb", "fp_hists", "fp_hists.flux"]
    assert missing_fields(NEW, OLD) == []


def test_evolved_schema_reads_what_both_versions_wrote():
    reading = fastavro.parse_schema(json.loads(json.dumps(evolve(nullable(OLD), NEW))))
    old = {"objectId": "a", "candid": 1, "candidate": {"jd": 2.5}}
    new = {"objectId": "b", "candid": 2, "candidate": {"jd": 3.5, "drb": 0.5}, "fp_hists": [{"flux": 1.0}]}
    results = []
    for writer, alert in ((OLD, old), (NEW, new)):
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, fastavro.parse_schema(writer), alert)
        buffer.seek(0)
        results.append(fastavro.schemaless_reader(buffer, fastavro.parse_schema(writer), reading))
    assert results[0] == {**old, "candidate": {"jd": 2.5, "drb": None}, "fp_hists": None}
    assert results[1] == new


def test_evolving_twice_changes_nothing():
    once = evolve(nullable(OLD), NEW)
    assert evolve(once, NEW) == once
    assert missing_fields(once, NEW) == []


def test_a_record_without_an_alert_s_essentials_is_refused():
    assert refusal(NEW) is None
    assert refusal(record("weather", wind="float")) == ("another schema (weather): no objectId, candid, candidate.jd")


@pytest.mark.parametrize("text", ["", "{", "[]", '"string"', '{"type": "enum"}', '{"type": "record"}', "\x00"])
def test_what_is_no_schema_is_a_data_error(text):
    with pytest.raises(DataError):
        parse(text)


def test_all_real_versions_fit_the_reading_schema(shared_data: Path, unpacked):
    reading = parse(ztf_reading_schema())
    versions = set()
    for packet in unpacked("ztf_real_packets", "ztf_packets_schema_3.2", "ztf_packets_schema_3.3"):
        reader = fastavro.reader(io.BytesIO(packet))
        writer = parse(reader.metadata["avro.schema"])
        versions.add(next(reader)["schemavsn"])
        assert missing_fields(reading, writer) == []
    assert versions == {"3.2", "3.3", "4.02"}
