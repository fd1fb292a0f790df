"""The store on a real HBase: the contract, and what happens when connections break or the database hangs."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from store_contract import StoreContract, rows_of

from fink_broker.archive.hbase.hbase_store import HBaseStore
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.errors import ArchiveAway
from fink_broker.service.hbase import HBaseServer

pytestmark = pytest.mark.integration


class TestHBaseStore(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, hbase: HBaseServer) -> Iterator[HBaseStore]:
        store = HBaseStore(hbase.address, connections=4)
        yield store
        store.close()


@pytest.fixture(scope="module")
def table(hbase: HBaseServer) -> str:
    name, store = f"t{uuid.uuid4().hex[:8]}", HBaseStore(hbase.address)
    store.create_tables({name: ["alert"]})
    store.put(name, rows_of(500))
    store.close()
    return name


class Relay:
    """A port before HBase that can cut its connections, and close."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._target = (host, int(port))
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections there are."""
        for each in self._open:
            with suppress(OSError):  # the other end may have been faster
                each.shutdown(socket.SHUT_RDWR)
        self._open = []

    def close(self) -> None:
        """Take no further connection, and end those there are."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self.accepted += 1
            self._open += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def test_connections_that_break_are_replaced_also_in_the_middle_of_a_scan(hbase, table):
    relay = Relay(hbase.address)
    store = HBaseStore(relay.address, connections=2)
    scan = store.scan(table, ALL_KEYS, page=50)
    rows = [next(scan) for _ in range(120)]
    relay.cut()
    rows += scan
    assert rows == rows_of(500)
    relay.cut()
    store.put(table, rows_of(3))
    relay.cut()
    assert store.get(table, [b"k00001"]) == [rows[1][1]]
    assert relay.accepted == 4
    relay.close()
    started = time.monotonic()
    with pytest.raises(ArchiveAway, match=f"{relay.address}.*fink start hbase"):
        store.get(table, [b"k00001"])
    assert time.monotonic() - started < 5


def test_a_server_that_is_gone_is_passed_over(hbase, table):
    relay = Relay(hbase.address)
    gone = relay.address
    relay.close()
    store = HBaseStore(f"{gone}, {hbase.address}", connections=2)
    assert list(store.scan(table, ALL_KEYS)) == rows_of(500)
    store.close()


def test_a_server_that_cuts_every_connection_is_away_and_keeps_nobody(hbase, table):
    deaf = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        while True:
            deaf.accept()[0].close()

    threading.Thread(target=hang_up, daemon=True).start()
    store = HBaseStore(f"127.0.0.1:{deaf.getsockname()[1]}", connections=1, timeout_seconds=1)
    for _ in range(3):  # each gives its connection back, or the next would wait in vain
        with pytest.raises(ArchiveAway, match="does not answer"):
            store.put(table, rows_of(1))


def test_a_database_that_hangs_is_away_within_the_time_allowed_and_back_after(hbase, table):
    store = HBaseStore(hbase.address, connections=2, timeout_seconds=1.5)
    assert len(store.get(table, [b"k00000"])) == 1
    master = hbase.master.pid
    assert master
    os.kill(master, signal.SIGSTOP)
    try:
        scan = store.scan(table, ALL_KEYS, page=10)
        for ask in (lambda: store.put(table, rows_of(1)), lambda: next(scan)):
            started = time.monotonic()
            with pytest.raises(ArchiveAway, match=r"within 1\.5 s"):
                ask()
            assert time.monotonic() - started < 5
    finally:
        os.kill(master, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while True:
        try:
            assert list(store.scan(table, ALL_KEYS)) == rows_of(500)
            return
        except ArchiveAway:
            assert time.monotonic() < deadline
