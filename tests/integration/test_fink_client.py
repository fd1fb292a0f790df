"""The unmodified fink-client of four generations reads, saves, displays and fetches what is written as they expect it.

The messages are made here from real packets by plain fastavro, so that these tests tell the contract from our encoder.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import clients
import contract_messages
import pytest
from fink_client import TRANSFER_VERSIONS, VERSIONS
from pipeline import create_topic

pytestmark = pytest.mark.integration

PARTITIONS = 10
SCHEMA_COPIES = 100


@dataclass(frozen=True)
class Sent:
    """What stands on two topics."""

    servers: str
    livestream: str
    transfer: str
    alerts: clients.Alerts


@pytest.fixture(scope="module")
def sent(kafka: str, unpacked, shared_data: Path) -> Sent:
    """Write real alerts to a topic of the livestream, and as a data transfer."""
    science = shared_data / "expected" / "science_20231018.parquet"
    messages = contract_messages.from_packets(unpacked("ztf_public_20231018")[:60], science)
    mark = uuid.uuid4().hex[:6]
    livestream, transfer = f"fink_sn_candidates_{mark}_ztf", f"ftransfer_ztf_2023-10-18_{mark}"
    for topic, partitions in ((livestream, PARTITIONS), (transfer, PARTITIONS), (f"{transfer}_schema", 1)):
        create_topic(kafka, topic, partitions)
    contract_messages.publish(kafka, livestream, messages, PARTITIONS)
    contract_messages.publish_transfer(kafka, transfer, messages, PARTITIONS, SCHEMA_COPIES)
    alerts = {alert["candid"]: alert for alert in messages.alerts}
    assert len(alerts) == 60
    assert len({alert["finkclass"] for alert in alerts.values()}) > 3
    assert any(" " in alert["finkclass"] for alert in alerts.values())
    return Sent(kafka, livestream, transfer, alerts)


@pytest.mark.parametrize("version", VERSIONS)
def test_alerts_are_saved_and_displayed(version: str, sent: Sent, new_client, tmp_path: Path) -> None:
    client = new_client(version, sent.servers)
    clients.check_stream(client, sent.livestream, sent.alerts, tmp_path / "saved")
    clients.check_nothing_more(client, tmp_path / "saved")
    saved = clients.saved_alerts(tmp_path / "saved" / "first")
    # images and history are among what was compared
    assert all(alert["cutoutScience"]["stampData"][:2] == b"\x1f\x8b" for alert in saved.values())
    assert any(alert["prv_candidates"] for alert in saved.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_library_reads(version: str, sent: Sent, new_client) -> None:
    clients.check_library(new_client(version, sent.servers), sent.livestream, sent.alerts)


@pytest.mark.parametrize("version", TRANSFER_VERSIONS)
def test_a_transfer_is_fetched_once_by_a_group(version: str, sent: Sent, new_client, tmp_path: Path) -> None:
    client = new_client(version, sent.servers)
    clients.check_transfer(client, sent.transfer, sent.alerts, tmp_path / "first")
    assert (tmp_path / "first" / "finkclass=SN%20candidate").is_dir()
    client.transfer(sent.transfer, tmp_path / "again")
    assert not list((tmp_path / "again").rglob("*.parquet"))


def test_a_client_that_gets_other_alerts_is_noticed(sent: Sent, new_client, tmp_path: Path) -> None:
    candid, alert = next(iter(sent.alerts.items()))
    other = sent.alerts | {candid: alert | {"roid": 99}}
    with pytest.raises(clients.NotAsExpected, match=f"1 values differ, such as {candid}: roid"):
        clients.check_stream(new_client("7.2", sent.servers), sent.livestream, other, tmp_path)


def test_messages_are_decoded_without_a_client(sent: Sent) -> None:
    decoded = clients.messages(sent.livestream, {"bootstrap.servers": sent.servers})
    assert set(decoded) == set(sent.alerts)
