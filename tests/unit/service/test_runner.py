"""Running a service in this process: its state, its log, its end."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import types
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fink_broker.config.model import Config, LogConfig, StorageConfig, StreamConfig
from fink_broker.errors import DataError, JavaMissing, ServiceError
from fink_broker.metrics.reading import read_samples
from fink_broker.service.catalogue import SERVICES, EntryPoint, Service
from fink_broker.service.runner import READERS, check_free_space, check_ready, run_service
from fink_broker.service.state import ServiceState, StateStore

Say = Callable[[str], None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that runs an entry point as the service `fake`."""

    def run(entry: EntryPoint, *, java: tuple[str, ...] = (), log: LogConfig | None = None, **stream: object) -> int:
        module = types.ModuleType("fake_service_module")
        module.run = entry  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_service_module", module)
        config = Config(
            storage=StorageConfig(state=tmp_path, online=str(tmp_path / "online"), min_free_gib=0),
            stream=StreamConfig(**stream),
            log=log or LogConfig(),
        )
        return run_service(
            Service("fake", "fake_service_module:run", "a test", java=java),
            config,
            config_path="fink.conf",
            command=["fink", "start", "fake"],
            detached=False,
            console=Console(quiet=True),
        )

    return run


def state(tmp_path: Path) -> ServiceState:
    found = StateStore(tmp_path).read("fake")
    assert found is not None
    return found


def test_a_service_that_is_done(run: Callable[..., int], tmp_path: Path) -> None:
    seen = []

    def entry(config: Config, stop: threading.Event, say: Say) -> None:
        say("starting something")
        seen.append(state(tmp_path))
        say("serving")
        seen.append(state(tmp_path))

    assert run(entry) == 0
    assert [(s.doing, s.up, s.running) for s in seen] == [("starting something", False, True), ("serving", True, True)]
    end = state(tmp_path)
    assert (end.exit_code, end.reason, end.died, end.config) == (0, "done", False, "fink.conf")
    assert end.ended is not None
    assert end.command == ["fink", "start", "fake"]
    assert "serving" in Path(end.log).read_text()
    (sample,) = read_samples(Config(storage=StorageConfig(state=tmp_path, online=str(tmp_path / "online"))))
    assert (sample.name, sample.up, sample.reason, sample.ended is not None) == ("fake", True, "done", True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_drain(run: Callable[..., int], tmp_path: Path, number: signal.Signals) -> None:
    def entry(config: Config, stop: threading.Event, say: Say) -> None:
        say("serving")
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        say("finishing the running batch")

    before = signal.getsignal(number)
    assert run(entry) == 0
    assert state(tmp_path).doing == "finishing the running batch"
    assert signal.getsignal(number) == before


def test_exit_after_counts_from_when_the_service_is_up(run: Callable[..., int]) -> None:
    times = []

    def entry(config: Config, stop: threading.Event, say: Say) -> None:
        say("starting slowly")
        assert not stop.wait(1.3)
        say("serving")
        began = time.monotonic()
        assert stop.wait(5)
        times.append(time.monotonic() - began)

    assert run(entry, exit_after=1) == 0
    assert 0.9 < times[0] < 2


def test_why_it_died_is_kept(run: Callable[..., int], tmp_path: Path) -> None:
    def entry(config: Config, stop: threading.Event, say: Say) -> None:
        raise DataError("The table is damaged.", "Look at it.")

    with pytest.raises(DataError):
        run(entry)
    assert (state(tmp_path).exit_code, state(tmp_path).why) == (4, "The table is damaged. Look at it.")
    assert state(tmp_path).died


def test_a_crash_is_one_sentence_and_a_traceback_in_the_log(run: Callable[..., int], tmp_path: Path) -> None:
    def entry(config: Config, stop: threading.Event, say: Say) -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ServiceError, match="traceback is in its log"):
        run(entry)
    assert (state(tmp_path).exit_code, state(tmp_path).why) == (3, "fake crashed: ZeroDivisionError: by zero.")
    assert 'raise ZeroDivisionError("by zero")' in (tmp_path / "logs" / "fake.log").read_text()


def test_the_log_can_be_json(run: Callable[..., int], tmp_path: Path) -> None:
    def entry(config: Config, stop: threading.Event, say: Say) -> None:
        say("serving")
        logging.getLogger("elsewhere").warning("lost %d", 3)

    run(entry, log=LogConfig(format="json"))
    lines = [json.loads(line) for line in (tmp_path / "logs" / "fake.log").read_text().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("serving", "info"), ("lost 3", "warning")]


def test_missing_java_is_said_before_anything_starts(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(JavaMissing, match="JAVA_HOME"):
        run(lambda *_: pytest.fail("it started"), java=("kafka",))
    assert state(tmp_path).exit_code == JavaMissing.exit_code


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    config = Config(storage=StorageConfig(state=tmp_path / "new" / "state", online="hdfs://x/y", min_free_gib=2))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10 << 30, 9 << 30, 1 << 30))
    with pytest.raises(ServiceError, match=r"has 1\.00 GiB free, less than storage\.min_free_gib = 2"):
        check_ready(SERVICES["distribution"], config, Console(quiet=True))
    assert set(SERVICES) >= READERS
    for name in READERS:  # who only reads starts: it shows that the disk is full
        check_ready(SERVICES[name], config, Console(quiet=True))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10 << 30, 7 << 30, 3 << 30))
    check_free_space(config)
