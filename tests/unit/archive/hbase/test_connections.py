from __future__ import annotations

import socket
import time

import pytest

from fink_broker.archive.hbase.hbase_store import HBaseStore
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.config.model import Config, HBaseConfig
from fink_broker.errors import ArchiveAway, ConfigError


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
