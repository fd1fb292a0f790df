"""State files and locks: a dead service is never taken for a running one, nor a stranger for a service."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fink_broker.errors import ServiceError, UsageError
from fink_broker.service.state import Process, Reporter, ServiceState, StateStore, end_processes

HOLD_LOCK = """
import sys, pathlib
from fink_broker.service.state import StateStore
with StateStore(pathlib.Path(sys.argv[1])).only_one("kafka"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(tmp_path)


def state_of(process: Process, **changes: object) -> ServiceState:
    state = ServiceState("kafka", process, 1.0, "kafka.log", "fink.conf", ["fink", "start", "kafka"])
    return replace(state, **changes)  # type: ignore[arg-type]


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_reads_what_it_wrote(store: StateStore) -> None:
    state = state_of(Process(7, 8.5), doing="serving", up=True, children=[Process(9, 10.0)], exit_code=3, reason="x")
    store.write(state)
    assert store.read("kafka") == state
    assert store.read("simulator") is None
    assert store.read_all(["simulator", "kafka"]) == [state]
    store.forget("kafka")
    assert store.read("kafka") is None


def test_a_damaged_state_file_is_named(store: StateStore) -> None:
    store.write(state_of(Process(7, 8.5)))
    (store.folder / "kafka.json").write_text("{")
    with pytest.raises(ServiceError, match=r"kafka\.json cannot be read"):
        store.read("kafka")


def test_a_process_is_known_by_its_start_time_too() -> None:
    me = Process.of(psutil.Process())
    assert state_of(me).running
    assert not state_of(me).died
    stranger = Process(me.pid, me.created - 1000)
    assert stranger.find() is None, "the same number, but started at another time"
    assert state_of(stranger, doing="batch 3").died
    assert state_of(stranger, doing="batch 3").why == "it was killed while it was doing this: batch 3."


def test_an_end_is_a_death_unless_it_was_asked_for() -> None:
    gone = Process(1 << 22, 5.0)
    assert not state_of(gone, ended=9.0, exit_code=0, reason="done").died
    failed = state_of(gone, ended=9.0, exit_code=3, reason="Port 9092 is taken.")
    assert failed.died
    assert failed.why == "Port 9092 is taken."


def test_only_one_process_holds_the_lock_and_kill_frees_it(store: StateStore, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    store.write(state_of(Process(holder.pid, 0.0)))
    with pytest.raises(UsageError, match=rf"kafka is already running \(pid {holder.pid}\)"), store.only_one("kafka"):
        pytest.fail("two hold the lock")
    with store.only_one("simulator"):
        pass
    holder.kill()
    holder.communicate()
    with store.only_one("kafka"):
        pass


def test_the_reporter_writes_changes_and_children(store: StateStore) -> None:
    reporter = Reporter(store, state_of(Process.of(psutil.Process())))
    reporter.update(doing="serving", up=True)
    found = store.read("kafka")
    assert found is not None
    assert (found.doing, found.up) == ("serving", True)
    written = (store.folder / "kafka.json").stat().st_mtime_ns
    reporter.update(doing="serving")
    assert (store.folder / "kafka.json").stat().st_mtime_ns == written, "nothing changed, nothing is written"
    assert list(store.folder.iterdir()) == [store.folder / "kafka.json"], "no temporary file is left"


def test_ends_processes_and_kills_the_deaf() -> None:
    polite = sleeper()
    deaf = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    assert deaf.stdout is not None
    deaf.stdout.readline()
    found = [Process.of(psutil.Process(p.pid)) for p in (polite, deaf)]
    stranger = Process(os.getpid(), 1.0)
    assert end_processes([*found, stranger], grace_seconds=0.5) == 2
    assert all(process.find() is None for process in found)
    assert end_processes(found) == 0
