"""What is known of each service: one small JSON file a service, and a lock that only one process can hold.

A file alone cannot say whether a service runs: after ``kill -9`` it still reads "running". A process is
therefore known by its id *and* its start time, and a single instance is granted by a lock that the
kernel frees when its holder is gone, however it went.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from fink_broker.errors import ServiceError, UsageError

CREATE_TIME_SLACK = 1.0  # seconds; psutil derives the start time from the boot time, which may be adjusted


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number.

    Parameters
    ----------
    pid : int
        Process id.
    created : float
        Start time, seconds since 1970.
    """

    pid: int
    created: float

    @classmethod
    def of(cls, process: psutil.Process) -> Process:
        """Return the identity of a running process."""
        return cls(process.pid, process.create_time())

    def find(self) -> psutil.Process | None:
        """Return the running process, None if it has gone."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > CREATE_TIME_SLACK:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None


@dataclass(frozen=True)
class ServiceState:
    """What one service last told of itself.

    Parameters
    ----------
    name : str
        Name of the service.
    process : Process
        The process that runs it.
    since : float
        When it was started, seconds since 1970.
    log : str
        Path of its log.
    config : str
        Path of the configuration file it was started with.
    command : list of str
        How it was started, as the user would type it.
    doing : str
        Its last message.
    up : bool
        Whether it has come up: it has said something other than that it is starting.
    children : list of Process
        Its child processes (Java machines, Python workers).
    ended : float or None
        When it ended, seconds since 1970; None while it runs, and if it was killed.
    exit_code : int or None
        How it ended.
    reason : str
        Why it ended.
    """

    name: str
    process: Process
    since: float
    log: str
    config: str
    command: list[str]
    doing: str = ""
    up: bool = False
    children: list[Process] = field(default_factory=list)
    ended: float | None = None
    exit_code: int | None = None
    reason: str = ""

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.ended is None and self.process.find() is not None

    @property
    def died(self) -> bool:
        """Whether it ended without being asked to."""
        return not self.running and self.exit_code != 0

    @property
    def why(self) -> str:
        """Why it died, in one line."""
        if self.ended is None:
            return f"it was killed while it was doing this: {self.doing}." if self.doing else "it was killed."
        return self.reason

    def to_json(self) -> str:
        """Return the content of the state file."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> ServiceState:
        """Read what `to_json` has written."""
        raw: dict[str, Any] = json.loads(text)
        raw["process"] = Process(**raw["process"])
        raw["children"] = [Process(**child) for child in raw["children"]]
        return cls(**raw)


class StateStore:
    """The folder of all state files.

    Parameters
    ----------
    state_folder : Path
        ``storage.state`` of the configuration.
    """

    def __init__(self, state_folder: Path) -> None:
        self.folder = state_folder / "services"
        self.logs = state_folder / "logs"

    def log_path(self, name: str) -> Path:
        """Return where a service writes its log."""
        return self.logs / f"{name}.log"

    def read(self, name: str) -> ServiceState | None:
        """Return the state of a service, None if it was never started."""
        try:
            return ServiceState.from_json((self.folder / f"{name}.json").read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ServiceError(
                f"The state file {self.folder / name}.json cannot be read: {error}.", "Delete it and try again."
            ) from error

    def read_all(self, names: Iterable[str]) -> list[ServiceState]:
        """Return the known states of the named services, in that order."""
        return [state for state in map(self.read, names) if state is not None]

    def write(self, state: ServiceState) -> None:
        """Replace a state file as a whole, so that a reader never sees half of one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{state.name}.{os.getpid()}.{threading.get_ident()}"
        temporary.write_text(state.to_json())
        temporary.replace(self.folder / f"{state.name}.json")

    def forget(self, name: str) -> None:
        """Drop the state of a service that has ended."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)

    @contextmanager
    def only_one(self, name: str) -> Iterator[None]:
        """Hold the lock of a service.

        Raises
        ------
        UsageError
            If another process holds it: the service runs already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                state = self.read(name)
                pid = f" (pid {state.process.pid})" if state else ""
                raise UsageError(
                    f"The service {name} is already running{pid}.", f"Stop it with `fink stop {name}`."
                ) from error
            yield


class Reporter:
    """Keeps the state file of the running service up to date.

    Parameters
    ----------
    store : StateStore
        Where the state is kept.
    state : ServiceState
        The state at the start.
    """

    def __init__(self, store: StateStore, state: ServiceState) -> None:
        self._store = store
        self._state = state
        self._lock = threading.Lock()
        store.write(state)

    @property
    def state(self) -> ServiceState:
        """The state as last written."""
        return self._state

    def update(self, **changes: object) -> None:
        """Change fields of the state; nothing is written if nothing changes."""
        with self._lock:
            state = replace(self._state, **changes)  # type: ignore[arg-type]
            if state != self._state:
                self._state = state
                self._store.write(state)

    def watch_children(self, stop: threading.Event, seconds: float = 1.0) -> None:
        """Note the child processes until ``stop``: the next start ends those that a crash leaves behind."""
        me = psutil.Process()
        while not stop.wait(seconds):
            self.update(children=children_of(me))


def children_of(process: psutil.Process) -> list[Process]:
    """Return the living descendants of a process."""
    found = []
    try:
        descendants = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    for child in descendants:
        try:
            found.append(Process.of(child))
        except psutil.NoSuchProcess:
            continue
    return found


def end_processes(processes: Iterable[Process], grace_seconds: float = 10.0) -> int:
    """Ask processes to end, kill those that do not; return how many there were."""
    alive = [found for process in processes if (found := process.find()) is not None]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in alive:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, left = psutil.wait_procs(alive, timeout=grace_seconds if number == signal.SIGTERM else 5.0)
        if not left:
            break
    return len(alive)


def now() -> float:
    """Return the time, seconds since 1970."""
    return time.time()
