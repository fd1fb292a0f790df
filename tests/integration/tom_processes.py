"""Processes of manage.py that tests watch and signal: started as users do, or copied from one that has loaded all.

To load the toolkit takes 6 s to 13 s of a processor; a copy (fork) of a process that has done so is there at once,
and from then on does what any other does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from environments import interruptible

#: reads commands, one a line: {"run": arguments, "log": file} gives a pid; {"ended": pid} its exit code, or null
_FACTORY = """
import ctypes, json, os, signal, sys

sys.path.insert(0, os.getcwd())
import django
from django.core.management import execute_from_command_line
from django.urls import get_resolver

django.setup()
get_resolver().url_patterns
for line in sys.stdin:
    asked = json.loads(line)
    if "ended" in asked:
        pid, status = os.waitpid(asked["ended"], os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if pid else None
    else:
        answer = os.fork()
        if answer == 0:
            break
    print(json.dumps(answer), flush=True)
else:
    sys.exit()
signal.signal(signal.SIGINT, signal.default_int_handler)
libc = ctypes.CDLL(None)
if hasattr(libc, "prctl"):
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with the process it is a copy of
log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in (1, 2):
    os.dup2(log, number)
sys.stdin = open(os.devnull)
sys.argv = ["manage.py", *asked["run"]]
execute_from_command_line(sys.argv)
"""


class Running:
    """A process that may have ended.

    Parameters
    ----------
    pid : int
        Its id.
    log : Path
        What it writes, output and errors.
    ended : callable
        Gives its exit code (negative: the signal that ended it), or None.
    """

    def __init__(self, pid: int, log: Path, ended: Callable[[], int | None]) -> None:
        self.pid, self.log = pid, log
        self._ended, self._code = ended, None

    @property
    def code(self) -> int | None:
        """Exit code, or None while it runs."""
        if self._code is None:
            self._code = self._ended()
        return self._code

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until something is so; fail with what the process wrote if it ends before, or does not bring it."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = self.code is not None and not condition()
            assert not ended, f"ended with {self.code} before: {what}\n{self.said[-3000:]}"
            assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}\n{self.said[-3000:]}"
            time.sleep(0.1)

    def says(self, *words: str, seconds: float = 60) -> None:
        """Wait until it has said all of some words."""
        for text in words:
            self.wait_for(lambda text=text: text in self.said, f"says {text!r}", seconds)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 60) -> int:
        """Wait until it ended; return its exit code."""
        deadline = time.monotonic() + seconds
        while (code := self.code) is None:
            assert time.monotonic() < deadline, f"still runs after {seconds:.0f} s:\n{self.said[-3000:]}"
            time.sleep(0.05)
        return code

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.code is None:
            self.send(signal.SIGKILL)
            self.wait()


def start(command: list[str], folder: Path, environ: dict[str, str], log: Path) -> Running:
    """Start a process in a folder."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            interruptible(command),
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Running(process.pid, log, process.poll)


class ManageFactory:
    """A process that has loaded a project, and is copied for each command of its manage.py.

    Parameters
    ----------
    python : Path
        The interpreter of its environment.
    folder : Path
        The project.
    environ : dict
        Environment of the processes.
    settings : str
        Module of the project's settings.
    """

    def __init__(self, python: Path, folder: Path, environ: dict[str, str], settings: str) -> None:
        self._log = folder / "tmp" / "factory.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(python), "-c", _FACTORY],
                cwd=folder,
                env=environ | {"DJANGO_SETTINGS_MODULE": settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def start(self, arguments: list[str], log: Path) -> Running:
        """Run a command of manage.py."""
        pid = self._ask({"run": arguments, "log": str(log)})
        assert isinstance(pid, int)
        return Running(pid, log, lambda: self._ask({"ended": pid}))

    def close(self) -> None:
        """End it, and what it started."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        self._process.wait(30)

    def _ask(self, asked: dict[str, object]) -> int | None:
        self._process.stdin.write(json.dumps(asked) + "\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        answer = self._process.stdout.readline()  # type: ignore[union-attr]
        assert answer, f"the project cannot be loaded:\n{self._log.read_text()[-3000:]}"
        return json.loads(answer)
