"""Serving the dashboard behind uvicorn."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from fink_broker.config import Config
from fink_broker.config.listening import listening
from fink_broker.monitor.board import Board
from fink_broker.monitor.board.services import LocalServices
from fink_broker.monitor.dashboard.app import create_app
from fink_broker.monitor.dashboard.events import Broadcast

#: seconds open requests are given when the service is stopped
GRACE_SECONDS = 3
IDLE_SECONDS = 15
#: connections at the same time: listeners, and as many that ask for something else
MOST_CONNECTIONS = 400
_LOOPBACK = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104  (names, nothing listens here)


class _Server(uvicorn.Server):
    """A server that leaves signals to the launcher."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change nothing about signals."""
        yield


def serve(config: Config, local: LocalServices, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Serve the dashboard until told to stop.

    Parameters
    ----------
    config : Config
        The configuration in force; section ``[dashboard]``.
    local : LocalServices
        Who knows the services of this host.
    stop : threading.Event
        Set to end it.
    say : callable
        Takes one line on what it is doing.

    Raises
    ------
    ServiceError
        If the address is taken or cannot be listened at.
    """
    listener = listening(config.dashboard.host, config.dashboard.port, "The dashboard", "dashboard")
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    app = create_app(Board(config, local, os.environ))
    server = _Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    stopping = threading.Thread(target=_stop_with, args=(stop, server, app.state.broadcast), name="stop", daemon=True)
    stopping.start()
    say(f"Dashboard served at {address(config)}")
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()


def address(config: Config) -> str:
    """Return where a browser on this machine finds the dashboard."""
    host = config.dashboard.host
    host = "localhost" if host in _LOOPBACK else f"[{host}]" if ":" in host else host
    return f"http://{host}:{config.dashboard.port}"


def _stop_with(stop: threading.Event, server: uvicorn.Server, broadcast: Broadcast) -> None:
    stop.wait()
    broadcast.close()
    server.should_exit = True
