"""The service ``portal`` waits for its server, but not for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from gunicorn.app.wsgiapp import WSGIApplication

from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.portal.web.settings import VARIABLE
from fink_broker.service import portal

REPOSITORY = Path(__file__).resolve().parents[3]


def test_a_server_that_only_refuses_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str, timeout: float) -> httpx.Response:
        return httpx.Response(503)

    monkeypatch.setattr(portal, "httpx", SimpleNamespace(get=get, HTTPError=httpx.HTTPError))
    monkeypatch.setattr(portal, "_UP_SECONDS", 0.0)
    server = cast("subprocess.Popen[bytes]", SimpleNamespace(poll=lambda: None))
    with pytest.raises(ServiceError, match="not come up"):
        portal._wait_until_up(Config(), server, threading.Event())


def settings_of(command: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return how gunicorn is set up by a command in a folder, without starting it."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("gunicorn.config.Chdir.default", str(folder))  # which is where it was imported
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module in ("gunicorn_settings", "settings"):
        monkeypatch.delitem(sys.modules, f"fink_broker.portal.web.{module}", raising=False)
    settings = WSGIApplication().cfg.settings
    return {name: setting.get() for name, setting in settings.items() if not callable(setting.get())}


def test_a_server_started_by_hand_works_as_that_of_the_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.model_validate({"portal": {"threads": 9, "processes": 4}})
    handed_over = tmp_path / "portal.json"
    handed_over.write_text(config.model_dump_json())
    monkeypatch.setenv(VARIABLE, str(handed_over))
    by_launcher = settings_of(portal._command(config)[2:], tmp_path, monkeypatch)
    by_hand = settings_of(["gunicorn", "index:server", "-b", ":24000", "--workers=4"], REPOSITORY, monkeypatch)
    assert by_hand["threads"] == 9
    assert (by_hand["worker_class"], by_hand["limit_request_line"]) == ("gthread", 8190)
    assert by_hand["timeout"] > config.portal.api_seconds
    told_otherwise = {name for name, value in by_hand.items() if by_launcher[name] != value}
    assert told_otherwise == {"bind", "chdir", "config", "default_proc_name", "loglevel"}
