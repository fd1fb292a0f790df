"""The pages a demo ends with: portal and dashboard, looked at before they are named, opened where there is a screen."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import requests

from fink_broker.config.model import Config
from fink_broker.errors import ServiceError
from fink_broker.monitor.dashboard.service import address as dashboard_address
from fink_broker.service import portal
from fink_broker.service.example_requests import Night

ANSWER_SECONDS = 30.0
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class DemoPage:
    """A page.

    Parameters
    ----------
    purpose : str
        What is to be seen.
    url : str
        Its address.
    service : str
        Who serves it.
    source : str
        Address of what it is made from, as JSON: a page is there for any address, even one that has nothing to show.
    told : callable
        Says what of it the page shows, such as ``7 alerts``; empty if that is nothing.
    is_opened : bool
        Whether it is opened in a browser.
    """

    purpose: str
    url: str
    service: str
    source: str
    told: Callable[[Any], str]
    is_opened: bool = False

    def check(self, seconds: float = ANSWER_SECONDS) -> str:
        """Return what it shows, as soon as that is something.

        Parameters
        ----------
        seconds : float
            How long that may take: what is counted for it may be some seconds behind.

        Raises
        ------
        ServiceError
            If it does not answer, or has nothing to show.
        """
        deadline = time.monotonic() + seconds
        while True:
            told = self._look()
            if told:
                return told
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{self.url} has nothing to show: see {self.source}.", f"See `fink logs {self.service}`."
                )
            time.sleep(_PAUSE_SECONDS)

    def _look(self) -> str:
        try:
            requests.get(self.url, timeout=ANSWER_SECONDS).raise_for_status()
            answer = requests.get(self.source, timeout=ANSWER_SECONDS)
            answer.raise_for_status()
            return self.told(answer.json())
        except (requests.RequestException, KeyError, TypeError) as error:
            raise ServiceError(f"{self.url} does not answer: {error}.", f"See `fink logs {self.service}`.") from error


def pages(config: Config, night: Night) -> list[DemoPage]:
    """Return the pages that show a night."""
    base, board = portal.address(config), dashboard_address(config)
    latest = urlencode({"action": "class", "class": night.label, "last": 100})
    ready = f"{base}/health/ready"
    if config.api.keys_file and not os.environ.get("FINK_PORTAL_API_KEY"):  # it is the user who knows one
        of_object = of_class = ready
        told: Callable[[Any], str] = _readiness
    else:
        rows = {"columns": "i:objectId,i:jd", "output-format": "json"}
        of_object = f"{base}/api/v1/objects?{urlencode({'objectId': night.object_id, **rows})}"
        of_class = f"{base}/api/v1/latests?{urlencode({'class': night.label, 'n': 100, **rows})}"
        told = _rows
    return [
        DemoPage(
            "the science portal: search, statistics, data transfer", f"{base}/", "portal", ready, _readiness, True
        ),
        DemoPage(f"the object {night.object_id}", f"{base}/{night.object_id}", "portal", of_object, told),
        DemoPage(f"the latest alerts of class {night.label}", f"{base}/?{latest}", "portal", of_class, told),
        DemoPage(
            "the dashboard: what the stream does",
            f"{board}/live.html",
            "dashboard",
            f"{board}/api/snapshot.json",
            _counts,
            True,
        ),
    ]


def _readiness(state: Mapping[str, Any]) -> str:
    return "ready" if state["ready"] else ""


def _rows(rows: list[Any]) -> str:
    return f"{len(rows):,} alert{'s' if len(rows) > 1 else ''}" if rows else ""


def _counts(snapshot: Mapping[str, Any]) -> str:
    """Return how many alerts came out of each stage, as soon as the dashboard has seen that all were archived."""
    counts = {stage["name"]: stage["totals"].get("out", 0) for stage in snapshot["stages"]}
    is_seen = 0 < counts.get("science", 0) == counts.get("archived")
    return ", ".join(f"{name} {number:,}" for name, number in counts.items()) if is_seen else ""


def has_screen(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Tell whether somebody sits before this machine, so that a browser can be opened."""
    if environ.get("SSH_CONNECTION"):
        return False
    return platform in ("darwin", "win32") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def open_in_browser(url: str) -> bool:
    """Open a page in the user's browser; tell whether that worked."""
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
