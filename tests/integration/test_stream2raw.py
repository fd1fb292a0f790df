"""stream2raw on a real Kafka: every version decoded, every bad message kept with its reason, each alert once."""

from __future__ import annotations

import copy
import io
import json
import math
import random
import shutil
import struct

import fastavro
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from pipeline import create_topic, running, send, total, until

from fink_broker.alert.schema import nullable, parse
from fink_broker.stream.stream2raw import Stream2Raw

pytestmark = pytest.mark.integration


def container(schema, *records, **options) -> bytes:
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema, records, **options)
    return buffer.getvalue()


def datum(schema, record) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record)
    return buffer.getvalue()


def opened(packet: bytes):
    reader = fastavro.reader(io.BytesIO(packet))
    return next(reader), reader.writer_schema


def with_forced_photometry(packet: bytes) -> bytes:
    """Return the packet under another candid with two epochs of forced photometry, all fields of the first filled."""
    record, schema = opened(packet)
    fields = fp_hist_fields(schema)
    epochs = [{name: value_like(kind, count) for count, (name, kind) in enumerate(fields.items())}]
    epochs.append({name: None if isinstance(kind, list) else epochs[0][name] for name, kind in fields.items()})
    return container(schema, {**record, "candid": record["candid"] + 1, "fp_hists": epochs})


def fp_hist_fields(schema) -> dict:
    """Return the types of the fields of an epoch of forced photometry, as the packet's own schema gives them."""
    union = next(field["type"] for field in schema["fields"] if field["name"] == "fp_hists")
    array = next(branch for branch in union if isinstance(branch, dict))
    return {field["name"]: field["type"] for field in array["items"]["fields"]}


def value_like(kind, count: int):
    """Return a value of an Avro type, another one for each field."""
    name = next(branch for branch in kind if branch != "null") if isinstance(kind, list) else kind
    return {"int": count, "long": 10**12 + count, "float": count + 0.5, "double": count + 0.1, "string": f"{count}"}[
        name
    ]


def run_until_in(spark, config, number: int) -> Stream2Raw:
    job = Stream2Raw(config)
    with running(job, config, spark):
        until(lambda: total(job.raw, "in") >= number, f"{number} messages in")
    return job


def alerts(job: Stream2Raw, columns=None):
    return pq.read_table(job.raw.storage.root, columns=columns)


def same(ours, theirs) -> bool:
    """Compare nested values; NaN equals NaN, floats as the 32 bits that were sent."""
    if isinstance(theirs, dict):
        return all(same(ours[name], value) for name, value in theirs.items())
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, float) and math.isnan(theirs):
        return math.isnan(ours)
    return ours == theirs


@pytest.fixture(scope="module")
def packets(unpacked):
    return unpacked("ztf_real_packets")


def test_all_versions_in_one_stream_arrive_whole(spark, kafka, topic, make_config, unpacked):
    sent = unpacked("ztf_real_packets", "ztf_public_20231018", "ztf_packets_schema_3.2")
    sent.append(with_forced_photometry(next(packet for packet in sent if b'"fp_hists"' in packet)))
    random.Random(1).shuffle(sent)
    send(kafka, topic, sent)
    job = run_until_in(spark, make_config(topic), len(sent))
    table = alerts(job)
    assert total(job.raw, "rejected", "duplicate") == 0
    assert table.num_rows == len(sent) == len(set(table["candid"].to_pylist()))
    rows = {row["candid"]: row for row in table.to_pylist()}
    versions = set()
    for packet in sent:
        record, _ = opened(packet)
        row = rows[record["candid"]]
        assert same(row, record), record["candid"]
        versions.add(row["schemavsn"])
        if "fp_hists" not in record:
            assert row["fp_hists"] is None
    assert versions == {"3.2", "3.3", "4.02"}
    assert [len(row["fp_hists"]) for row in rows.values() if row["fp_hists"] is not None] == [2]
    nights = {row["candid"]: row["night"] for row in rows.values()}
    record, _ = opened(unpacked("ztf_public_20231018")[0])
    assert str(nights[record["candid"]]) == "20231018"


