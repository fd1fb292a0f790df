"""The launcher with a real HBase: start, who can reach it, kill -9 under writes, recovery, an orderly stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from archived import raw_rows, store_science
from happybase import Connection
from rich.console import Console
from thriftpy2.thrift import TException

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.config.model import Config, HBaseConfig, StorageConfig
from fink_broker.service import java_parts
from fink_broker.service.ports import free_port
from fink_broker.service.state import StateStore
from fink_broker.stream import archive

pytestmark = pytest.mark.integration

VALUE = os.urandom(20)
#: Batches of the science table that come while HBase is killed, and alerts of each.
COMMITS, ALERTS = 60, 20


class Launcher:
    """The `fink` command in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.environment = os.environ | {
            "FINK_HOME": str(home),
            "FINK__HBASE__EMBEDDED_ZOOKEEPER_PORT": str(free_port()),
            "FINK__HBASE__EMBEDDED_HEAP_MIB": "400",
        }
        self.environment.pop("SIGNAL", None)
        self.store = StateStore(home / ".fink")

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "fink_broker", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self) -> list[psutil.Process]:
        """Start HBase and return its two Java processes: HBase, and the Thrift server."""
        assert f"serving at 127.0.0.1:{self.port}" in self("start", "hbase", "--port", str(self.port), "--detach")
        launcher = psutil.Process(self.store.read("hbase").process.pid)
        return sorted(launcher.children(), key=lambda process: "ThriftServer" in " ".join(process.cmdline()))

    def connect(self) -> Connection:
        return Connection("127.0.0.1", self.port, timeout=60_000)


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.1)


@pytest.fixture
def fink(tmp_path: Path) -> Iterator[Launcher]:
    java_parts.ensure("hbase", Console(stderr=True))
    launcher = Launcher(tmp_path)
    yield launcher
    launcher("stop")


class Writer(threading.Thread):
    """Writes small rows one by one until HBase is gone, and counts those HBase has acknowledged.

    Any buffer between HBase and the operating system would hold many of them, and lose them.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self.acknowledged = 0

    def run(self) -> None:
        table = self._connection.table("alerts")
        try:
            while True:
                table.put(f"{self.acknowledged:08d}".encode(), {b"alert:row": VALUE})
                self.acknowledged += 1
        except (TException, OSError):
            return


class Archived:
    """The archive job in a thread of this process, and alerts that come all the while."""

    def __init__(self, fink: Launcher, folder: Path) -> None:
        storage = StorageConfig(online=str(folder), state=fink.store.logs.parent, min_free_gib=0.0)
        self.config = Config(storage=storage, hbase=HBaseConfig(embedded_port=fink.port, timeout_seconds=2.0))
        layout = Layout(self.config.storage.online)
        self.science, self.archived = AlertTable(layout.table("science")), AlertTable(layout.table("archived"))
        self.said: list[str] = []
        self._stop = threading.Event()
        work = ((archive.run, (self.config, self._stop, self.said.append)), (self._feed, ()))
        self._threads = [threading.Thread(target=target, args=arguments) for target, arguments in work]
        for thread in self._threads:
            thread.start()

    @property
    def commits(self) -> int:
        """Science commits that are archived."""
        return sum(len(commit.inputs) for commit in self.archived.log.read_all())

    @property
    def candids(self) -> list[int]:
        """The alerts HBase has, in the table by time."""
        opened = open_archive(self.config)
        keys = [key for key, _ in opened.store.scan(opened.name("jd"), ALL_KEYS)]
        opened.close()
        return sorted(int(key.rpartition(b"_")[2]) for key in keys)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _feed(self) -> None:
        for number in range(COMMITS):
            store_science(self.science, rows_of_a_commit(number), f"science-{number}")
            time.sleep(0.1)


def rows_of_a_commit(number: int) -> pa.Table:
    first = number * ALERTS
    return raw_rows(
        [
            {
                "objectId": f"ZTF24aaaa{candid % 26 + 97:c}aa",
                "candid": candid,
                "candidate": {"jd": 2460000.5 + candid * 1e-4, "fid": 1, "ra": candid / 100, "dec": 10.0},
            }
            for candid in range(first, first + ALERTS)
        ]
    )


def test_hbase_keeps_what_it_has_acknowledged_and_the_archive_lacks_nothing(fink: Launcher, tmp_path: Path) -> None:
    master, thrift = fink.start()
    for process in (master, thrift):
        listeners = [each.laddr.ip for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        assert listeners
        assert {ip.removeprefix("::ffff:") for ip in listeners} == {"127.0.0.1"}
    assert "already running" in fink("start", "hbase", code=1)

    archived = Archived(fink, tmp_path / "online")
    connection = fink.connect()
    connection.create_table("alerts", {"alert": {"max_versions": 1}})
    writer = Writer(connection)
    writer.start()
    wait_for(lambda: writer.acknowledged >= 1000 and archived.commits >= 2)
    os.kill(master.pid, signal.SIGKILL)
    wait_for(lambda: not fink.store.read("hbase").running)
    writer.join(10)
    assert not thrift.is_running(), "both live and end together"
    assert "hbase died: HBase was killed by signal 9." in fink("show")
    assert archived.commits < COMMITS

    master, thrift = fink.start()
    rows = fink.connect().table("alerts").scan(batch_size=1000)
    found = {key: cells[b"alert:row"] for key, cells in rows}
    assert writer.acknowledged <= len(found) <= writer.acknowledged + 1
    assert all(found[f"{number:08d}".encode()] == VALUE for number in range(writer.acknowledged))
    wait_for(lambda: archived.commits == COMMITS, 60)
    assert any(text.startswith("waiting for HBase (") for text in archived.said)
    assert archived.candids == list(range(COMMITS * ALERTS))

    assert "Stopping hbase..." in fink("stop", "hbase")
    archived.stop()
    assert not master.is_running()
    assert not thrift.is_running()
    assert fink.store.read("hbase").exit_code == 0
    logs = [path.read_text(errors="replace") for path in fink.store.logs.glob("hbase-*.log")]
    assert len(logs) == 2
    assert not [line for log in logs for line in log.splitlines() if "NoClassDefFound" in line], "a part is missing"


def test_a_taken_port_is_one_sentence(fink: Launcher) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = fink("start", "hbase", "--port", str(port), "--detach", code=3)
    assert (
        f"hbase did not come up: Port {port}, at which the embedded HBase answers, is taken by another program" in said
    )
    assert f"hbase died: Port {port}" in fink("show")
