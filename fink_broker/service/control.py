"""Act on services from outside: start one in the background, stop them, look at them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import psutil

from fink_broker.errors import ServiceError, UsageError
from fink_broker.service import logs
from fink_broker.service.catalogue import SERVICES
from fink_broker.service.state import ServiceState, StateStore, end_processes, now

UP_SECONDS = 180.0
LOG_LINES_OF_A_DEATH = 10
#: feeders first, so that each service can finish what it has in hand
STOP_ORDER = (
    "simulator", "checkstream", "stream2raw", "raw2science", "distribution", "archive", "notifier", "tom", "portal",
    "api", "dashboard",
)  # fmt: skip
#: what the others need to finish
SERVERS = ("hbase", "kafka")


def spawn(store: StateStore, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start ``fink start <name> <arguments>`` in its own session, its output in the service's log.

    Raises
    ------
    UsageError
        If the service is running already.
    """
    state = store.read(name)
    if state is not None and state.running:
        raise UsageError(
            f"The service {name} is already running (pid {state.process.pid}).", f"Stop it with `fink stop {name}`."
        )
    path = store.log_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    logs.rotate(path)
    with path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "fink_broker", "start", name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {DETACHED: "1"},
        )


#: set for a service in the background: its standard output is its log
DETACHED = "FINK_DETACHED"


def wait_until_up(
    store: StateStore,
    name: str,
    process: subprocess.Popen[bytes],
    seconds: float = UP_SECONDS,
    on_change: Callable[[str], None] = lambda _doing: None,
) -> ServiceState | None:
    """Wait until a service in the background has come up; return its state, None if it takes longer.

    Raises
    ------
    ServiceError
        If it ended instead; the message says why, the hint holds the last lines of its log.
    """
    deadline, doing = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        code = process.poll()
        state = store.read(name)
        mine = state is not None and state.process.pid == process.pid
        if mine and state is not None and (state.up or (code == 0 and state.exit_code == 0)):
            return state
        if code is not None:
            reason = state.why if mine and state is not None else f"exit code {code}"
            tail = "\n".join(logs.last_lines(store.log_path(name), LOG_LINES_OF_A_DEATH))
            raise ServiceError(f"{name} did not come up: {reason}", f"\nLast lines of {store.log_path(name)}:\n{tail}")
        if mine and state is not None and state.doing != doing:
            doing = state.doing
            on_change(doing)
        time.sleep(0.1)
    return None


def wait_until_all_up(
    store: StateStore, started: Mapping[str, subprocess.Popen[bytes]], grace_seconds: float, seconds: float = UP_SECONDS
) -> None:
    """Wait until all services that were started together have come up; end them all if one does not.

    Parameters
    ----------
    store : StateStore
        Where their states are.
    started : mapping of str to Popen
        Their processes by name.
    grace_seconds : float
        How long they may take to end.
    seconds : float
        How long each may take to come up.

    Raises
    ------
    ServiceError
        If one does not come up.
    """
    try:
        for name, process in started.items():
            if wait_until_up(store, name, process, seconds) is None:
                raise ServiceError(f"{name} has not come up in {seconds:.0f} s.", f"See `fink logs {name}`.")
    except ServiceError:
        end_in_order(started, grace_seconds)
        raise


def end_in_order(started: Mapping[str, subprocess.Popen[bytes]], grace_seconds: float) -> None:
    """End services, also such as have no state yet: first those that use HBase and Kafka, then these."""
    users = [process for name, process in started.items() if name not in SERVERS]
    servers = [process for name, process in started.items() if name in SERVERS]
    for group in (users, servers):
        for process in group:
            process.terminate()
        for process in group:
            try:
                process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Stopped:
    """How stopping a service went.

    Parameters
    ----------
    name : str
        The service.
    seconds : float
        How long it took to drain.
    killed : bool
        Whether it had to be killed.
    exit_code : int or None
        Its exit code.
    """

    name: str
    seconds: float
    killed: bool
    exit_code: int | None


def stop_signal() -> signal.Signals:
    """Return the signal that asks a service to stop: the environment's ``SIGNAL`` (name or number), else TERM."""
    text = os.environ.get("SIGNAL", "TERM").strip().upper()
    try:
        return signal.Signals(int(text)) if text.isdigit() else signal.Signals["SIG" + text.removeprefix("SIG")]
    except (KeyError, ValueError):
        raise UsageError(f"SIGNAL is {text}, which is not a signal.", "Use for example TERM, INT or KILL.") from None


def stop_together(
    store: StateStore,
    states: list[ServiceState],
    grace_seconds: float,
    on_done: Callable[[Stopped], None] = lambda _stopped: None,
) -> list[Stopped]:
    """Ask services to stop, wait until all have, kill those that take too long.

    Parameters
    ----------
    store : StateStore
        Where their states are.
    states : list of ServiceState
        The running services to stop.
    grace_seconds : float
        How long they may take.
    on_done : callable
        Called for each as soon as it has ended.
    """
    number, began = stop_signal(), time.monotonic()
    waiting = {state.name: (state, process) for state in states if (process := state.process.find())}
    for _state, process in waiting.values():
        _send(process, number)
    stopped = []
    while waiting:
        late = time.monotonic() - began > grace_seconds
        for name, (state, process) in list(waiting.items()):
            if late and state.process.find():
                _send(process, signal.SIGKILL)
                psutil.wait_procs([process], timeout=10)
            if state.process.find() is None:
                del waiting[name]
                last = store.read(name) or state
                end_processes(last.children, grace_seconds=10.0)
                killed = last.ended is None
                if killed:  # asked for here, hence no death for `fink show` to report
                    store.write(replace(last, ended=now(), exit_code=0, reason="killed by fink stop", children=[]))
                stopped.append(Stopped(name, time.monotonic() - began, killed and late, last.exit_code))
                on_done(stopped[-1])
        time.sleep(0.05)
    return stopped


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def in_stop_order(states: list[ServiceState]) -> list[list[ServiceState]]:
    """Return the states as groups to stop one after the other: all that use HBase and Kafka, then these."""
    rank = {name: place for place, name in enumerate(STOP_ORDER)}
    users = sorted((s for s in states if s.name not in SERVERS), key=lambda s: rank.get(s.name, len(rank)))
    servers = sorted((s for s in states if s.name in SERVERS), key=lambda s: SERVERS.index(s.name))
    return [group for group in (users, servers) if group]


def known(store: StateStore) -> list[ServiceState]:
    """Return the states of all services that were ever started, in the order of the catalogue."""
    return store.read_all(SERVICES)
