"""The embedded Kafka before it starts: its ports, and what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from fink_broker.config.model import Config, KafkaConfig, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.service.kafka import KafkaServer, check_ports
from fink_broker.service.kafka_settings import server_properties
from fink_broker.service.ports import any_port_open, free_port


def config(plain: int, sasl: int, folder: Path = Path("/nowhere")) -> Config:
    ports = KafkaConfig(embedded_port=plain, embedded_sasl_port=sasl)
    return Config(storage=StorageConfig(state=folder), kafka=ports)


def properties(plain: int, sasl: int) -> dict[str, str]:
    lines = server_properties(config(plain, sasl), controller_port=9999).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_taken_port_is_told_with_the_key_that_changes_it(taken: int) -> None:
    with pytest.raises(
        ServiceError, match=rf"Port {taken}, which .* is taken by another program.*kafka\.embedded_port"
    ):
        check_ports(config(taken, free_port()))
    with pytest.raises(ServiceError, match=rf"Port {taken}, at which .* password.*kafka\.embedded_sasl_port"):
        check_ports(config(free_port(), taken))


def test_without_passwords_their_port_may_be_taken(taken: int) -> None:
    check_ports(config(free_port(), 0))
    assert KafkaServer(config(free_port(), 0)).sasl_servers == ""


def test_one_port_cannot_be_both() -> None:
    with pytest.raises(ServiceError, match=r"kafka\.embedded_port and kafka\.embedded_sasl_port are both 9092"):
        check_ports(config(9092, 9092))


def test_nothing_is_begun_where_a_port_is_taken(taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink_broker.service.kafka.find_java", lambda: Path("java"))
    with pytest.raises(ServiceError, match=f"Port {taken}"):
        KafkaServer(config(free_port(), taken, tmp_path)).start()
    assert not list(tmp_path.iterdir())


def test_every_listener_is_on_the_loopback() -> None:
    told = properties(9092, 9093)
    listeners = told["listeners"].split(",")
    assert sorted(listener.split("://")[0] for listener in listeners) == ["CONTROLLER", "PLAINTEXT", "SASL_PLAINTEXT"]
    assert all("://127.0.0.1:" in listener for listener in [*listeners, *told["advertised.listeners"].split(",")])
    assert "CONTROLLER" not in told["advertised.listeners"]


def test_rights_are_kept_with_and_without_passwords() -> None:
    for sasl in (0, 9093):
        told = properties(9092, sasl)
        assert told["authorizer.class.name"].endswith("StandardAuthorizer")
        assert told["allow.everyone.if.no.acl.found"] == "false"
        assert told["super.users"] == "User:ANONYMOUS"
        # who logs in must not come as an administrator: only the listeners without a password do
        assert any("sasl" in key for key in told) is bool(sasl)


def test_a_port_is_open_or_not(taken: int) -> None:
    closed = free_port()
    assert any_port_open(f"127.0.0.1:{closed},127.0.0.1:{taken}", 1)
    assert not any_port_open(f"127.0.0.1:{closed},no-port", 1)
