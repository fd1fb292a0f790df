"""The launcher with a real Kafka: start, show, starting twice, kill -9, and an orderly stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from fink_broker.service.ports import free_port
from fink_broker.service.state import Process, StateStore

pytestmark = pytest.mark.integration

#: a service that says it is up, and one that never ends when asked to
FAKES = """
import sys, time
from fink_broker.service import catalogue
from fink_broker.cli import main

def deaf(config, stop, say):
    say("serving")
    time.sleep(60)

sys.modules["fakes"] = sys.modules["__main__"]
catalogue.SERVICES["deaf"] = catalogue.Service("deaf", "fakes:deaf", "a test")
sys.exit(main())
"""


class Launcher:
    """The `fink` command in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.environment = os.environ | {
            "FINK_HOME": str(home),
            "FINK__KAFKA__EMBEDDED_SASL_PORT": str(free_port()),
        }
        self.environment.pop("SIGNAL", None)
        self.store = StateStore(home / ".fink")

    def __call__(self, *words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "fink_broker", *words],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def start_kafka(self) -> None:
        self("start", "kafka", "--port", str(self.port), "--detach")

    def create_topic(self, name: str) -> None:
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}"})
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)

    def children(self, name: str, count: int = 1) -> list[Process]:
        return wait_for(lambda: (s := self.store.read(name)) and len(s.children) >= count and s.children)


def wait_for(condition: Callable[[], object], seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"still not so after {seconds} s")


@pytest.fixture
def fink(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    launcher("stop", SIGNAL="TERM")


def test_kafka_from_start_to_stop(fink: Launcher) -> None:
    said = fink("start", "kafka", "--port", str(fink.port), "--detach").stdout
    assert f"serving at localhost:{fink.port}" in said
    [jvm] = fink.children("kafka")

    lines = fink("show").stdout.splitlines()
    assert lines[0] == "1 Fink service(s) running:"
    assert lines[2].endswith(f"fink start kafka --port {fink.port}")

    assert "already running" in fink("start", "kafka", code=1).stderr
    assert "already running" in fink("start", "kafka", "--detach", code=1).stderr

    listeners = [c.laddr for c in psutil.Process(jvm.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert listeners
    assert {address.ip for address in listeners} == {"127.0.0.1"}

    assert fink("stop", "kafka").stdout.splitlines() == ["Stopping kafka..."]
    assert jvm.find() is None
    state = fink.store.read("kafka")
    assert state is not None
    assert state.exit_code == 0
    assert fink("show").stdout.splitlines()[0] == "0 Fink service(s) running:"


def test_a_killed_launcher_leaves_no_orphan_and_loses_nothing(fink: Launcher) -> None:
    fink.start_kafka()
    fink.create_topic("t")
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{fink.port}", "message.max.bytes": 20_000_000})
    large = os.urandom(10_000_000)
    producer.produce("t", large)
    assert producer.flush(30) == 0

    [jvm] = fink.children("kafka")
    state = fink.store.read("kafka")
    assert state is not None
    os.kill(state.process.pid, signal.SIGKILL)
    assert "kafka died: it was killed while it was doing this: serving" in fink("show").stdout
    fink.start_kafka()
    assert jvm.find() is None

    [jvm] = fink.children("kafka")
    os.kill(jvm.pid, signal.SIGKILL)
    wait_for(lambda: not fink.store.read("kafka").running)
    assert "kafka died: Kafka was killed by signal 9." in fink("show").stdout
    fink.start_kafka()
    consumer = Consumer(
        {
            "bootstrap.servers": f"127.0.0.1:{fink.port}",
            "group.id": "g",
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 20_000_000,
        }
    )
    consumer.subscribe(["t"])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.value() == large


def test_a_taken_port_is_one_sentence(fink: Launcher) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = fink("start", "kafka", "--port", str(port), code=3).stderr
        assert f"Port {port}, which the embedded Kafka needs, is taken by another program." in said
        assert "kafka.embedded_port" in said
        assert len(said.splitlines()) == 1
        said = fink("start", "kafka", "--port", str(port), "--detach", code=3).stderr
        assert f"kafka did not come up: Port {port}" in said
    assert f"kafka died: Port {port}" in fink("show").stdout


def test_missing_java_is_one_sentence(fink: Launcher) -> None:
    said = fink("start", "kafka", code=3, JAVA_HOME="/nowhere").stderr
    assert said.startswith("JAVA_HOME is /nowhere, but there is no bin/java in it.")
    assert len(said.splitlines()) == 1


def test_an_unreadable_configuration_is_one_sentence(fink: Launcher) -> None:
    said = fink("start", "kafka", "-c", "/nowhere/fink.conf", code=2).stderr
    assert "/nowhere/fink.conf" in said
    assert len(said.splitlines()) == 1


def start_fake(fink: Launcher, *words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", FAKES, *words],
        env=fink.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (s := fink.store.read(words[1])) and s.up)
    return process


def test_a_foreground_service_drains_at_ctrl_c_and_exits_at_the_second(fink: Launcher) -> None:
    process = start_fake(fink, "start", "deaf")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "it is draining"
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    process.communicate()


def test_kafka_in_the_foreground_ends_by_itself(fink: Launcher) -> None:
    done = fink("start", "kafka", "--port", str(fink.port), "-exit_after", "1")
    assert "closing Kafka" in done.stdout
    assert fink("logs", "kafka", "-n", "1").stdout.strip().endswith("closing Kafka [fink_broker.service]")
