"""A running service tells of itself: every few seconds a sample, and a last one when it ends.

It never disturbs the service: it runs in a thread of its own, and whatever keeps a sample from being written (a full
disk, a storage that is away) is told once in the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from fink_broker.archive.storage import TEMPORARY, Storage
from fink_broker.config import Config
from fink_broker.metrics import registry
from fink_broker.metrics.log_tail import last_lines, scrub, secrets_of
from fink_broker.metrics.sample import FOLDER, Disk, ServiceSample, host_name

log = logging.getLogger(__name__)

#: For so long the end of a service waits for its last sample.
LAST_SECONDS = 5.0
#: Longest pause on a storage that is slow: a service that is silent for 30 s (see `SignsOfLife`) is called lost.
LONGEST_PAUSE_SECONDS = 20.0
_MIB, _GIB = 2**20, 2**30


class ProcessId(Protocol):
    """A process, as the state of a service names it."""

    @property
    def pid(self) -> int:
        """Its number."""


class State(Protocol):
    """What is known of a running service; the state the launcher keeps is one."""

    @property
    def name(self) -> str:
        """Name of the service."""

    @property
    def process(self) -> ProcessId:
        """The process that runs it."""

    @property
    def children(self) -> Sequence[ProcessId]:
        """Its child processes."""

    @property
    def since(self) -> float:
        """When it was started, unix seconds."""

    @property
    def log(self) -> str:
        """Path of its log."""

    @property
    def doing(self) -> str:
        """Its last message."""

    @property
    def up(self) -> bool:
        """Whether it has come up."""

    @property
    def ended(self) -> float | None:
        """When it ended, unix seconds."""

    @property
    def reason(self) -> str:
        """Why it ended."""


class Load:
    """Processor time and memory of some processes, from one look to the next."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._used: dict[int, float] = {}
        self._looked = 0.0

    def look(self, pids: Sequence[int]) -> tuple[float, float]:
        """Return percent of a core since the last look (0 at the first), and resident MiB; memory shared counts twice.

        Parameters
        ----------
        pids : sequence of int
            The processes; one that has gone is left out.
        """
        now = time.monotonic()
        processes, used, resident = {}, {}, 0
        for pid in dict.fromkeys(pids):
            with contextlib.suppress(psutil.Error, OSError):
                process = self._processes.get(pid) or psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    resident += process.memory_info().rss
                processes[pid], used[pid] = process, times.user + times.system
        # a process seen for the first time counts from then on: it may be as old as the machine
        busy = sum(max(0.0, seconds - self._used[pid]) for pid, seconds in used.items() if pid in self._used)
        percent = 100 * busy / (now - self._looked) if self._looked and now > self._looked else 0.0
        self._processes, self._used, self._looked = processes, used, now
        return percent, resident / _MIB


class Beacon:
    """Writes the samples of the service of this process.

    Parameters
    ----------
    config : Config
        Where samples go (``storage.online``), how often (``dashboard.sample_seconds``), with how many lines of the log.
    state : callable
        Returns what is known of the service at the moment.
    """

    def __init__(self, config: Config, state: Callable[[], State]) -> None:
        self._config, self._state = config, state
        self._host, self._secrets, self._load = host_name(), secrets_of(os.environ), Load()
        self._storage: Storage | None = None
        self._failed = False
        self._every = config.dashboard.sample_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beacon", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Write a last sample, if that can be done soon, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LAST_SECONDS)

    def sample(self) -> ServiceSample:
        """Return what is to be told now."""
        state = self._state()
        percent, mebibytes = self._load.look([state.process.pid, *(child.pid for child in state.children)])
        return ServiceSample(
            name=state.name,
            host=self._host,
            pid=state.process.pid,
            since=state.since,
            sampled=time.time(),
            up=state.up,
            doing=scrub(state.doing, self._secrets),
            ended=state.ended,
            reason=scrub(state.reason, self._secrets),
            cpu_percent=round(percent, 1),
            memory_mib=round(mebibytes, 1),
            log=last_lines(Path(state.log), self._config.dashboard.log_lines, self._secrets),
            metrics=registry.exposition(),
            disks=disks_of([self._config.storage.online, str(self._config.storage.state)]),
            every=round(self._every, 3),
        )

    def _run(self) -> None:
        stopped = False
        while not stopped:
            begun = time.monotonic()
            self._tell()
            stopped = self._stop.wait(self._pause_after(time.monotonic() - begun))
        self._tell()

    def _pause_after(self, seconds: float) -> float:
        """Return the pause after a sample that took some seconds; the next sample tells how seldom they come now."""
        usual = self._config.dashboard.sample_seconds
        # what takes long is done seldom: a storage that answers in minutes is not asked every second
        pause = max(usual, min(10 * seconds, LONGEST_PAUSE_SECONDS))
        self._every = usual if pause == usual else pause + seconds
        return pause

    def _tell(self) -> None:
        """Write a sample; what hinders it is told once, until it goes well again."""
        try:
            if self._storage is None:
                storage = Storage(self._config.storage.online)
                storage.make_folder(FOLDER)
                self._storage = storage
            sample = self.sample()
            put(self._storage, sample.path, sample.to_json())
            self._failed = False
        except Exception as error:  # whatever it is, the service goes on
            self._storage = None
            if not self._failed:
                log.warning("the dashboard does not hear of this service: %s", error)
            self._failed = True


def put(storage: Storage, path: str, content: bytes) -> None:
    """Replace a small file as a whole; unlike a commit it need not survive a power cut.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder, _, name = path.rpartition("/")
    temporary, target = f"{storage.root}/{folder}/.{name}{TEMPORARY}", f"{storage.root}/{path}"
    try:
        with storage.files.open_output_stream(temporary) as stream:
            stream.write(content)
        try:
            storage.files.move(temporary, target)
        except OSError:
            if storage.is_local:
                raise
            storage.remove(path)  # HDFS replaces nothing
            storage.files.move(temporary, target)
    except OSError:
        with contextlib.suppress(OSError):
            storage.files.delete_file(temporary)
        raise


def disks_of(locations: Sequence[str]) -> tuple[Disk, ...]:
    """Return the disks some folders are on, each once; what is no local folder is left out."""
    found: dict[int, Disk] = {}
    for location in locations:
        if "://" in location:
            continue
        folder = Path(location).absolute()
        with contextlib.suppress(OSError, StopIteration):
            there = next(path for path in (folder, *folder.parents) if path.exists())
            usage = shutil.disk_usage(there)
            found.setdefault(
                there.stat().st_dev, Disk(str(folder), round(usage.free / _GIB, 3), round(usage.total / _GIB, 3))
            )
    return tuple(found.values())
