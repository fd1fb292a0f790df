"""Parts of the portal: fetched once, verified, and refused where they are not what the lock file names."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fink_broker.errors import ServiceError
from fink_broker.service import web_parts

CONTENT = b"export default {};\n" * 1000


def package(content: bytes = CONTENT, member: str = "package/dist/sky.js") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        packed.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Registry:
    def __init__(self) -> None:
        self.body, self.asked = package(), []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                self.send_response(200 if self.path == "/npm/sky-lite/-/sky-lite-1.0.0.tgz" else 404)
                self.send_header("Content-Length", str(len(registry.body)))
                self.end_headers()
                self.wfile.write(registry.body)

            def log_message(self, *_: object) -> None:
                """Keep the output of tests clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    registry = Registry()
    part = web_parts.WebPart("sky.js", "sky-lite", "1.0.0", "package/dist/sky.js", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(web_parts, "web_parts", lambda: [part])
    monkeypatch.setenv("FINK_NPM_REGISTRY", f"http://127.0.0.1:{registry.server.server_port}/npm/")
    monkeypatch.setenv("FINK_WEB_PARTS", str(tmp_path / "web"))
    yield registry
    registry.server.shutdown()
    registry.server.server_close()


def test_fetches_once_and_again_what_is_damaged(registry: Registry, tmp_path: Path) -> None:
    (path,) = web_parts.ensure()
    assert path == tmp_path / "web" / "sky.js" and path.read_bytes() == CONTENT
    web_parts.ensure()
    assert len(registry.asked) == 1
    path.write_bytes(b"damaged")
    web_parts.ensure()
    assert len(registry.asked) == 2 and path.read_bytes() == CONTENT


@pytest.mark.parametrize("body", [package(b"other"), package(member="package/else.js"), b"no archive", b""])
def test_refuses_what_the_lock_file_does_not_name(registry: Registry, tmp_path: Path, body: bytes) -> None:
    registry.body = body
    with pytest.raises(ServiceError, match="checksum differs"):
        web_parts.ensure()
    assert not (tmp_path / "web" / "sky.js").exists()


def test_says_what_to_do_where_the_registry_is_away(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINK_NPM_REGISTRY", "http://127.0.0.1:9")
    assert web_parts.main() != 0
    assert "FINK_NPM_REGISTRY" in capsys.readouterr().err


def test_the_lock_file_names_files_by_whole_checksums() -> None:
    for part in web_parts.web_parts():
        assert re.fullmatch("[0-9a-f]{64}", part.sha256) and part.member.startswith("package/")
