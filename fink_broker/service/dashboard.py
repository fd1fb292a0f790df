"""The service ``dashboard``: the monitor's pages, told of the services of this host."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.metrics.log_tail import last_lines, secrets_of
from fink_broker.monitor.board.views import ServiceView
from fink_broker.monitor.dashboard.service import serve
from fink_broker.service.catalogue import SERVICES
from fink_broker.service.state import ServiceState, StateStore


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Serve the dashboard until told to stop (a service entry point); everything else may come and go meanwhile.

    Raises
    ------
    ServiceError
        If the address is taken or cannot be listened at.
    """
    serve(config, HostServices(config), stop, say)


class HostServices:
    """The services of this host, as their states and logs tell.

    Parameters
    ----------
    config : Config
        Says where states are, and how many lines of each log are shown.
    """

    def __init__(self, config: Config) -> None:
        self._store = StateStore(config.storage.state)
        self._lines = config.dashboard.log_lines
        self._host = socket.gethostname()
        self._secrets = secrets_of(os.environ)
        self._processes: dict[int, psutil.Process] = {}

    def look(self) -> list[ServiceView]:
        """Return every service that was ever started here, in the order of the catalogue."""
        views = [view for name in SERVICES if (view := self._look_at(name)) is not None]
        running = {view.pid for view in views}
        self._processes = {pid: process for pid, process in self._processes.items() if pid in running}
        return views

    def _look_at(self, name: str) -> ServiceView | None:
        """Return one service, None if it was never started."""
        try:
            state = self._store.read(name)
        except ServiceError as error:
            changed = _changed(self._store.folder / f"{name}.json")
            return ServiceView(name, self._host, "lost", why=error.message, last_seen=changed)
        return None if state is None else self._view(state)

    def _view(self, state: ServiceState) -> ServiceView:
        running = state.running
        word = ("up" if state.up else "starting") if running else ("died" if state.died else "stopped")
        cpu, memory = self._usage(state.process.pid) if running else (None, None)
        log = Path(state.log)
        return ServiceView(
            name=state.name,
            host=self._host,
            state=word,  # type: ignore[arg-type]  # one of the words a view knows
            since=state.since,
            ended=state.ended,
            pid=state.process.pid if running else None,
            doing=state.doing,
            why=state.why if state.died else "",
            cpu_percent=cpu,
            memory_mib=memory,
            last_seen=max(_changed(file) or 0.0 for file in (self._store.folder / f"{state.name}.json", log)) or None,
            log=last_lines(log, self._lines, self._secrets),
        )

    def _usage(self, pid: int) -> tuple[float | None, float | None]:
        """Return processor share in percent since the last look, and resident memory in MiB, of a process alone."""
        try:
            process = self._processes.setdefault(pid, psutil.Process(pid))
            return process.cpu_percent(), round(process.memory_info().rss / 1024**2, 1)
        except psutil.Error:
            return None, None


def _changed(file: Path) -> float | None:
    """Return when a file was last written to, unix seconds; None if that cannot be told."""
    try:
        return file.stat().st_mtime
    except OSError:
        return None
