"""raw2science on real alerts: production's numbers for every alert that passes the cuts, and counts that close."""

from __future__ import annotations

import copy
import io
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import fastavro
import pandas as pd
import pyarrow.parquet as pq
import pytest
from expected_science import differences, production_science
from pipeline import create_topic, running, send, total, until

from fink_broker.config.model import (
    Config,
    KafkaConfig,
    QualityConfig,
    ScienceConfig,
    StorageConfig,
    StreamConfig,
)
from fink_broker.science.registry import build_pipeline
from fink_broker.science.testing import batch_of, offline_config
from fink_broker.stream.raw2science import Raw2Science
from fink_broker.stream.stream2raw import Stream2Raw

pytestmark = pytest.mark.integration

NO_CUTS = QualityConfig(rb_min=0, nbad_max=10_000, drop_fid=[])


@dataclass(frozen=True)
class Processed:
    """The jobs and what they were given."""

    raw: Stream2Raw
    science: Raw2Science
    sent: int

    def rows(self) -> dict[int, dict[str, Any]]:
        table = pq.read_table(self.science.science.storage.root)
        rows = {row["candid"]: row for row in table.to_pylist()}
        assert len(rows) == table.num_rows
        return rows


def process(spark, kafka: str, folder, packets: list[bytes], quality: QualityConfig, **science: str) -> Processed:
    config = Config(
        storage=StorageConfig(online=str(folder)),
        kafka=KafkaConfig(servers=kafka, topic=f"ztf_20240101_{folder.name}"),
        crossmatch=offline_config().crossmatch,
        science=ScienceConfig(tns_catalogue="none", **science),
        stream=StreamConfig(trigger_seconds=0.2),
        quality=quality,
    )
    create_topic(kafka, config.kafka.topic)
    send(kafka, config.kafka.topic, packets)
    raw, science = Stream2Raw(config), Raw2Science(config)
    with running(raw, config, spark), running(science, config, spark):
        until(lambda: total(raw.raw, "in") == len(packets), "all packets are in")
        until(lambda: total(science.science, "in") == total(raw.raw, "out"), "all went through science")
    return Processed(raw, science, len(packets))


@pytest.fixture(scope="module")
def whole_night(spark, kafka, unpacked, shared_data, tmp_path_factory) -> Processed:
    """Both sets of real packets, without cuts, with production's own kilonova forest."""
    packets = unpacked("ztf_real_packets", "ztf_public_20231018")
    return process(spark, kafka, tmp_path_factory.mktemp("uncut"), packets, NO_CUTS, **production_science(shared_data))


def test_as_many_rows_as_packets_each_once(whole_night):
    assert whole_night.sent == 934
    assert len(whole_night.rows()) == 934


@pytest.mark.parametrize("name", ["science_real", "science_20231018"])
def test_columns_equal_production(whole_night, shared_data, name):
    expected = pd.read_parquet(shared_data / "expected" / f"{name}.parquet")
    rows = whole_night.rows()
    assert set(expected["candid"]) <= set(rows)
    told = [line for wanted in expected.to_dict("records") for line in differences(rows[wanted["candid"]], wanted)]
    assert not told, f"{len(told)} differences:\n" + "\n".join(told[:20])
    for candid in expected["candid"]:
        assert rows[candid]["science_failed"] == []
        assert set(dict(rows[candid]["science_made_with"])) == set(whole_night.science.modules)


def test_hostless_scores_come_of_the_images_in_the_packets(whole_night, unpacked, shared_data):
    """The same images, without tables in between, give the same scores."""
    pipeline = build_pipeline(whole_night.science.config)
    packets = [next(fastavro.reader(io.BytesIO(content))) for content in unpacked("ztf_public_20231018")]
    found = pipeline.run(batch_of(pipeline, packets)).to_pylist()
    rows = whole_night.rows()
    scored = 0
    for packet, wanted in zip(packets, found, strict=True):
        row = rows[packet["candid"]]
        for name in ("elephant_kstest_science", "elephant_kstest_template"):
            assert row[name] == wanted[name]
            scored += row[name] >= 0
    assert scored > 50


