"""A program of the TOM under supervision: its output in the service's log, started again when it dies."""

from __future__ import annotations

import logging
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from fink_broker.errors import ServiceError
from fink_broker.service.child import die_with_parent

log = logging.getLogger(__name__)

#: deaths within this time (s) after which a program is given up
MOST_DEATHS = 5
WITHIN_SECONDS = 600.0
#: seconds before a program is started again: the first time, and at most; each time twice as long
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
_LEVEL = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_LEVEL_WITHIN = 60  # characters: where a line names its level at all
_LONGEST_LINE = 64 * 1024


class Program:
    """A program that shall run as long as the service does.

    Parameters
    ----------
    name : str
        What it is called in the log and in messages.
    command : sequence of str
        What starts it.
    folder : Path
        Its working folder.
    environment : mapping of str to str
        Its environment.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._folder, self._environment = list(command), folder, dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._deaths: deque[float] = deque(maxlen=MOST_DEATHS)
        self._again_at = 0.0
        self._trouble = ""
        self._asked = False

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it.

        It ends with the thread that calls this, so that must be one that lives as long as the service.
        """
        self._asked, self._trouble = False, ""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the launcher, which then ends this in order
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no other way to tie a child's life to ours
        )
        self._reader = threading.Thread(target=self._keep_log, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def keep(self) -> None:
        """Start it again if it has died; to be called now and then.

        Raises
        ------
        ServiceError
            If it has died too often.
        """
        if self._process is None or self.running:
            return
        if self._again_at == 0.0:
            self._note_death(self._process.returncode)
        elif time.monotonic() >= self._again_at:
            self._again_at = 0.0
            self.start()

    def ask_to_end(self) -> None:
        """Ask it to end, once: to be asked again means to some that they shall not finish what they have begun."""
        if self._process is not None and not self._asked:
            self._process.terminate()
            self._asked = True

    def stop(self, seconds: float) -> None:
        """End it, and kill it if it takes longer than ``seconds``. It is not started again by `keep`."""
        self.ask_to_end()
        process, self._process = self._process, None
        self._again_at = 0.0
        if process is None:
            return
        if process.poll() is None:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                log.warning("%s did not end within %.0f s and was killed", self.name, seconds)
                process.kill()
                process.wait()
        self._finish_log()

    def run_once(self, stop: threading.Event) -> bool:
        """Run it to its end; return False if it was told to stop before.

        Raises
        ------
        ServiceError
            If it fails.
        """
        self.start()
        process = self._process
        assert process is not None  # noqa: S101 - just started
        while process.poll() is None:
            if stop.wait(0.1):
                self.stop(seconds=10.0)
                return False
        self._finish_log()
        if process.returncode:
            raise ServiceError(f"{self.name} {_how(process.returncode)}{self._cause()}", "See `fink logs tom`.")
        return True

    def _note_death(self, code: int) -> None:
        self._finish_log()
        now = time.monotonic()
        self._deaths.append(now)
        if len(self._deaths) == MOST_DEATHS and now - self._deaths[0] < WITHIN_SECONDS:
            raise ServiceError(
                f"{self.name} ended {MOST_DEATHS} times in {(now - self._deaths[0]) / 60:.0f} min, at last it "
                f"{_how(code)}{self._cause()}",
                "See `fink logs tom`.",
            )
        recent = sum(now - death < WITHIN_SECONDS for death in self._deaths)
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (recent - 1))
        log.warning("%s %s; it is started again in %.0f s", self.name, _how(code), pause)
        self._again_at = now + pause

    def _cause(self) -> str:
        """Return the last line that looked like trouble, as the end of a sentence."""
        return f": {self._trouble.rstrip('.')[:300]}." if self._trouble else "."

    def _keep_log(self, output: IO[bytes]) -> None:
        with output:
            while raw := output.readline(_LONGEST_LINE):
                line = raw.decode(errors="replace").rstrip()
                found = _LEVEL.search(line[:_LEVEL_WITHIN])
                level = logging.getLevelNamesMapping()[found.group()] if found else logging.INFO
                if level >= logging.ERROR or re.match(r"[\w.]*(Error|Exception)\b", line):
                    self._trouble = line
                log.log(level, "%s: %s", self.name, line)

    def _finish_log(self) -> None:
        """Wait until all it has written is in the log; what outlives it may hold its output open."""
        if self._reader is not None:
            self._reader.join(5.0)


def without(environ: Mapping[str, str], *names: str) -> dict[str, str]:
    """Return an environment without some variables, and without what would show our packages to another Python."""
    return {name: value for name, value in environ.items() if name not in (*names, "PYTHONPATH", "PYTHONHOME")}


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
