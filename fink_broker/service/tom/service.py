"""The service ``tom``: a web server and a reader of streams, both of TOM Toolkit, kept alive until told to stop."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from fink_broker.config import Config
from fink_broker.config.kafka_access import output_access
from fink_broker.config.listening import listening
from fink_broker.errors import ServiceError
from fink_broker.service.tom import environment, topics
from fink_broker.service.tom.process import Program, without
from fink_broker.service.tom.project import PASSWORD_VARIABLE, Project, asks_password

log = logging.getLogger(__name__)

#: its packages are compiled at the first start, beside whatever else the machine does
_UP_SECONDS = 300.0
_WEB_STOP_SECONDS = 15.0
#: seconds between two looks at the targets, and at the topics as long as one is missing
_LOOK_SECONDS = 5.0
_SETTINGS = {"DJANGO_SETTINGS_MODULE": "site_of_tom.settings"}


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the TOM until told to stop (a service entry point); Kafka and topics may come and go meanwhile.

    Raises
    ------
    ConfigError
        If the output Kafka asks for something the TOM cannot do, or a user and a password that are not set.
    ServiceError
        If the environment cannot be built, the address is taken, or a program of the TOM dies again and again.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # we ask ourselves how many targets there are
    asks_password(config)
    output_access(config, os.environ)
    module = environment.module_folder()
    listening(config.tom.host, config.tom.port, "The TOM", "tom").close()
    home = folder(config)
    python = environment.ensure(home / "venv", module, stop, say)
    if python is None:
        return
    project = Project(home / "project")
    for kept in project.write():
        log.info("left as you have changed it: %s", project.folder / kept)
    project.tell(config, [])
    say("starting: setting up the database")
    if _prepare(project, python, stop):
        Tom(config, project, python).run(stop, say)


def folder(config: Config) -> Path:
    """Return the folder of the TOM's environment and project."""
    return Path(config.storage.state) / "tom"


def address(config: Config) -> str:
    """Return where a browser on this machine finds the TOM."""
    host = config.tom.host
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{config.tom.port}"


def _answers(config: Config) -> bool:
    try:
        httpx.get(f"{address(config)}/summary/targets", timeout=10)
    except httpx.HTTPError:
        return False
    return True


def _count_targets(config: Config) -> int | None:
    """Return how many targets whoever looks at the TOM can see, None if it does not tell."""
    try:
        answer = httpx.get(f"{address(config)}/summary/targets", timeout=10)
        return int(answer.raise_for_status().json()["count"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


def _prepare(project: Project, python: Path, stop: threading.Event) -> bool:
    password = project.password(os.environ)
    variables = without(os.environ) | _SETTINGS | {PASSWORD_VARIABLE: password}
    done = Program("setting up the TOM", [str(python), "prepare.py"], project.folder, variables).run_once(stop)
    if done and project.password_file.is_file():
        log.info("the first password of the user admin is in %s", project.password_file)
    return done


class Tom:
    """The two programs of the TOM.

    Parameters
    ----------
    config : Config
        The configuration in force.
    project : Project
        The project they belong to.
    python : Path
        The Python of its environment.
    """

    def __init__(self, config: Config, project: Project, python: Path) -> None:
        variables = without(os.environ, PASSWORD_VARIABLE) | _SETTINGS
        self._config, self._project = config, project
        self._web = Program("web", [str(python), *_web_command(config)], project.folder, variables)
        self._streams = Program("streams", [str(python), "manage.py", "readstreams"], project.folder, variables)
        self._followed: list[str] = []
        self._missing: list[str] = []

    def run(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Keep both programs alive until told to stop.

        Raises
        ------
        ServiceError
            If one dies again and again, or the web server does not come up.
        """
        try:
            say("starting: the web server")
            self._web.start()
            self._wait_until_up(stop)
            next_look = 0.0
            while not stop.is_set():
                self._web.keep()
                self._streams.keep()
                if time.monotonic() >= next_look:
                    self._follow(stop)
                    say(self._doing())
                    next_look = time.monotonic() + _LOOK_SECONDS
                stop.wait(0.2)
        finally:
            # half of what `fink stop` grants, which kills the whole service after it
            self._streams.ask_to_end()
            self._web.ask_to_end()
            self._streams.stop(self._config.stream.stop_grace_seconds / 2)
            self._web.stop(_WEB_STOP_SECONDS)

    def _wait_until_up(self, stop: threading.Event) -> None:
        deadline = time.monotonic() + _UP_SECONDS
        while not stop.wait(0.2) and not _answers(self._config):
            self._web.keep()
            if time.monotonic() > deadline:
                raise ServiceError(f"The TOM has not come up in {_UP_SECONDS:.0f} s.", "See `fink logs tom`.")

    def _follow(self, stop: threading.Event) -> None:
        """Let the streams follow all topics that there are; they begin again when one was added."""
        if len(self._followed) == len(topics.wanted(self._config)):
            return
        try:
            there = topics.existing(self._config, os.environ)
        except ServiceError:
            return
        missing = [topic for topic in topics.wanted(self._config) if topic not in there]
        if missing != self._missing:
            log.info("topics that are not there yet: %s", ", ".join(missing) or "none")
            self._missing = missing
        if there == self._followed or not there or stop.is_set():
            return
        self._streams.stop(self._config.stream.stop_grace_seconds / 2)
        self._project.tell(self._config, there)
        self._streams.start()
        self._followed = there

    def _doing(self) -> str:
        number, all_topics = _count_targets(self._config), len(topics.wanted(self._config))
        targets = "" if number is None else f": {number:,} target{'' if number == 1 else 's'}"
        return f"serving at {address(self._config)}{targets}, following {len(self._followed)} of {all_topics} topics"


def _web_command(config: Config) -> list[str]:
    host = f"[{config.tom.host}]" if ":" in config.tom.host else config.tom.host
    return [
        "-m", "gunicorn", "site_of_tom.wsgi", "--bind", f"{host}:{config.tom.port}", "--worker-class", "gthread",
        "--threads", "8", "--timeout", "120", "--graceful-timeout", "8", "--log-level", "warning",
        "--no-control-socket",
    ]  # fmt: skip
