"""The Java parts: fetched once, verified, and refused where they are not what the lock file names."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from fink_broker.errors import ServiceError
from fink_broker.service import java_parts

CONTENT = {f"org/fink/part{n}/1.0/part{n}-1.0.jar": f"archive {n}".encode() * 1000 for n in range(12)}


class Repository:
    """A Maven repository on the loopback."""

    def __init__(self) -> None:
        self.files = dict(CONTENT)
        self.asked: list[str] = []
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix("/maven/")
                repository.asked.append(path)
                body = repository.files.get(path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                """Keep the output of tests clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/maven/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    repository = Repository()
    lock = [
        f"kafka org.fink:{Path(path).parts[2]}:1.0 {hashlib.sha256(body).hexdigest()}" for path, body in CONTENT.items()
    ]
    monkeypatch.setattr(java_parts, "_lock_lines", lambda: lock)
    monkeypatch.setenv("FINK_MAVEN_REPOSITORY", repository.url)
    monkeypatch.setenv("FINK_JAVA_PARTS", str(tmp_path / "java"))
    yield repository
    repository.server.shutdown()
    repository.server.server_close()


def ensure() -> list[Path]:
    return java_parts.ensure("kafka", Console(quiet=True))


def test_fetches_each_part_once(repository: Repository, tmp_path: Path) -> None:
    found = ensure()
    assert [path.read_bytes() for path in found] == list(CONTENT.values())
    assert sorted(repository.asked) == sorted(CONTENT)
    assert ensure() == found
    assert len(repository.asked) == len(CONTENT), "what is there and verified is not asked for again"
    assert java_parts.classpath("kafka") == ":".join(map(str, found))
    assert not list((tmp_path / "java").rglob("*.part"))


def test_fetches_only_what_is_missing_or_damaged(repository: Repository) -> None:
    found = ensure()
    repository.asked.clear()
    found[3].unlink()
    found[5].write_bytes(b"cut short")
    ensure()
    assert sorted(Path(path).name for path in repository.asked) == ["part3-1.0.jar", "part5-1.0.jar"]
    assert found[5].read_bytes() == CONTENT["org/fink/part5/1.0/part5-1.0.jar"]


def test_drops_parts_the_lock_file_no_longer_names(repository: Repository) -> None:
    old = java_parts.java_parts_folder("kafka") / "part0-0.9.jar"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    ensure()
    assert not old.exists()


def test_refuses_a_file_with_another_checksum(repository: Repository) -> None:
    repository.files["org/fink/part7/1.0/part7-1.0.jar"] = b"tampered"
    with pytest.raises(ServiceError, match=r"part7-1\.0\.jar is not the file java_parts\.lock names"):
        ensure()
    assert not (java_parts.java_parts_folder("kafka") / "part7-1.0.jar").exists()


def test_says_that_a_file_is_not_there(repository: Repository) -> None:
    del repository.files["org/fink/part7/1.0/part7-1.0.jar"]
    with pytest.raises(ServiceError, match="404"):
        ensure()


def test_says_that_the_repository_cannot_be_reached(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINK_MAVEN_REPOSITORY", "http://127.0.0.1:9/maven")
    with pytest.raises(ServiceError, match=r"could not be fetched from http://127\.0\.0\.1:9/maven") as error:
        ensure()
    assert "FINK_MAVEN_REPOSITORY" in error.value.hint
    assert "\n" not in str(error.value)


def test_the_lock_file_pins_every_part_by_checksum() -> None:
    assert java_parts.sets() == ["spark", "kafka", "hbase"]
    for name in java_parts.sets():
        pinned = java_parts.parts(name)
        assert all(re.fullmatch("[0-9a-f]{64}", part.sha256) for part in pinned)
        assert len({part.file_name for part in pinned}) == len(pinned)
    assert any(part.artifact == "kafka_2.13" and part.version == "3.9.1" for part in java_parts.parts("kafka"))
    assert any(part.artifact == "hbase-server" and part.version == "2.6.1" for part in java_parts.parts("hbase"))
    with pytest.raises(ServiceError, match="no set of Java parts named cassandra"):
        java_parts.parts("cassandra")
