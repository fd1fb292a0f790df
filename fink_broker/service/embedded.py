"""What the embedded Kafka and the embedded HBase have in common: Java processes that live and end together."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from fink_broker.errors import ServiceError
from fink_broker.service.java_process import JavaProcess

#: A server that neither answers nor writes to its log for so long does not come up.
SILENT_SECONDS = 120.0
#: What takes longer than this is more than starting: it recovers what a killed one had not put away.
USUAL_SECONDS = 20.0


class EmbeddedServer(ABC):
    """A Java server of ours, reachable from this machine only.

    Parameters
    ----------
    name : str
        What it is called in messages.
    *processes : JavaProcess
        What it consists of, in the order in which they are started.
    """

    def __init__(self, name: str, *processes: JavaProcess) -> None:
        self.name = name
        self._processes = processes

    @abstractmethod
    def start(self) -> None:
        """Start it; it is not up yet when this returns.

        Raises
        ------
        ServiceError
            If a port is taken, or there is no Java 17.
        """

    @abstractmethod
    def is_up(self) -> bool:
        """Tell whether it answers, and can do all that is asked of it."""

    @property
    def running(self) -> bool:
        """Whether one of its processes is there."""
        return any(process.running for process in self._processes)

    def check(self) -> None:
        """Raise ServiceError if one of its processes has ended by itself."""
        for process in self._processes:
            process.check()

    def wait_until_up(self, stop: threading.Event, say: Callable[[str], None] | None = None) -> None:
        """Wait until it is up, or told to stop: as long as its processes live, and its logs grow.

        Parameters
        ----------
        stop : threading.Event
            Ends the waiting.
        say : callable, optional
            Told when it takes longer than usual.

        Raises
        ------
        ServiceError
            If a process ends, or there is no sign of life for two minutes.
        """
        started = heard = time.monotonic()
        told = self._told()
        while not self.is_up():
            if stop.wait(0.1):
                return
            self.check()
            now = time.monotonic()
            if self._told() != told:
                told, heard = self._told(), now
            if now - heard > SILENT_SECONDS:
                logs = " and ".join(str(process.log) for process in self._processes)
                raise ServiceError(
                    f"{self.name} has neither answered nor written to its log for {SILENT_SECONDS:.0f} s.",
                    f"See {logs}.",
                )
            if say is not None and now - started > USUAL_SECONDS:
                say(f"starting: {self.name} is recovering")

    def terminate(self) -> None:
        """Close it in order; kill what takes longer than 30 s."""
        for process in reversed(self._processes):
            process.terminate()

    def _told(self) -> int:
        return sum(process.bytes_told for process in self._processes)


def serve(server: EmbeddedServer, serving: str, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run a server until told to stop.

    Parameters
    ----------
    server : EmbeddedServer
        The server.
    serving : str
        What to say when it is up.
    stop : threading.Event
        Ends it.
    say : callable
        Told what is going on.

    Raises
    ------
    JavaMissing
        If there is no Java 17.
    ServiceError
        If a port is taken, or it ends by itself.
    """
    say(f"starting {server.name}")
    try:
        server.start()
        server.wait_until_up(stop, say)
        if not stop.is_set():
            say(serving)
        while not stop.wait(0.5):
            server.check()
    finally:
        if server.running:
            say(f"closing {server.name}")
        server.terminate()
