"""The API as a real server: what only shows on a socket, and the examples of the documentation."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from html import unescape
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pytest
from archived import stored_alerts

from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.config.model import ApiConfig, Config, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.portal import service
from fink_broker.portal.route import Query, Route, Rows, Text
from fink_broker.portal.routes import routes_of
from fink_broker.service.kafka import free_port

pytestmark = pytest.mark.integration

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "docs" / "examples").glob("*.py"))
MIB = 1024 * 1024


@contextmanager
def serving(
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    routes: tuple[Route, ...] = (),
    online: Path = Path("nowhere"),
    **api: object,
) -> Iterator[str]:
    """Run the service over an archive, whose files are at ``online``, and give its address."""
    monkeypatch.setattr("fink_broker.archive.hbase.open.open_archive", lambda config: archive)
    if routes:
        monkeypatch.setattr("fink_broker.portal.app.routes_of", lambda generation: routes)
    served = ApiConfig(port=free_port(), resolvers=["none"], **api)
    config = Config(api=served, storage=StorageConfig(online=str(online)))
    stop, said, failed = threading.Event(), [], []

    def run() -> None:
        try:
            service.run(config, stop, said.append)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    address = f"http://127.0.0.1:{config.api.port}"
    try:
        _wait(lambda: _lives(address) or bool(failed))
        assert not failed, failed
        assert said[-1] == f"serving at {address}/api"
        yield address
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def _lives(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/live").is_success
    except httpx.HTTPError:
        return False


def _wait(is_so: Callable[[], bool], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.05)


def empty_archive() -> Archive:
    store = MemoryStore()
    store.create_tables({"ztf": ["alert"]})
    return Archive(store, "ztf")


@pytest.fixture(scope="module")
def filled(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    online = tmp_path_factory.mktemp("online")
    archive = stored_alerts(shared_data, online / "science")
    with pytest.MonkeyPatch.context() as patch, serving(archive, patch, online=online) as address:
        yield address


def test_the_examples_of_the_documentation_run(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert EXAMPLES
    for example in EXAMPLES:
        runpy.run_path(str(example))["main"](filled)
        printed = capsys.readouterr().out
        assert "ZTF" in printed, example.name


#: what the examples of routes that take a file are answered, with a file that is none of theirs
REFUSED = {"skymap": 400, "bayestar": 400, "euclidin": 403}


def test_every_command_and_program_of_the_page_works(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("no skymap")
    page = httpx.get(f"{filled}/api").text
    sections = re.findall(r'<section id="(\w+)">(.*?)</section>', page, re.DOTALL)
    assert {name for name, _ in sections} == {route.name for route in routes_of("current")}
    for name, section in sections:
        command, program = (unescape(code) for code in re.findall(r"<pre><code>(.*?)</code></pre>", section, re.DOTALL))
        (tmp_path / "program.py").write_text(program)
        expected = REFUSED.get(name, 200)
        told = ["-s", "-S", "-o", "answer", "-w", "%{http_code}"]
        run = subprocess.run(
            ["curl", *told, *shlex.split(command)[1:]], capture_output=True, text=True, timeout=60, check=True
        )
        assert int(run.stdout) == expected, (command, (tmp_path / "answer").read_bytes()[:300])
        with nullcontext() if expected == 200 else pytest.raises(httpx.HTTPStatusError, match=str(expected)):
            runpy.run_path(str(tmp_path / "program.py"))


def test_a_missing_archive_is_said_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = empty_archive()
    with serving(archive, monkeypatch) as address:
        ask = f"{address}/api/v1/objects?objectId=ZTF21abfmbix"
        archive.store.away = True
        answer = httpx.get(ask)
        assert answer.status_code == 503
        assert "archive does not answer" in answer.text
        assert int(answer.headers["retry-after"]) > 0
        archive.store.away = False
        assert httpx.get(ask).json() == []


def test_quotas_go_by_the_address_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(empty_archive(), monkeypatch, ROUTES, anonymous_per_minute=2) as address:
        answers = [
            httpx.get(f"{address}/api/v1/echo", headers={"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(3)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = Config(api=ApiConfig(port=other.getsockname()[1]))
        with pytest.raises(ServiceError, match=r"cannot listen at 127\.0\.0\.1:\d+.*in use.*api\.port"):
            service.run(config, threading.Event(), lambda _: None)


BIG = pa.table({f"d:x{n}": np.random.default_rng(n).normal(size=2_000) for n in range(20)})
ENDED = threading.Event()


def broken(query: Query) -> Rows:
    def tables() -> Iterator[pa.Table]:
        yield BIG
        raise KeyError("a fault after the head was sent")

    return Rows(tables())


def large(query: Query) -> Rows:
    def tables() -> Iterator[pa.Table]:
        try:
            for _ in range(80):
                yield BIG
        finally:
            ENDED.set()

    return Rows(tables())


ROUTES = (
    Route("broken", "Break", broken, answers_bare_get=True),
    Route("large", "Large", large, answers_bare_get=True),
    Route("echo", "Echo", lambda _: Text("here"), has_rows=False, answers_bare_get=True),
)


@pytest.fixture(scope="module")
def odd() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fink_broker.portal.connections.Connection.head_seconds", 1.0)
        patch.setattr("fink_broker.portal.connections.most_connections", lambda: 100)
        with serving(empty_archive(), patch, ROUTES, max_body_mib=1, seconds=3) as address:
            yield f"{address}/api/v1"


def connected(address: str, sent: bytes = b"") -> socket.socket:
    """Return a connection on which something was sent, and which hardly holds what comes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    host, _, port = address.removeprefix("http://").removesuffix("/api/v1").partition(":")
    connection.connect((host, int(port)))
    connection.sendall(sent)
    return connection


