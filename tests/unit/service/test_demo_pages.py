"""The pages a demo ends with are looked at by what they show."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.service.demo_pages import DemoPage, pages
from fink_broker.service.example_requests import Night

NIGHT = Night("ZTF21abfmbix", 10.0, 20.0, "SN candidate")


@pytest.fixture
def served() -> Iterator[tuple[Config, dict[str, Any]]]:
    """Return a configuration, and what is answered there by the beginnings of paths; all else is a page."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = next((value for path, value in answers.items() if self.path.startswith(path)), None)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>" if found is None else json.dumps(found).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    port = server.server_address[1]
    yield Config.model_validate({"portal": {"port": port}, "dashboard": {"port": port}}), answers
    server.shutdown()
    server.server_close()


def stage(name: str, alerts: int) -> dict[str, Any]:
    return {"name": name, "totals": {"out": alerts} if alerts else {}}


def test_pages_tell_what_they_show(served: tuple[Config, dict[str, Any]]) -> None:
    config, answers = served
    answers["/health/ready"] = {"ready": True}
    answers["/api/v1/objects?objectId=ZTF21abfmbix"] = [{"i:jd": 1.0}, {"i:jd": 2.0}]
    answers["/api/v1/latests?class=SN+candidate"] = [{"i:jd": 1.0}]
    answers["/api/snapshot.json"] = {"stages": [stage("raw", 1234), stage("science", 7), stage("archived", 7)]}
    told = [page.check(0.0) for page in pages(config, NIGHT)]
    assert told == ["ready", "2 alerts", "1 alert", "raw 1,234, science 7, archived 7"]


def test_pages_that_have_nothing_to_show_are_said(served: tuple[Config, dict[str, Any]]) -> None:
    config, answers = served
    answers["/health/ready"] = {"ready": False}
    answers["/api/v1/"] = []
    answers["/api/snapshot.json"] = {"stages": [stage("raw", 3), stage("science", 3), stage("archived", 2)]}
    for page in pages(config, NIGHT):
        with pytest.raises(ServiceError, match="nothing to show"):
            page.check(0.0)


def test_a_page_for_any_address_proves_nothing(served: tuple[Config, dict[str, Any]]) -> None:
    for page in pages(served[0], NIGHT):
        with pytest.raises(ServiceError, match="does not answer"):
            page.check(0.0)


def test_rows_are_not_asked_for_where_the_user_knows_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.model_validate({"api": {"keys_file": "keys.toml"}})
    monkeypatch.delenv("FINK_PORTAL_API_KEY", raising=False)

    def sources() -> list[str]:
        found: list[DemoPage] = pages(config, NIGHT)
        return [page.source for page in found if page.service == "portal"]

    assert all(source.endswith("/health/ready") for source in sources())
    monkeypatch.setenv("FINK_PORTAL_API_KEY", "key")
    assert "/api/v1/objects" in sources()[1]
