"""Connections of clients: how long one may be silent, and how many there may be.

A connection that waits for its client costs next to nothing, but there are only so many. One whose client does not send
a whole request in time is closed; where there are as many as may be, the one that has waited longest makes room. So
idle connections, however many, keep nobody out.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fink_broker.portal.keys import network_of

log = structlog.get_logger("fink_broker.portal")

#: seconds a client may take for the head of a request, from its connection or the end of the answer before
HEAD_SECONDS = 10.0
#: connections there may be
MOST_CONNECTIONS = 1000
#: open files that are left for everything else
OTHER_FILES = 200
#: share of the connections one address may have; a server in front of the API is one address too
SHARE_OF_AN_ADDRESS = 0.4
#: what a client reads for which there is no room
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/html; charset=utf-8\r\nretry-after: 2\r\n"
    b"connection: close\r\n\r\n{'status': 'error', 'text': 'The server has too many connections. Try again.\\n'}"
)


class Connections:
    """The connections of a server, those of them that wait for their client in the order in which they began to.

    Parameters
    ----------
    most : int
        Connections there may be.
    """

    def __init__(self, most: int) -> None:
        self._most, self._most_of_an_address = most, max(1, int(most * SHARE_OF_AN_ADDRESS))
        self._waiting: dict[str, dict[Connection, None]] = {}
        self._of: dict[str, set[Connection]] = {}

    def admit(self, connection: Connection) -> bool:
        """Take in a connection; one that waits is closed for it if need be. False if all are at work."""
        mine = self._of.get(connection.network, set())
        if len(mine) >= self._most_of_an_address and not self._close_one(connection.network):
            return False
        if len(self) >= self._most and not self._close_one(self._largest()):
            return False
        self._of.setdefault(connection.network, set()).add(connection)
        return True

    def wait(self, connection: Connection) -> None:
        """Note that a connection waits for its client from now on."""
        self._waiting.setdefault(connection.network, {})[connection] = None

    def work(self, connection: Connection) -> None:
        """Note that a connection waits no more."""
        waiting = self._waiting.get(connection.network, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(connection.network, None)

    def forget(self, connection: Connection) -> None:
        """Forget a connection that ended."""
        self.work(connection)
        of = self._of.get(connection.network, set())
        of.discard(connection)
        if not of:
            self._of.pop(connection.network, None)

    def __len__(self) -> int:
        """Return how many connections there are."""
        return sum(map(len, self._of.values()))

    def _largest(self) -> str:
        """Return the address with most connections that wait."""
        return max(self._waiting, key=lambda network: len(self._waiting[network]), default="")

    def _close_one(self, network: str) -> bool:
        oldest = next(iter(self._waiting.get(network, ())), None)
        if oldest is None:
            return False
        self.forget(oldest)
        oldest.transport.abort()
        return True


class Connection(HttpToolsProtocol):
    """A connection of a client.

    It waits from its beginning until a whole request is there, and again from the end of each answer.

    Attributes
    ----------
    all : Connections
        The connections of its server, to be set by `connections_of`.
    head_seconds : float
        Time its client may take for the head of a request, and to take what is left of an answer at its end.
    network : str
        Address of the client.
    """

    all: Connections
    head_seconds: float = HEAD_SECONDS
    network: str = "unknown"
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take in the connection, or refuse it."""
        super().connection_made(transport)
        self.network = network_of(self.client[0] if self.client else "")
        if self.all.admit(self):
            self._wait()
            return
        log.warning("too many connections", address=self.network)
        transport.write(FULL)
        self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self.all.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what the client sends, as long as the connection is not being closed."""
        if not self.transport.is_closing():
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to read a request, and let the application break the connection."""
        super().on_message_begin()
        self.scope["state"]["break_off"] = self.transport.abort

    def on_headers_complete(self) -> None:
        """Begin to answer a request; the time for its body is that of the request."""
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is there as a whole."""
        super().on_message_complete()
        if not self.cycle.response_complete:
            self.all.work(self)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self.cycle.response_complete:
            self._wait()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection: there is no further request."""
        self._close()

    def _wait(self) -> None:
        self._start_timer(self._close)
        self.all.wait(self)

    def _close(self) -> None:
        """Close the connection; break it if the client does not take what is left of an answer."""
        self.transport.close()
        self._start_timer(self.transport.abort)

    def _start_timer(self, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.head_seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def connections_of(server: Connections) -> type[Connection]:
    """Return the connections of one server, as uvicorn's ``http``."""
    attributes: dict[str, Any] = {"all": server}
    return type("ConnectionOfServer", (Connection,), attributes)


def most_connections() -> int:
    """Return how many connections there may be: as many as open files allow, `MOST_CONNECTIONS` at most."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(OTHER_FILES // 4, min(MOST_CONNECTIONS, files - OTHER_FILES))
