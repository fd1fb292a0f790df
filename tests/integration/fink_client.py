"""The real fink-client from the package index, each version in an environment of its own, run as users run it.

What they are made of is pinned in ``fink-client-<version>.txt``; `environments` builds and keeps them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import environments
from environments import NoPackages

__all__ = ["TRANSFER_VERSIONS", "VERSIONS", "FinkClient", "NoPackages", "Outcome", "environment"]

#: the generations of fink-client people use; the last two have no environment for transfers
VERSIONS = ("12.3.0", "9.2", "7.2", "4.4")
TRANSFER_VERSIONS = ("12.3.0", "9.2")

#: reads alerts as the documentation of the library says; everything it is told comes by its standard input
LIBRARY_READER = """
import json, sys, time
from fink_client.consumer import AlertConsumer

told = json.load(sys.stdin)
with_survey = {"survey": "ztf"} if told["needs_survey"] else {}
consumer = AlertConsumer(told["topics"], told["config"], **with_survey)
end, left = time.monotonic() + told["seconds"], told["limit"]
while left and time.monotonic() < end:
    topic, alert, key = consumer.poll(1)
    if alert is not None:
        print(json.dumps({"topic": topic, "objectId": alert["objectId"], "candid": alert["candid"]}), flush=True)
        left -= 1
consumer.close()
"""


def environment(version: str) -> Path:
    """Return the folder of programs of one fink-client version, installed now if it was not yet.

    Raises
    ------
    NoPackages
        With what the installer said.
    """
    return environments.environment(f"fink-client-{version}")


@dataclass(frozen=True)
class Outcome:
    """What a program of fink-client did.

    Parameters
    ----------
    code : int
        Its exit code; negative: the signal that ended it.
    printed, complained : str
        Its standard output and its standard error.
    """

    code: int
    printed: str
    complained: str


class FinkClient:
    """A user with an empty home and one version of fink-client.

    Parameters
    ----------
    version : str
        One of :data:`VERSIONS`.
    home : Path
        An empty folder, made if there is none.
    servers : str
        ``host:port`` of Kafka.
    group : str
        Consumer group of this user.
    user : str
        Name of the user.
    password : str, optional
        Registered where the version can; commands from 8.1 on cannot.
    """

    def __init__(
        self, version: str, home: Path, servers: str, group: str, user: str = "tester", password: str | None = None
    ) -> None:
        self.version, self._servers, self._group = version, servers, group
        self._user, self._password = user, password
        self._home = home
        home.mkdir(parents=True, exist_ok=True)
        self._programs = environment(version)
        self._major = int(version.split(".", maxsplit=1)[0])
        self._is_new = self._major >= 12

    @property
    def command_has_password(self) -> bool:
        """Whether the commands of this version log in with user and password."""
        return self._major <= 7

    def register(self, *topics: str, timeout_seconds: int = 2) -> None:
        """Register, and subscribe to topics."""
        who = ["-username", self._user, "-servers", self._servers, "-maxtimeout", str(timeout_seconds)]
        if self._is_new:
            self._must("finkctl", "auth", "register", "-survey", "ztf", "-groupid", self._group, *who)
            for topic in topics:
                self._must("finkctl", "topic", "subscribe", "-survey", "ztf", "-name", topic)
            return
        if self._password is not None:
            who += ["-password", self._password]
        self._must("fink_client_register", "-group_id", self._group, "-mytopics", *topics, *who)

    def save(self, number: int, folder: Path, seconds: float = 180) -> str:
        """Poll so many alerts and save them; return what was printed."""
        done = self._run([*self._poll(folder), "-limit", str(number)], seconds)
        assert done.code == 0, f"fink-client {self.version}:\n{done.printed}\n{done.complained}"
        return done.printed

    def poll_until(self, said: str, folder: Path, *, times: int = 1, seconds: float = 120) -> Outcome:
        """Poll until the client has said something so many times, or ended, then interrupt as a user would."""
        return self._run(self._poll(folder), seconds, until=lambda text: text.count(said) >= times)

    def transfer(self, topic: str, folder: Path, partition_by: str = "finkclass") -> str:
        """Fetch a whole data transfer into Parquet files; return what was printed (errors too exit with 0)."""
        program = ["finkctl", "transfer", "-survey", "ztf"] if self._is_new else ["fink_datatransfer"]
        options = ["-topic", topic, "-outdir", str(folder), "-partitionby", partition_by]
        # after the last alert of each partition a consumer waits for another until the time-out
        command = [*program, *options, "-nconsumers", "5", "-maxtimeout", "2", "--verbose"]
        done = self._run(command, 90)
        # its consumers now and then wait for ever for a partition that another has just taken from their queue:
        # whoever interrupts it and starts it again gets what is left
        return done.printed if done.code == 0 else done.printed + self._must(*command)

    def read_with_library(self, topics: list[str], limit: int, seconds: float) -> tuple[list[dict[str, Any]], Outcome]:
        """Poll with the class AlertConsumer, with user and password if there is one.

        Parameters
        ----------
        topics : list of str
            What to subscribe to.
        limit : int
            Alerts after which to stop.
        seconds : float
            Time after which to stop.

        Returns
        -------
        alerts : list of dict
            topic, objectId and candid of each.
        outcome : Outcome
            How the program ended, and what it complained of.
        """
        config = {"bootstrap.servers": self._servers, "group.id" if self._major >= 9 else "group_id": self._group}
        if self._password is not None:
            config |= {"username": self._user, "password": self._password}
        told = {"topics": topics, "config": config, "limit": limit, "seconds": seconds}
        told["needs_survey"] = self._major >= 10
        done = self._run(["python", "-c", LIBRARY_READER], seconds + 30, json.dumps(told))
        return [json.loads(line) for line in done.printed.splitlines() if line.startswith("{")], done

    def _poll(self, folder: Path) -> list[str]:
        folder.mkdir(parents=True, exist_ok=True)  # up to 4.x it must exist
        program = ["finkctl", "stream", "-survey", "ztf"] if self._is_new else ["fink_consumer"]
        return [*program, "--save", "--display", "-outdir", str(folder)]

    def _must(self, *command: str) -> str:
        done = self._run(list(command), 180)
        # the password may be among the arguments
        assert done.code == 0, f"{command[0]} of fink-client {self.version}:\n{done.printed}\n{done.complained}"
        return done.printed

    def _run(
        self, command: list[str], seconds: float, told: str = "", until: Callable[[str], bool] = lambda _text: False
    ) -> Outcome:
        """Run a program; interrupt it after some seconds, or when what it says is what was waited for."""
        # nothing of this test's environment, but what a login shell has
        environ = {"HOME": str(self._home), "PATH": f"{self._programs}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
        with TemporaryDirectory() as folder:
            printed, complained = Path(folder, "printed"), Path(folder, "complained")
            with printed.open("wb") as output, complained.open("wb") as errors:
                process = subprocess.Popen(
                    environments.interruptible([str(self._programs / command[0]), *command[1:]]),
                    env=environ,
                    cwd=self._home,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                )
            assert process.stdin is not None
            process.stdin.write(told.encode())
            process.stdin.close()
            deadline = time.monotonic() + seconds
            while process.poll() is None:
                if time.monotonic() > deadline or until(_text(printed) + _text(complained)):
                    _interrupt(process)
                    break
                time.sleep(0.2)
            return Outcome(process.returncode, _text(printed), _text(complained))


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a program and all it has started, as Ctrl-C in a terminal does; kill what does not end."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _text(file: Path) -> str:
    """Return what was written so far; it may end within a character."""
    return file.read_text(errors="replace")