def long_bytes(number: int) -> bytes:
    """Return a number as Avro writes it."""
    number, written = number << 1, b""
    while number > 127:
        written += bytes([number & 127 | 128])
        number >>= 7
    return written + bytes([number])


def hostile_schemas(schema: dict) -> dict[str, tuple[str, str]]:
    """Return writers' schemas (JSON) that must not stop the job, each with a part of the reason its packets get."""
    plain = parse(json.dumps({key: value for key, value in schema.items() if not key.startswith("__")}))
    deep = "[" * 100_000 + "]" * 100_000

    def with_field(**field) -> str:
        return json.dumps({**plain, "fields": [*plain["fields"], field]})

    return {
        "a field without a name": (with_field(type="int"), "not valid"),
        "a field without a type": (with_field(name="x"), "not valid"),
        "a record without a name": (json.dumps({**plain, "name": None}), "not valid"),
        "fields that are a number": (json.dumps({**plain, "fields": 5}), "not valid"),
        "nested beyond measure": (f'{{"type": "record", "name": "a", "fields": {deep}}}', "not valid"),
        "a schema that contains itself": (with_field(name="x", type=["null", plain["name"]]), "contains itself"),
        "an unknown type": (with_field(name="x", type="quark"), "not valid"),
        "a column of the broker": (with_field(name="origin", type="string"), "column of that name"),
        "a column of science": (with_field(name="roid", type="int"), "column of that name"),
        "names but for case": (with_field(name="OBJECTID", type="string"), "but for their case"),
        "a name that is none": (with_field(name="a b", type="string"), "not valid"),
    }


def bad_messages(packet: bytes) -> dict[str, tuple[bytes | None, str]]:
    """Return bad messages by name, each with a part of the reason it must get."""
    record, schema = opened(packet)
    old, future, nowhen, noname = (copy.deepcopy(record) for _ in range(4))
    old["candidate"]["jd"] = 2415020.5
    future["candidate"]["jd"] = math.inf
    nowhen["candidate"]["jd"] = math.nan
    noname["objectId"] = ""
    other = fastavro.parse_schema({"type": "record", "name": "weather", "fields": [{"name": "wind", "type": "float"}]})
    noise = random.Random(2)
    sync = packet[-16:]
    head = packet[: packet.index(sync) + 16]
    before = packet[: packet.index(b"avro.schema") + len(b"avro.schema")]
    hostile = {
        name: (before + long_bytes(len(text)) + text.encode() + b"\x00" + sync + packet[len(head) :], reason)
        for name, (text, reason) in hostile_schemas(schema).items()
    }
    return hostile | {
        "no value": (None, "empty message"),
        "empty": (b"", "empty message"),
        "random bytes": (noise.randbytes(5000), "not an Avro container"),
        "10 MB of noise": (noise.randbytes(10_000_000), "not an Avro container"),
        "magic only": (b"Obj\x01", "truncated or damaged"),
        "cut in the header": (packet[:9000], "truncated or damaged"),
        "cut in an image": (packet[:40_000], "truncated or damaged"),
        "a hostile length": (b"Obj\x01" + b"\xfe\xff\xff\xff\x0f" * 10, "truncated or damaged"),
        "another schema": (container(other, {"wind": 3.0}), "another schema (weather)"),
        "a header that is no schema": (packet.replace(b'"ztf.alert"', b'"ztf.alert ', 1), "no JSON"),
        "two blocks": (container(schema, record, record, sync_interval=1), "more than one block"),
        "two in one block": (head + b"\x04" + packet[len(head) + 1 :], "2 alerts in one container"),
        "bytes behind": (packet + b"abc", "more than one block"),
        "compressed": (container(schema, record, codec="deflate"), "compressed container: deflate"),
        "a datum cut short": (head + b"\x02\x10" + b"\x08" * 8 + sync, "cannot be decoded"),
        "the year 1900": (container(schema, old), "out of range"),
        "an infinite time": (container(schema, future), "out of range"),
        "no time": (container(schema, nowhen), "no exposure time"),
        "no name": (container(schema, noname), "no objectId"),
    }