def test_idle_connections_keep_nobody_out(odd: str) -> None:
    with ExitStack() as opened:
        for number in range(120):
            opened.enter_context(connected(odd, b"GET /api/v1/echo HTTP/1.1\r\nX: y" if number % 2 else b""))
        assert httpx.get(f"{odd}/echo").text == "here"
        assert httpx.get(f"{odd}/echo").text == "here"


@pytest.mark.parametrize("sent", [b"", b"GET /api/v1/echo HTTP/1.1\r\nX: y", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_client_that_asks_nothing_is_let_go(odd: str, sent: bytes) -> None:
    with connected(odd, sent) as connection:
        began = time.monotonic()
        while connection.recv(4096):
            pass
        assert 0.5 < time.monotonic() - began < 4


def test_a_client_that_takes_nothing_is_cut_off(odd: str) -> None:
    ENDED.clear()
    with connected(odd, b"GET /api/v1/large HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert ENDED.wait(10)
        received = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(1024 * 1024):
                received = received[-10:] + piece
        assert not received.endswith(b"0\r\n\r\n")


def test_an_answer_that_breaks_never_looks_whole(odd: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{odd}/broken")
    assert httpx.get(f"{odd}/echo").text == "here"


def test_memory_does_not_grow_with_a_large_answer(odd: str) -> None:
    process = psutil.Process(os.getpid())
    with httpx.stream("GET", f"{odd}/large", headers={"accept-encoding": "identity"}, timeout=60) as answer:
        pieces = answer.iter_raw(64 * 1024)
        next(pieces)
        before, size, high = process.memory_info().rss, 0, 0
        for piece in pieces:
            size += len(piece)
            high = max(high, process.memory_info().rss - before)
    assert size > 50 * MIB
    assert high < 35 * MIB


def test_a_client_that_hangs_up_ends_the_work(odd: str) -> None:
    ENDED.clear()
    with httpx.stream("GET", f"{odd}/large") as answer:
        pieces = answer.iter_raw(1024)  # as long as it is held the connection is open
        next(pieces)
        assert not ENDED.is_set()
    assert ENDED.wait(10)


def test_a_body_that_is_too_large_is_refused_before_it_is_there(odd: str) -> None:
    host, _, port = odd.removeprefix("http://").removesuffix("/api/v1").partition(":")
    head = f"POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: {100 * MIB}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + b"x" * 1000)
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")

    def body() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * MIB

    assert httpx.post(f"{odd}/echo", content=b" " * (3 * MIB)).status_code == 413
    assert httpx.post(f"{odd}/echo", content=body(), timeout=30).status_code == 413
    assert httpx.get(f"{odd}/echo").text == "here"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /api/v1/echo HTTP/9.9\r\n\r\n",
        b"POST /api/v1/echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/v1/%00%ff%2e%2e/..//echo HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"GET /api/v1/echo?\xff\x00=\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_no_server(odd: str, sent: bytes) -> None:
    host, _, port = odd.removeprefix("http://").removesuffix("/api/v1").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        reply = connection.recv(4096)
        assert not reply.startswith(b"HTTP/1.1 5")
    assert httpx.get(f"{odd}/echo").text == "here"