def test_what_became_of_each_alert_is_counted(whole_night):
    """Skipped, found nothing, and failed are counted by module in the commits, and add up to the rows."""
    rows = list(whole_night.rows().values())
    columns = {"failed": "science_failed", "skipped": "science_skipped", "nothing": "science_found_nothing"}
    for kind, column in columns.items():
        counted = Counter()
        for commit in whole_night.science.science.log.read_all():
            counted.update(commit.details[kind])
        assert counted == Counter(name for row in rows for name in row[column])
    spent = Counter()
    for commit in whole_night.science.science.log.read_all():
        spent.update(commit.details["module_ms"])
        assert all(milliseconds >= 0 for milliseconds in commit.details["module_ms"].values())
    assert set(spent) == set(whole_night.science.modules)
    assert all(milliseconds > 0 for milliseconds in spent.values())
    skipped = Counter(name for row in rows for name in row["science_skipped"])
    assert skipped["microlensing"] > skipped["supernnova"] > 100


def test_times_and_versions_of_the_broker(whole_night):
    for row in whole_night.rows().values():
        times = [row["brokerIngestTimestamp"], row["brokerStartProcessTimestamp"], row["brokerEndProcessTimestamp"]]
        assert times == sorted(times)
        assert row["origin"]["timestamp"] <= times[0]
        assert row["publisher"] == "Fink"
        assert row["fink_broker_version"]
        assert row["fink_science_version"]


def test_cuts_are_counted_by_name(spark, kafka, unpacked, tmp_path_factory):
    packets = unpacked("ztf_real_packets")
    done = process(spark, kafka, tmp_path_factory.mktemp("cut"), packets, QualityConfig())
    wanted: dict[str, int] = {}
    kept = set()
    for packet in packets:
        record = next(fastavro.reader(io.BytesIO(packet)))
        candidate = record["candidate"]
        if candidate["nbad"] is None or candidate["nbad"] > 0:
            wanted["nbad"] = wanted.get("nbad", 0) + 1
        elif candidate["rb"] is None or candidate["rb"] < 0.55:
            wanted["rb"] = wanted.get("rb", 0) + 1
        elif candidate["fid"] == 3:
            wanted["fid"] = wanted.get("fid", 0) + 1
        else:
            kept.add(record["candid"])
    counted: dict[str, int] = {}
    for commit in done.science.science.log.read_all():
        for name, number in commit.details["cuts"].items():
            counted[name] = counted.get(name, 0) + number
    assert counted == wanted
    assert set(done.rows()) == kept
    assert 0 < len(kept) < len(packets)


def test_odd_numbers_stop_nothing(spark, kafka, unpacked, tmp_path_factory):
    """NaN and infinity in every float of a candidate that passes the cuts: a row for each, nothing failed."""
    first = next(fastavro.reader(io.BytesIO(unpacked("ztf_public_20231018")[0])))
    schema = fastavro.reader(io.BytesIO(unpacked("ztf_public_20231018")[0])).writer_schema
    odd = []
    for name, value in first["candidate"].items():
        if isinstance(value, float) and name not in ("jd", "rb"):
            for instead in (math.nan, math.inf, -math.inf):
                changed = copy.deepcopy(first)
                changed["candidate"][name] = instead
                changed["candid"] = 1000 + len(odd)
                buffer = io.BytesIO()
                fastavro.writer(buffer, schema, [changed])
                odd.append(buffer.getvalue())
    done = process(spark, kafka, tmp_path_factory.mktemp("odd"), odd, QualityConfig())
    rows = done.rows()
    assert len(rows) == len(odd) > 100
    assert all(row["science_failed"] == [] for row in rows.values())
