from __future__ import annotations

import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from thriftpy2.thrift import TApplicationException

from fink_broker.archive.hbase import connections, hbase_store
from fink_broker.archive.hbase.breaker import Breaker
from fink_broker.archive.hbase.hbase_store import HBaseStore
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.config.model import Config, HBaseConfig
from fink_broker.errors import ArchiveAway, ConfigError, DataError


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_nobody_at_the_port_is_told_at_once_with_the_way_out():
    store = HBaseStore(f"127.0.0.1:{closed_port()},127.0.0.1:{closed_port()}", timeout_seconds=5)
    started = time.monotonic()
    for ask in (
        lambda: store.put("t", [(b"a", {b"alert:row": b"1"})]),
        lambda: store.get("t", [b"a"]),
        lambda: list(store.scan("t", ALL_KEYS)),
        lambda: store.delete("t", [b"a"]),
        lambda: store.create_tables({"t": ["alert"]}),
    ):
        with pytest.raises(ArchiveAway, match=r"does not answer at 127\.0\.0\.1:.*fink start hbase"):
            ask()
    assert time.monotonic() - started < 2


def test_a_server_that_never_answers_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = HBaseStore(f"127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.3)
        started = time.monotonic()
        with pytest.raises(ArchiveAway, match=r"within 0\.3 s"):
            store.get("t", [b"a"])
        assert 0.2 < time.monotonic() - started < 2


def test_a_server_that_drips_its_answer_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as dripping:

        def drip() -> None:
            connection, _ = dripping.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                header = struct.pack("!II13sI", 0x80010002, 13, b"getTableNames", 0)
                for byte in header + struct.pack("!BhBII", 15, 0, 11, 1, 1000) + b"x" * 1000:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.02)

        threading.Thread(target=drip, daemon=True).start()
        store = HBaseStore(f"127.0.0.1:{dripping.getsockname()[1]}", timeout_seconds=0.4)
        started = time.monotonic()
        with pytest.raises(ArchiveAway, match=r"within 0\.4 s"):
            store.create_tables({"t": ["alert"]})
        assert 0.3 < time.monotonic() - started < 2


def test_while_a_server_hangs_only_one_at_a_time_waits_for_it(monkeypatch):
    monkeypatch.setattr(connections, "_PAUSE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = HBaseStore(f"127.0.0.1:{silent.getsockname()[1]}", connections=8, timeout_seconds=0.3)

        def ask() -> float:
            started = time.monotonic()
            with pytest.raises(ArchiveAway, match=r"within 0\.3 s"):
                store.get("t", [b"a"])
            return time.monotonic() - started

        assert ask() > 0.2
        assert max(ask() for _ in range(20)) < 0.1
        time.sleep(0.25)
        with ThreadPoolExecutor(8) as threads:
            took = sorted(threads.map(lambda _: ask(), range(8)))
        assert took[-2] < 0.2 < took[-1]


def test_a_breaker_opens_when_all_servers_are_silent_and_closes_with_an_answer():
    why = ArchiveAway("It hangs.")
    breaker = Breaker(servers=2, pause_seconds=60, patience_seconds=1)
    breaker.in_vain(time.monotonic(), why)
    breaker.require_closed()
    breaker.in_vain(time.monotonic(), why)
    with pytest.raises(ArchiveAway, match="It hangs"):
        breaker.require_closed()
    breaker.answered()
    breaker.require_closed()


def test_a_question_that_takes_long_while_others_are_answered_opens_no_breaker():
    breaker = Breaker(servers=1, pause_seconds=60, patience_seconds=1)
    asked = time.monotonic()
    breaker.answered()
    breaker.in_vain(asked, ArchiveAway("It takes long."))
    breaker.require_closed()


@pytest.mark.parametrize(("faults", "calls"), [(2, 3), (9, 4)])
def test_a_fault_of_the_thrift_server_is_final_only_if_it_stays(monkeypatch, faults, calls):
    monkeypatch.setattr(hbase_store, "_PAUSES_AFTER_FAULTS", (0, 0, 0))
    store = HBaseStore("127.0.0.1:1")
    asked = []

    def call(_ask: object) -> list[object]:
        asked.append(1)
        if len(asked) <= faults:
            raise TApplicationException(TApplicationException.INTERNAL_ERROR, "Internal error processing getRows")
        return []

    monkeypatch.setattr(store._connections, "call", call)
    if faults < 4:
        assert store.get("t", [b"a"]) == [None]
    else:
        with pytest.raises(DataError, match=r"table `t`: Internal error processing getRows\."):
            store.get("t", [b"a"])
    assert len(asked) == calls


@pytest.mark.parametrize("servers", ["", "host", "host:", ":9090", "host:port", "host:9090,,b:1", "host:9090;b:1"])
def test_servers_that_are_no_addresses_are_named(servers):
    with pytest.raises(ConfigError, match=r"hbase\.servers"):
        HBaseStore(servers)


def test_the_archive_is_opened_without_asking_anybody():
    config = Config(hbase=HBaseConfig(servers=f"127.0.0.1:{closed_port()}", tables="demo"))
    archive = open_archive(config)
    assert archive.name("") == "demo"
    assert archive.name("class") == "demo.class"
    with pytest.raises(ArchiveAway):
        archive.latest_alert("ZTF19aaaaaaa")
    archive.close()
