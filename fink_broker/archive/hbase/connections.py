"""Connections to Thrift servers of HBase, shared by threads, replaced when they break.

Every call is safe to be repeated, so that one that fails because its connection was closed (the Thrift server closes
idle ones, and all when it restarts) is done again on a fresh one. A call that takes longer than allowed is not: who
asks has waited long enough, and for a moment nobody else is let in to wait as long (`breaker.Breaker`).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import happybase  # noqa: F401 - makes the module Hbase_thrift
from Hbase_thrift import (
    AlreadyExists,
    BatchMutation,
    ColumnDescriptor,
    Hbase,
    IllegalArgument,
    Mutation,
    TScan,
)
from Hbase_thrift import IOError as HBaseError
from thriftpy2.protocol import TBinaryProtocol
from thriftpy2.thrift import TApplicationException, TClient, TException
from thriftpy2.transport import TBufferedTransport, TSocket

from fink_broker.archive.hbase.breaker import Breaker
from fink_broker.errors import ArchiveAway, ConfigError

__all__ = [
    "AlreadyExists",
    "BatchMutation",
    "ColumnDescriptor",
    "Connections",
    "HBaseError",
    "IllegalArgument",
    "Mutation",
    "TApplicationException",
    "TScan",
]

T = TypeVar("T")
#: what HBase says deliberately: the connection is as good as before
ANSWERS = (HBaseError, IllegalArgument, AlreadyExists, TApplicationException)
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_WAY_OUT = "Start it with `fink start hbase`, or name the Thrift servers of a cluster in `hbase.servers`."
#: from a question that had no answer in time to the next that is asked
_PAUSE_SECONDS = 1.5


class _Socket(TSocket):
    """A socket with a time by which all must be read and written, however many pieces it comes in."""

    until = 0.0

    def read(self, size: int) -> bytes:
        """Return what has come, up to some bytes."""
        self._allow_the_rest()
        return bytes(super().read(size))

    def write(self, content: bytes) -> None:
        """Send bytes."""
        self._allow_the_rest()
        super().write(content)

    def _allow_the_rest(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)


class _Connection:
    """A connection to one server, and a client that speaks over it."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = _Socket(host, port)
        self._transport = TBufferedTransport(self._socket)
        self.client = TClient(Hbase, TBinaryProtocol(self._transport, decode_response=False))

    def allow_until(self, until: float) -> None:
        """Set the time by which answers must have come, on the clock of ``time.monotonic``."""
        self._socket.until = until

    def open(self, seconds: float) -> None:
        """Connect within some seconds."""
        self._socket.set_timeout(1000 * seconds)
        self._transport.open()

    def close(self) -> None:
        """Disconnect; whoever waits for an answer is told at once."""
        self._transport.close()


class Connections:
    """A few connections, each used by one thread at a time.

    Parameters
    ----------
    servers : str
        ``host:port`` of Thrift servers, separated by commas; one that does not answer is passed over.
    most : int
        Connections at the same time; further callers wait for one.
    timeout_seconds : float
        How long an answer may take, and how long a caller waits for a connection.

    Raises
    ------
    ConfigError
        If the servers are not given as ``host:port``.
    """

    def __init__(self, servers: str, most: int, timeout_seconds: float) -> None:
        self._servers = _parsed(servers)
        self._timeout = timeout_seconds
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._preferred = 0
        self._breaker = Breaker(len(self._servers), _PAUSE_SECONDS, timeout_seconds)

    def call(self, ask: Callable[[Any], T]) -> T:
        """Return what a function of a Thrift client returns.

        Parameters
        ----------
        ask : callable
            Makes requests that may be repeated.

        Raises
        ------
        ArchiveAway
            If no server can be reached, or an answer takes too long.
        Hbase_thrift.IOError, Hbase_thrift.IllegalArgument, Hbase_thrift.AlreadyExists
            What HBase answers.
        """
        if not self._free.acquire(timeout=self._timeout):
            raise ArchiveAway(
                f"All connections to HBase have been busy for {self._timeout:g} s.",
                "Ask again later; `hbase.connections` allows for more.",
            )
        try:
            self._breaker.require_closed()
            return self._answer(ask)
        finally:
            self._free.release()

    def _answer(self, ask: Callable[[Any], T]) -> T:
        started = time.monotonic()
        try:
            answer = self._ask_twice(ask, started + self._timeout)
        except TimeoutError as error:
            away = self._away(f"within {self._timeout:g} s")
            self._breaker.in_vain(started, away)
            raise away from error
        except ANSWERS:
            self._breaker.answered()
            raise
        except (TException, OSError) as error:
            self._breaker.answered()  # with a closed door: that is told at once, also when it opens again
            raise self._away(f"({error!s})") from error
        self._breaker.answered()
        return answer

    def _ask_twice(self, ask: Callable[[Any], T], until: float) -> T:
        connection = self._idle_one() or self._fresh(until)
        try:
            return self._ask(connection, ask, until)
        except (*ANSWERS, TimeoutError):
            raise
        except (TException, OSError):  # closed by the server, who may be back already
            return self._ask(self._fresh(until), ask, until)

    def close(self) -> None:
        """Close the connections nobody uses; others close when they are given back broken, or with the process."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _ask(self, connection: _Connection, ask: Callable[[Any], T], until: float) -> T:
        """Use a connection, and keep it for others if it is still good."""
        connection.allow_until(until)
        try:
            answer = ask(connection.client)
        except ANSWERS:
            self._keep(connection)
            raise
        except BaseException:  # whatever it was, what remains to be read on this connection is unknown
            with suppress(Exception):
                connection.close()
            self.close()
            raise
        self._keep(connection)
        return answer

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def _idle_one(self) -> _Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _fresh(self, until: float) -> _Connection:
        """Return a connection to the first server that takes one, beginning with the one that did last."""
        for number in range(len(self._servers)):
            which = (self._preferred + number) % len(self._servers)
            left = until - time.monotonic()
            if left <= 0:
                break
            connection = _Connection(*self._servers[which])
            try:
                connection.open(left / (len(self._servers) - number))
            except (TException, OSError) as error:
                refused: Exception = error
                continue
            self._preferred = which
            return connection
        if time.monotonic() >= until:
            raise TimeoutError
        raise refused

    def _away(self, how: str) -> ArchiveAway:
        names = ", ".join(f"{host}:{port}" for host, port in self._servers)
        # the next caller begins with another server: this one may hang
        self._preferred = (self._preferred + 1) % len(self._servers)
        return ArchiveAway(f"HBase does not answer at {names} {how}.", _WAY_OUT)


def _parsed(servers: str) -> list[tuple[str, int]]:
    found = []
    for server in servers.split(","):
        address = _ADDRESS.fullmatch(server.strip())
        if address is None:
            raise ConfigError(
                f"`hbase.servers` names {server.strip()!r}, which is not host:port.",
                "Give Thrift servers as host:port, separated by commas.",
            )
        found.append((address[1].strip("[]"), int(address[2])))
    return found