def test_bad_messages_are_kept_whole_with_the_reason(spark, kafka, topic, make_config, packets):
    bad = bad_messages(packets[0])
    good = packets[:20]
    mixed = [value for value, _ in bad.values()] + good
    random.Random(3).shuffle(mixed)
    send(kafka, topic, mixed)
    job = run_until_in(spark, make_config(topic), len(mixed))
    assert sorted(alerts(job)["candid"].to_pylist()) == sorted(opened(packet)[0]["candid"] for packet in good)
    rejected = pq.read_table(job.rejected.storage.root).to_pylist()
    reasons = {(row["value"] or b""): row["reason"] for row in rejected}
    for name, (value, reason) in bad.items():
        assert reason in reasons[value or b""], name
    assert len(rejected) == len(bad)
    assert len({(row["topic"], row["partition"], row["offset"]) for row in rejected}) == len(bad)
    assert total(job.raw, "rejected") == len(bad)
    assert sum(sum(c.details["reasons"].values()) for c in job.raw.log.read_all()) == len(bad)


def test_odd_but_readable_alerts_come_through(spark, kafka, topic, make_config, packets):
    """NaN, infinity and null in every number of a candidate, no history, 500 points, no or false images."""
    record, schema = next((r, s) for r, s in map(opened, packets) if len(r["prv_candidates"] or []) > 3)
    loose = fastavro.parse_schema(json.loads(json.dumps(nullable(parse(json.dumps(schema))))))
    odd = []
    for name, value in record["candidate"].items():
        if not isinstance(value, int | float) or isinstance(value, bool) or name in ("jd", "candid"):
            continue
        wrong = [None] + ([math.nan, math.inf, -math.inf] if isinstance(value, float) else [])
        for instead in wrong:
            changed = copy.deepcopy(record)
            changed["candidate"][name] = instead
            odd.append(changed)
    for field, instead in {
        "prv_candidates": None,
        "cutoutScience": None,
        "cutoutTemplate": {"fileName": "x.fits.gz", "stampData": b"this is no FITS"},
        "cutoutDifference": {"fileName": "", "stampData": b""},
        "publisher": None,
    }.items():
        odd.append({**copy.deepcopy(record), field: instead})
    odd.append({**copy.deepcopy(record), "prv_candidates": []})
    odd.append({**copy.deepcopy(record), "prv_candidates": (record["prv_candidates"] * 500)[:500]})
    odd.append({**copy.deepcopy(record), "cutoutScience": {"fileName": "big", "stampData": b"\0" * 10_000_000}})
    for number, alert in enumerate(odd):
        alert["candid"] = 10_000 + number
    send(kafka, topic, [container(loose, alert) for alert in odd])
    job = run_until_in(spark, make_config(topic), len(odd))
    assert total(job.raw, "rejected", "duplicate") == 0
    rows = {row["candid"]: row for row in alerts(job).to_pylist()}
    for alert in odd:
        assert same(rows[alert["candid"]], alert)


def test_repeats_are_dropped_within_a_batch_and_across_restarts(spark, kafka, topic, make_config, packets):
    config = make_config(topic)
    send(kafka, topic, packets[:30] + packets[:10])
    run_until_in(spark, config, 40)
    send(kafka, topic, packets[20:40])
    job = run_until_in(spark, config, 60)
    candids = alerts(job, ["candid"])["candid"].to_pylist()
    assert len(candids) == len(set(candids)) == 40
    assert total(job.raw, "duplicate") == 20
    assert total(job.raw, "in") == 60


def test_a_lost_checkpoint_doubles_nothing(spark, kafka, topic, make_config, packets):
    config = make_config(topic)
    send(kafka, topic, packets[:30])
    run_until_in(spark, config, 30)
    shutil.rmtree(f"{config.storage.online}/checkpoints")
    job = run_until_in(spark, config, 60)
    assert alerts(job, ["candid"]).num_rows == 30
    assert total(job.raw, "duplicate") == 30


