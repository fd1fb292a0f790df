"""In which order services are stopped, and what is said to one whose server does not run."""

from __future__ import annotations

import pytest

from fink_broker.cli.start import hint_at_servers
from fink_broker.config.model import Config, HBaseConfig, KafkaConfig
from fink_broker.service.catalogue import SERVICES, find
from fink_broker.service.control import SERVERS, STOP_ORDER, in_stop_order
from fink_broker.service.ports import free_port
from fink_broker.service.state import Process, ServiceState


def state(name: str) -> ServiceState:
    return ServiceState(name, Process(1 << 22, 5.0), 5.0, "x.log", "fink.conf", ["fink", "start", name])


def test_feeders_end_first_and_servers_last() -> None:
    groups = in_stop_order([state(name) for name in SERVICES])
    assert [[each.name for each in group] for group in groups] == [
        ["simulator", "checkstream", "stream2raw", "raw2science", "distribution", "archive", "notifier", "api"],
        ["hbase", "kafka"],
    ]
    assert sorted((*STOP_ORDER, *SERVERS)) == sorted(SERVICES), "each service has its place"
    assert in_stop_order([state("kafka")]) == [[state("kafka")]]
    assert in_stop_order([]) == []


@pytest.mark.parametrize(("name", "servers"), [("distribution", ["Kafka"]), ("archive", ["HBase"]), ("api", ["HBase"])])
def test_a_server_that_does_not_run_is_hinted_at(
    name: str, servers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(hbase=HBaseConfig(embedded_port=free_port()), kafka=KafkaConfig(embedded_port=free_port()))
    hint_at_servers(find(name), config)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split()[2] for line in printed.err.splitlines()] == servers
    assert all(f"`fink start {each.lower()} --detach`. {name} waits for it." in printed.err for each in servers)


def test_servers_elsewhere_are_not_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    hint_at_servers(find("archive"), Config(hbase=HBaseConfig(servers="thrift.example.org:9090")))
    assert capsys.readouterr().err == ""
