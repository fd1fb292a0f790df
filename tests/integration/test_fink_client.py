"""The unmodified fink-client reads what the jobs distribute, and gets exactly what the science table holds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fink_client
import pyarrow.parquet as pq
import pytest
from pipeline import create_topic, running, send, total, until

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.config.model import Config, DistributionConfig, KafkaConfig, StorageConfig
from fink_broker.monitor import read_counts
from fink_broker.science.testing import offline_config
from fink_broker.stream.distribution import Distribution
from fink_broker.stream.messages import PRIVATE
from fink_broker.stream.raw2science import Raw2Science
from fink_broker.stream.stream2raw import Stream2Raw

pytestmark = pytest.mark.integration

TOPIC = "fink_sn_candidates_ztf"


@dataclass(frozen=True)
class Published:
    """What the jobs made of real packets: the Kafka that has the topic, and the rows the alerts came from."""

    servers: str
    rows: dict[int, dict[str, Any]]
    messages: int


@pytest.fixture(scope="module")
def published(kafka, spark, unpacked, tmp_path_factory) -> Published:
    """Send real packets of two schema versions through all three jobs."""
    folder = tmp_path_factory.mktemp("published")
    config = Config(
        storage=StorageConfig(online=str(folder / "online"), state=folder / "state"),
        kafka=KafkaConfig(servers=kafka, topic="ztf_20231018_programid1_client"),
        distribution=DistributionConfig(servers=kafka),
        crossmatch=offline_config().crossmatch,
    )
    packets = unpacked("ztf_public_20231018", "ztf_real_packets")
    create_topic(kafka, config.kafka.topic)
    send(kafka, config.kafka.topic, packets)
    raw, science, distribution = Stream2Raw(config), Raw2Science(config), Distribution(config)
    with ExitStack() as jobs:
        for job in (raw, science, distribution):
            jobs.enter_context(running(job, config, spark))
        until(lambda: total(raw.raw, "in") == len(packets), "all packets are in")
        until(lambda: total(science.science, "in") == total(raw.raw, "out"), "all went through science", 300)
        until(lambda: total(distribution.topics, "in") == total(science.science, "out"), "all were filtered", 300)
    counts = read_counts(config)
    assert counts.open_ends() == []
    table = pq.read_table(science.science.storage.root, partitioning=None)
    rows = {row["candid"]: row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    return Published(kafka, rows, counts.messages[TOPIC])


def is_supernova(row: dict[str, Any]) -> bool:
    """Rule of the topic once more, in Python."""
    candidate = row["candidate"]
    return (
        (row["snn_snia_vs_nonia"] > 0.5 or row["snn_sn_vs_all"] > 0.5)
        and row["cdsxmatch"] in EXTRAGALACTIC
        and candidate["drb"] is not None
        and candidate["drb"] > 0.5
        and candidate["classtar"] > 0.4
        and candidate["jd"] - candidate["jdstarthist"] <= 90
        and candidate["ndethist"] > 1
        and row["roid"] != 3
    )


@pytest.fixture(scope="module", params=fink_client.VERSIONS)
def version(request) -> str:
    try:
        fink_client.environment(request.param)
    except fink_client.NoPackages as error:
        pytest.skip(f"fink-client {request.param} cannot be had from the package index: {error}")
    return request.param


def test_saved_alerts_equal_the_science_table(version: str, published: Published, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    client = fink_client.FinkClient(version, tmp_path / "home", published.servers, f"group-{version}")
    client.register(TOPIC)

    printed = client.save(published.messages, tmp_path / "saved")

    alerts = fink_client.saved_alerts(tmp_path / "saved")
    wanted = {candid for candid, row in published.rows.items() if is_supernova(row)}
    assert len(wanted) > 100
    assert set(alerts) == wanted
    for candid, alert in alerts.items():
        row = {name: value for name, value in published.rows[candid].items() if name not in PRIVATE}
        exposure = alert.pop("timestamp")
        assert fink_client.differences(alert, row) == []
        assert fink_client.seconds_between(exposure, row["candidate"]["jd"]) < 1e-3
        assert alert["publisher"] == "Fink"
    # images and history are among what was compared
    assert all(alert["cutoutScience"]["stampData"][:2] == b"\x1f\x8b" for alert in alerts.values())
    assert any(alert["prv_candidates"] for alert in alerts.values())
    for words in ("Emitted at (UTC)", "Received at (UTC)", "objectId", "Simbad", "Magnitude", TOPIC):
        assert words in printed

    # the group has seen them all
    printed = client.poll_in_vain(tmp_path / "again", 8)
    assert "No alerts the last 2 seconds" in printed
    assert not list((tmp_path / "again").glob("*.avro"))
