"""The portal as it is run: by the launcher's service, and by gunicorn with ``config.yml``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from api import Served

from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.service import portal
from fink_broker.service.ports import free_port

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
UP_SECONDS = 60.0


@contextmanager
def running(config: Config) -> Iterator[str]:
    stop, up = threading.Event(), threading.Event()
    failures: list[ServiceError] = []

    def say(text: str) -> None:
        if text.startswith("serving"):
            up.set()

    def work() -> None:
        try:
            portal.run(config, stop, say)
        except ServiceError as error:
            failures.append(error)
            up.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert up.wait(UP_SECONDS)
        if failures:
            raise failures[0]
        yield portal.address(config)
    finally:
        stop.set()
        thread.join(UP_SECONDS)
        assert not thread.is_alive()


def with_portal(served: Served, folder: Path, **portal_keys: object) -> Config:
    content = served.config.model_dump()
    content["storage"]["state"] = folder
    content["portal"] |= {"port": free_port(), **portal_keys}
    return Config.model_validate(content)


def page_of(url: str, path: str) -> str:
    """Return what the portal puts into its frame for a path, as the browser asks for it."""
    asked = {
        "output": "..page.children...visit-title.data..",
        "outputs": [{"id": "page", "property": "children"}, {"id": "visit-title", "property": "data"}],
        "inputs": [
            {"id": "address", "property": "pathname", "value": path},
            {"id": "address", "property": "search", "value": ""},
        ],
        "changedPropIds": ["address.pathname"],
    }
    answer = httpx.post(f"{url}/_dash-update-component", json=asked, timeout=30)
    assert answer.status_code == 200, answer.text[:300]
    return answer.text


@pytest.mark.parametrize("local_api", [False, True])
def test_pages_come_through_http_and_in_process(served_archive: Served, tmp_path: Path, local_api: bool) -> None:
    known = served_archive.published["i:objectId"][0].as_py()
    with running(with_portal(served_archive, tmp_path, local_api=local_api)) as url:
        assert httpx.get(f"{url}/health/ready", timeout=10).json()["ready"]
        assert (tmp_path / "portal.json").stat().st_mode & 0o777 == 0o600
        assert known in page_of(url, f"/{known}")
        there = served_archive.get("objects", objectId=known, columns="i:jd,i:candid").json()
        query = {"objectId": known, "columns": "i:jd,i:candid"}
        assert httpx.get(f"{url}/api/v1/objects", params=query, timeout=10).json() == there
        assert httpx.post(f"{url}/api/v1/objects", json=query, timeout=10).json() == there
        refused = httpx.get(f"{url}/api/v1/objects", params={"objectId": "<script>"}, timeout=10)
        assert refused.status_code == 400
        assert "sandbox" in refused.headers["Content-Security-Policy"]
    assert not (tmp_path / "portal.json").exists()


def test_a_taken_port_is_said(served_archive: Served, tmp_path: Path) -> None:
    config = with_portal(served_archive, tmp_path, port=served_archive.config.api.port)
    with pytest.raises(ServiceError, match="cannot listen"), running(config):
        pass


def test_gunicorn_serves_index_with_the_files_deployments_have(served_archive: Served, tmp_path: Path) -> None:
    port, api = free_port(), served_archive.config.api
    file = {"APIURL": f"http://127.0.0.1:{api.port}", "IP": "127.0.0.1", "PORT": port, "tablename": "ztf"}
    (tmp_path / "config.yml").write_text(json.dumps(file))  # JSON is YAML
    command = [sys.executable, "-m", "gunicorn", "index:server", "-b", f":{port}", "--workers=4"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}
        )
    try:
        deadline = time.monotonic() + UP_SECONDS
        while not _answers(f"http://127.0.0.1:{port}/health/ready"):
            assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "Fink Science Portal" in httpx.get(f"http://127.0.0.1:{port}/", timeout=10).text
    finally:
        process.terminate()
        process.wait(30)


def test_an_api_that_hangs_does_not_stop_a_server_started_by_hand(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        file = {"APIURL": f"http://127.0.0.1:{silent.getsockname()[1]}", "IP": "127.0.0.1", "PORT": port}
        (tmp_path / "config.yml").write_text(json.dumps(file))
        given = {"FINK_PORTAL_CONFIG": str(tmp_path / "config.yml"), "FINK_HOME": str(tmp_path)}
        command = [sys.executable, "-m", "gunicorn", "index:server", "-b", f"127.0.0.1:{port}", "--workers=1"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log, env=os.environ | given)
        try:
            live = f"http://127.0.0.1:{port}/health/live"
            deadline = time.monotonic() + UP_SECONDS
            while not _answers(live):
                assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
                assert time.monotonic() < deadline
                time.sleep(0.2)
            asked = b"GET /api/v1/classes HTTP/1.1\r\nHost: portal\r\n\r\n"
            with (
                socket.create_connection(("127.0.0.1", port)) as one,
                socket.create_connection(("127.0.0.1", port)) as two,
            ):
                one.sendall(asked)
                two.sendall(asked)
                with silent.accept()[0]:  # the API has been asked
                    assert httpx.get(live, timeout=10).is_success
            assert httpx.get(f"http://127.0.0.1:{port}/", params={"q": "x" * 5000}, timeout=10).is_success
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.HTTPError:
        return False
