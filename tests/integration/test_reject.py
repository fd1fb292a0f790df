"""Rejected packets on a real Kafka: once the cause is mended, each becomes an alert, once."""

from __future__ import annotations

import pytest
from pipeline import running, send, total, until
from test_stream2raw import alerts, datum, opened

from fink_broker.archive.rejected import rejected_packets, rejected_summary
from fink_broker.archive.replayed import Replayed
from fink_broker.errors import UsageError
from fink_broker.simulate.replay_rejected import Replay
from fink_broker.stream.stream2raw import Stream2Raw

pytestmark = pytest.mark.integration


def test_packets_become_alerts_once_after_the_cause_is_mended(spark, kafka, topic, make_config, unpacked, tmp_path):
    """Bare packets come where containers are expected; then the broker is told their schema."""
    packets = unpacked("ztf_public_20231018")[:12]
    records = [opened(packet)[0] for packet in packets]
    schema = opened(packets[0])[1]
    bare = [datum(schema, record) for record in records]
    wrong = make_config(topic)
    send(kafka, topic, [*bare, None, b"noise"])
    with running(Stream2Raw(wrong), wrong, spark):
        job = Stream2Raw(wrong)
        until(lambda: total(job.raw, "in") == 14, "14 messages in")
    summary = rejected_summary(wrong)
    assert summary.total == total(job.raw, "rejected") == 14
    assert sum(reasons.get("empty message", 0) for reasons in summary.days.values()) == 1
    (tmp_path / "packet.avsc").write_text(_text(packets[0]))
    mended = make_config(topic, kafka_keys={"packet_format": "bare", "packet_schema": str(tmp_path / "packet.avsc")})
    replay = Replay(mended, {})
    with running(Stream2Raw(mended), mended, spark):
        assert replay.send(rejected_packets(mended)) == 13  # one has no bytes
        assert replay.topics == {topic: 13}
        assert len(Replayed(mended).arrivals()) == 13
        until(lambda: total(job.raw, "in") == 27, "13 more messages in")
        assert replay.send(packet for packet in rejected_packets(mended, "empty message")) == 13
        # a second time, against the ledger: repeats are dropped
        first = [packet for packet in rejected_packets(mended) if packet.content in bare][:2]
        Replay(mended, {}).send(first)
        until(lambda: total(job.raw, "duplicate") == 2, "two repeats dropped")
    candids = [record["candid"] for record in records]
    assert sorted(alerts(job, ["candid"])["candid"].to_pylist()) == sorted(candids)
    assert total(job.raw, "in") == total(job.raw, "out", "rejected", "duplicate")
    assert total(job.raw, "rejected") == 15


def test_a_topic_that_is_gone_is_told(kafka, make_config, topic, tmp_path):
    from rejected_rows import add_rejected, packet  # noqa: PLC0415

    config = make_config(r"ztf_\d{8}_\w+")
    add_rejected(config.storage.online, "q-000000000", "20231018", [packet(0, "noise", b"noise")])
    with pytest.raises(UsageError, match="Kafka has no topic ztf_20231018_programid1 any more"):
        Replay(config, {}).send(rejected_packets(config))
    replay = Replay(config, {}, topic)
    assert replay.send(rejected_packets(config)) == 1
    assert replay.topics == {topic: 1}


def _text(packet: bytes) -> str:
    from fink_broker.alert.packet import header  # noqa: PLC0415

    return header(packet).schema_text.decode()
