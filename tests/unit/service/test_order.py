"""In which order services are stopped, also when one does not come up, and who is told that a server does not run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fink_broker.cli.start import hint_at_servers
from fink_broker.config.model import Config, HBaseConfig, KafkaConfig
from fink_broker.errors import ServiceError
from fink_broker.service import control
from fink_broker.service.catalogue import SERVICES, find
from fink_broker.service.control import SERVERS, STOP_ORDER, in_stop_order
from fink_broker.service.ports import free_port
from fink_broker.service.state import Process, ServiceState, StateStore


def state(name: str) -> ServiceState:
    return ServiceState(name, Process(1 << 22, 5.0), 5.0, "x.log", "fink.conf", ["fink", "start", name])


def test_feeders_end_first_and_servers_last() -> None:
    groups = in_stop_order([state(name) for name in SERVICES])
    assert [[each.name for each in group] for group in groups] == [
        [
            "simulator",
            "checkstream",
            "stream2raw",
            "raw2science",
            "distribution",
            "archive",
            "notifier",
            "tom",
            "portal",
            "api",
            "dashboard",
        ],
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


def test_if_one_does_not_come_up_all_that_were_started_are_ended(tmp_path: Path) -> None:
    asleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    started = {
        "kafka": subprocess.Popen(asleep),
        "archive": subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]),
        "api": subprocess.Popen(asleep),
    }
    the_dead_first = {"archive": started["archive"], **started}
    with pytest.raises(ServiceError, match="archive did not come up: exit code 3"):
        control.wait_until_all_up(StateStore(tmp_path), the_dead_first, grace_seconds=10)
    assert all(process.poll() is not None for process in started.values())


def test_what_is_deaf_to_its_end_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with process.stdout, pytest.raises(ServiceError, match=r"kafka has not come up in 0 s\."):
        control.wait_until_all_up(StateStore(tmp_path), {"kafka": process}, grace_seconds=0.3, seconds=0.1)
    assert process.returncode == -9
