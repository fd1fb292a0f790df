"""The beacon of a service: a sample now and then and at the end, and never a trouble for the service."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fink_broker.archive.storage import Storage
from fink_broker.config.model import Config, StorageConfig
from fink_broker.config.portal import DashboardConfig
from fink_broker.metrics import beacon as beacon_module
from fink_broker.metrics.beacon import Beacon, Load, disks_of, put
from fink_broker.metrics.reading import read_samples


@dataclass(frozen=True)
class Process:
    pid: int


@dataclass(frozen=True)
class State:
    name: str = "fake"
    process: Process = field(default_factory=lambda: Process(os.getpid()))
    children: tuple[Process, ...] = ()
    since: float = 1.0
    log: str = "/nowhere"
    doing: str = "serving"
    up: bool = True
    ended: float | None = None
    reason: str = ""


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    storage = StorageConfig(online=str(tmp_path / "online"), state=tmp_path)
    return Config(storage=storage, dashboard=DashboardConfig(sample_seconds=0.5, log_lines=3))


def test_a_service_tells_of_itself_and_of_its_end(config: Config, tmp_path: Path) -> None:
    log = tmp_path / "fake.log"
    log.write_text("one\ntwo\nthree\nfour\n")
    states = [State(log=str(log))]
    beacon = Beacon(config, lambda: states[-1])
    beacon.start()
    until(lambda: read_samples(config))
    (first,) = read_samples(config)
    assert (first.name, first.pid, first.up, first.ended) == ("fake", os.getpid(), True, None)
    assert first.log == ("two", "three", "four")
    assert first.memory_mib > 10
    assert first.disks[0].total_gib > first.disks[0].free_gib > 0
    until(lambda: read_samples(config)[0].sampled > first.sampled)
    states.append(replace(states[0], ended=2.0, reason="done"))
    beacon.end()
    (last,) = read_samples(config)
    assert (last.ended, last.reason) == (2.0, "done")
    assert [path.name for path in (tmp_path / "online" / "_services").iterdir()] == [f"{last.host}-fake.json"]


def test_a_storage_that_is_away_is_told_once_and_found_again(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "online").write_text("in the way")
    beacon = Beacon(config, State)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            beacon._tell()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the dashboard does not hear of this service"
    ]
    (tmp_path / "online").unlink()
    beacon._tell()
    assert len(read_samples(config)) == 1


def test_a_storage_that_never_answers_holds_up_no_end(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        asked.set()
        answer.wait(30)

    monkeypatch.setattr(beacon_module, "put", hang)
    monkeypatch.setattr(beacon_module, "LAST_SECONDS", 0.2)
    beacon = Beacon(config, State)
    beacon.start()
    assert asked.wait(10)
    began = time.monotonic()
    beacon.end()
    answer.set()
    assert time.monotonic() - began < 5


def test_how_seldom_samples_come_on_a_slow_storage_is_told(config: Config) -> None:
    beacon = Beacon(config, State)
    assert (beacon._pause_after(0.001), beacon.sample().every) == (0.5, 0.5)
    assert (beacon._pause_after(1.0), beacon.sample().every) == (10.0, 11.0)
    pause = beacon._pause_after(90.0)
    # never silent for so long that what an earlier sample told is wrong; and then for as long as this one says
    assert (pause, beacon.sample().every) == (20.0, 110.0)
    assert (beacon._pause_after(0.01), beacon.sample().every) == (0.5, 0.5)


def test_a_file_system_that_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(str(tmp_path))
    (tmp_path / "f").mkdir()
    files = storage.files

    class Refusing:
        """HDFS renames no file onto another."""

        def __getattr__(self, name: str) -> object:
            return getattr(files, name)

        def move(self, source: str, target: str) -> None:
            if Path(target).exists():
                raise OSError("exists")
            files.move(source, target)

    monkeypatch.setattr(storage, "files", Refusing())
    with pytest.raises(OSError, match="exists"):
        for content in (b"1", b"2"):
            put(storage, "f/x.json", content)
    storage.is_local = False
    put(storage, "f/x.json", b"3")
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["x.json"]
    assert (tmp_path / "f" / "x.json").read_bytes() == b"3"


def test_processor_and_memory_of_processes() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        load = Load()
        assert load.look([busy.pid])[0] == 0
        until(lambda: load.look([busy.pid])[0] > 5)
        assert load.look([busy.pid])[1] > 1
    finally:
        busy.kill()
        busy.wait()
    assert load.look([busy.pid]) == (0.0, 0.0)


def test_disks_are_told_once(tmp_path: Path) -> None:
    (disk,) = disks_of([str(tmp_path), str(tmp_path / "not" / "there"), "hdfs://host:8020/x"])
    assert disk.path == str(tmp_path)
