"""Connections to Thrift servers of HBase, shared by threads, replaced when they break.

Every call is safe to be repeated, so that one that fails because its connection was closed (the Thrift server closes
idle ones, and all when it restarts) is done again on a fresh one. A call that takes longer than allowed is not: who
asks has waited long enough.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import happybase
from Hbase_thrift import (  # happybase makes this module
    AlreadyExists,
    BatchMutation,
    ColumnDescriptor,
    IllegalArgument,
    Mutation,
    TScan,
)
from Hbase_thrift import IOError as HBaseError
from thriftpy2.thrift import TApplicationException, TException

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
        self._idle: list[happybase.Connection] = []
        self._preferred = 0

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
            return self._ask_twice(ask)
        except TimeoutError as error:
            raise self._away(f"within {self._timeout:g} s") from error
        except ANSWERS:
            raise
        except (TException, OSError) as error:
            raise self._away(f"({error!s})") from error
        finally:
            self._free.release()

    def _ask_twice(self, ask: Callable[[Any], T]) -> T:
        connection = self._idle_one() or self._fresh()
        try:
            return self._ask(connection, ask)
        except (*ANSWERS, TimeoutError):
            raise
        except (TException, OSError):  # closed by the server, who may be back already
            return self._ask(self._fresh(), ask)

    def close(self) -> None:
        """Close the connections nobody uses; others close when they are given back broken, or with the process."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _ask(self, connection: happybase.Connection, ask: Callable[[Any], T]) -> T:
        """Use a connection, and keep it for others if it is still good."""
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

    def _keep(self, connection: happybase.Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def _idle_one(self) -> happybase.Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _fresh(self) -> happybase.Connection:
        """Return a connection to the first server that takes one, beginning with the one that did last."""
        started = time.monotonic()
        refused: Exception = OSError()
        for number in range(len(self._servers)):
            which = (self._preferred + number) % len(self._servers)
            host, port = self._servers[which]
            try:
                connection = happybase.Connection(host, port, timeout=int(1000 * self._timeout), autoconnect=False)
                connection.open()
            except (TException, OSError) as error:
                refused = error
                if time.monotonic() - started > self._timeout:
                    break
                continue
            self._preferred = which
            return connection
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