def test_messages_that_expired_before_they_were_read_are_counted(spark, kafka, topic, make_config, packets):
    send(kafka, topic, packets[:40])
    job = run_until_in(spark, make_config(topic), 40)
    send(kafka, topic, packets[40:60])
    looking = Consumer({"bootstrap.servers": kafka, "group.id": "looking"})
    places = [TopicPartition(topic, partition) for partition in range(4)]
    for place in places:
        place.offset = looking.get_watermark_offsets(place, timeout=10)[1]
    looking.close()
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_records([place for place in places if place.offset]).values():
        done.result(30)

    def lost() -> int:
        return sum(commit.details["lost_offsets"] for commit in job.raw.log.read_all())

    with running(Stream2Raw(job.config), job.config, spark):
        until(lambda: lost() > 0, "the loss is noted")
        send(kafka, topic, packets[60:70])
        until(lambda: total(job.raw, "in") == 50, "what came later is in")
    assert lost() == 20
    assert alerts(job, ["candid"]).num_rows == 50


def test_new_fields_of_a_later_schema_are_kept(spark, kafka, topic, make_config, packets):
    record, schema = opened(packets[0])
    later = json.loads(json.dumps(parse(json.dumps(schema))))
    later["fields"].append({"name": "brightness_class", "type": ["null", "string"], "default": None})
    candidate = next(field for field in later["fields"] if field["name"] == "candidate")["type"]
    candidate["fields"].append({"name": "drb2", "type": ["null", "float"], "default": None})
    new = copy.deepcopy(record)
    new |= {"candid": 77, "brightness_class": "bright"}
    new["candidate"]["drb2"] = 0.25
    config = make_config(topic)
    send(kafka, topic, packets[:5])
    run_until_in(spark, config, 5)
    send(kafka, topic, [container(fastavro.parse_schema(later), new), *packets[5:8]])
    job = run_until_in(spark, config, 9)
    read = spark.read.option("mergeSchema", "true").parquet(job.raw.storage.root)
    row = read.where("candid = 77").select("brightness_class", "candidate.drb2").first()
    assert row.asDict() == {"brightness_class": "bright", "drb2": 0.25}
    assert read.count() == 9


@pytest.mark.parametrize("form", ["bare", "enveloped"])
def test_packets_without_their_schema(spark, kafka, topic, make_config, packets, tmp_path, form):
    records = [opened(packet) for packet in packets if opened(packet)[0]["schemavsn"] == "4.02"][:5]
    schema = records[0][1]
    (tmp_path / "schema.avsc").write_text(json.dumps(schema))
    lead = struct.pack(">bI", 0, 402) if form == "enveloped" else b""
    sent = [lead + datum(schema, record) for record, _ in records]
    broken = [b"", sent[0][:100]] + ([b"\x01" + sent[1][1:]] if form == "enveloped" else [])
    send(kafka, topic, sent + broken)
    keys = {"packet_format": form, "packet_schema": str(tmp_path / "schema.avsc")}
    job = run_until_in(spark, make_config(topic, kafka_keys=keys), len(sent + broken))
    assert sorted(alerts(job)["candid"].to_pylist()) == sorted(record["candid"] for record, _ in records)
    assert total(job.raw, "rejected") == len(broken)


def test_a_topic_may_come_later_and_may_go(spark, kafka, make_config, packets):
    pattern = "ztf_20240102_later.*"
    config = make_config(pattern)
    job = Stream2Raw(config)
    admin = AdminClient({"bootstrap.servers": kafka})
    with running(job, config, spark):
        create_topic(kafka, "ztf_20240102_later_a")
        send(kafka, "ztf_20240102_later_a", packets[:10])
        until(lambda: total(job.raw, "out") == 10, "alerts of a topic made later")
        admin.delete_topics(["ztf_20240102_later_a"])["ztf_20240102_later_a"].result(30)
        create_topic(kafka, "ztf_20240102_later_b")
        send(kafka, "ztf_20240102_later_b", packets[10:25])
        until(lambda: total(job.raw, "out") == 25, "alerts of the next topic after the first was deleted")
    assert alerts(job).num_rows == 25
