"""What a demo does with the TOM: wait until it has taken in all alerts of its topics, and show its pages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.service.demo_pages import ANSWER_SECONDS, DemoPage
from fink_broker.service.state import StateStore
from fink_broker.service.tom.project import Project
from fink_broker.service.tom.service import address, folder
from fink_broker.service.tom.topics import existing, waiting

#: an environment is built at first use, over whatever network there is
BUILD_SECONDS = 1200.0
TAKE_IN_SECONDS = 300.0


def wait_until_all_is_taken_in(config: Config, store: StateStore, look: Callable[[], None]) -> None:
    """Wait until the TOM is up, and no alert of its topics waits for it.

    Parameters
    ----------
    config : Config
        The configuration in force.
    store : StateStore
        Where the state of the service is.
    look : callable
        Called now and then; raises if a service has died.

    Raises
    ------
    ServiceError
        If it takes too long.
    """
    deadline = time.monotonic() + BUILD_SECONDS
    while (state := store.read("tom")) is None or not state.up:
        _go_on(look, deadline, "The TOM has not come up")
    deadline = time.monotonic() + TAKE_IN_SECONDS
    project = Project(folder(config) / "project")
    groups: dict[str, str] = {}
    while not groups or waiting(config, os.environ, groups):
        groups = project.groups(existing(config, os.environ))
        _go_on(look, deadline, "The TOM has not taken in all alerts of its topics")


def _go_on(look: Callable[[], None], deadline: float, trouble: str) -> None:
    look()
    if time.monotonic() > deadline:
        raise ServiceError(f"{trouble} in time.", "The services go on: look at `fink show` and `fink logs tom`.")
    time.sleep(0.5)


def pages(config: Config) -> list[DemoPage]:
    """Return the pages of the TOM that show what it has taken in.

    Raises
    ------
    ServiceError
        If it does not answer.
    """
    base = address(config)
    light_curve = f"{base}/summary/light_curve"
    targets = DemoPage(
        "the TOM: targets, from the alerts of its topics",
        f"{base}/targets/",
        "tom",
        f"{base}/summary/targets",
        lambda found: _number(found, "target"),
        True,
    )
    best = _best(light_curve)
    if best is None:
        return [targets]
    return [
        targets,
        DemoPage(
            f"the target {best['name']} with its light curve",
            f"{base}/targets/{best['id']}/?tab=photometry",
            "tom",
            light_curve,
            lambda found: _number(found, "detection"),
        ),
    ]


def _best(url: str) -> Mapping[str, Any] | None:
    """Return the target with the longest light curve, None if there is none."""
    try:
        answer = requests.get(url, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        found: Mapping[str, Any] = answer.json()
    except requests.RequestException as error:
        raise ServiceError(f"The TOM does not answer at {url}: {error}.", "See `fink logs tom`.") from error
    return found if found.get("count") else None


def _number(found: Mapping[str, Any], what: str) -> str:
    count = found["count"]
    return f"{count:,} {what}{'' if count == 1 else 's'}" if count else ""
