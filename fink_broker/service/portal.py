"""The service ``portal``: the science portal behind gunicorn, in processes of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from fink_broker.config import Config
from fink_broker.config.listening import listening
from fink_broker.errors import ServiceError
from fink_broker.portal.web.settings import VARIABLE
from fink_broker.service import web_parts
from fink_broker.service.child import die_with_parent

log = logging.getLogger(__name__)

_UP_SECONDS = 120.0
_STOP_SECONDS = 15.0


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Serve the portal until told to stop (a service entry point); the API may come and go meanwhile.

    Raises
    ------
    ServiceError
        If the address is taken, or the server ends by itself.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # we ask ourselves whether we are up
    say("starting: reading the pages")
    listening(config.portal.host, config.portal.port, "The portal", "portal").close()
    if config.portal.aladin:
        _fetch_aladin()
    handed_over = _hand_over(config)
    environment = os.environ | {VARIABLE: str(handed_over)}
    process = subprocess.Popen(_command(config), env=environment, preexec_fn=die_with_parent)  # noqa: PLW1509
    try:
        _wait_until_up(config, process, stop)
        if not stop.is_set():
            say(f"serving at {address(config)}")
        while not stop.wait(0.2):
            _check_alive(process)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        handed_over.unlink(missing_ok=True)


def address(config: Config) -> str:
    """Return where a browser on this machine finds the portal."""
    host = config.portal.host
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{config.portal.port}"


def _command(config: Config) -> list[str]:
    """Return what starts the server; how it works through requests is said where those who start it by hand find it."""
    portal = config.portal
    host = f"[{portal.host}]" if ":" in portal.host else portal.host
    return [
        sys.executable, "-m", "gunicorn", "fink_broker.portal.web.index:server",
        "--config", "python:fink_broker.portal.web.gunicorn_settings", "--bind", f"{host}:{portal.port}",
        "--workers", f"{portal.processes}", "--log-level", "warning",
    ]  # fmt: skip


def _fetch_aladin() -> None:
    """Have Aladin Lite here if it can be had; pages do without it otherwise."""
    try:
        web_parts.ensure()
    except ServiceError as error:
        log.warning("going on without Aladin Lite: %s", error)


def _hand_over(config: Config) -> Path:
    """Write the configuration in force to where the server, and nobody else, reads it."""
    path = Path(config.storage.state) / "portal.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(config.model_dump_json())
    return path


def _wait_until_up(config: Config, process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while not stop.wait(0.2):
        _check_alive(process)
        if _is_live(config):
            return
        if time.monotonic() > deadline:
            raise ServiceError(f"The portal has not come up in {_UP_SECONDS:.0f} s.", "See its log.")


def _is_live(config: Config) -> bool:
    try:
        return httpx.get(f"{address(config)}/health/live", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _check_alive(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise ServiceError(f"The portal's server ended with exit code {process.returncode}.", "See its log above.")
