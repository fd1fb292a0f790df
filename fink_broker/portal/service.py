"""The service ``api``: the REST API behind uvicorn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import uvicorn

from fink_broker.config import Config
from fink_broker.config.listening import listening

#: seconds open requests are given when the service is stopped
GRACE_SECONDS = 10
#: seconds a connection is kept for a client that asks nothing
IDLE_SECONDS = 5


class _Server(uvicorn.Server):
    """A server that leaves signals to the launcher."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change nothing about signals."""
        yield


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Serve the API until told to stop (a service entry point); HBase may come and go meanwhile.

    Raises
    ------
    ServiceError
        If the address is taken or cannot be listened at.
    """
    listener = listening(config.api.host, config.api.port, "The API", "api", backlog=512)
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own pool keeps what the largest answers took
    say("starting: reading the routes")
    from fink_broker.archive.hbase.open import open_archive  # noqa: PLC0415  (the port is looked at first)
    from fink_broker.portal.app import create_app  # noqa: PLC0415
    from fink_broker.portal.connections import Connections, connections_of, most_connections  # noqa: PLC0415
    from fink_broker.portal.providers.open import open_providers  # noqa: PLC0415

    archive = open_archive(config)
    app = create_app(config, archive, open_providers(config))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)  # requests are logged by the application
    server = _Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=connections_of(Connections(most_connections())),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # anyone can write them, and quotas go by address
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    threading.Thread(target=_stop_with, args=(stop, server), name="stop", daemon=True).start()
    say(f"serving at {_url(config)}/api")
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        archive.store.close()


def _stop_with(stop: threading.Event, server: uvicorn.Server) -> None:
    stop.wait()
    server.should_exit = True


def _url(config: Config) -> str:
    host = f"[{config.api.host}]" if ":" in config.api.host else config.api.host
    return (config.api.public_url or f"http://{host}:{config.api.port}").rstrip("/")
