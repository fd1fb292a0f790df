"""A Java server we start, watch and end: the embedded Kafka, and the two processes of the embedded HBase."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from fink_broker.errors import ServiceError
from fink_broker.service import java_parts
from fink_broker.service.child import die_with_parent
from fink_broker.service.logs import rotate

STOP_SECONDS = 30.0
TROUBLE = re.compile(r"ERROR|FATAL|Exception|Error:|OutOfMemory|No space")
STACK_LINE = re.compile(r"\s+at |\s*\.\.\. \d+ more")


def java_command(
    java: Path, parts: str, heap_mib: int, options: Sequence[str] = (), settings_folder: Path | None = None
) -> list[str]:
    """Return how a program of a set of Java parts is started, up to the name of its main class.

    Parameters
    ----------
    java : Path
        The ``java`` program.
    parts : str
        Set of Java parts that holds the program.
    heap_mib : int
        Heap in MiB.
    options : sequence of str
        Further options of the Java machine.
    settings_folder : Path, optional
        Folder on the class path in which the program finds its settings.
    """
    found = java_parts.classpath(parts)
    return [
        str(java),
        f"-Xmx{heap_mib}m",
        "-Xms64m",
        "-XX:TieredStopAtLevel=1",  # up sooner, and no second compiler beside the jobs
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        *options,
        "-cp",
        f"{settings_folder}:{found}" if settings_folder else found,
    ]


class JavaProcess:
    """One Java process with a log of its own.

    Parameters
    ----------
    name : str
        What it is called in messages.
    log : Path
        File that gets its output.
    """

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._log_start = 0
        self._looked_at = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the Java machine."""
        return self._process.pid if self._process else None

    def begin_log(self) -> None:
        """Note that what comes now belongs to this start; a log that has grown large is set aside."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log)
        with self.log.open("ab") as log:
            self._log_start = self._looked_at = log.tell()

    def run_once(self, command: list[str]) -> bool:
        """Run a command to its end, its output in the log; return whether it went well."""
        with self.log.open("ab") as log:
            return subprocess.run(command, stdout=log, stderr=log, check=False).returncode == 0

    def start(self, command: list[str]) -> None:
        """Start the process.

        It ends with the thread that calls this, so that must be one that lives as long as the service.
        """
        with self.log.open("ab") as log:
            self._process = _popen(command, log)

    def check(self) -> None:
        """Raise ServiceError if the process has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
            raise ServiceError(f"{self.name} {how}.", self.trouble())

    def terminate(self) -> None:
        """Close the process in order; kill it if it takes longer than 30 s."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def trouble(self) -> str:
        """Say where the log is, and the last thing in it that looks like trouble."""
        with self.log.open(errors="replace") as log:
            log.seek(self._log_start)
            told = [line.strip() for line in log if TROUBLE.search(line) and not STACK_LINE.match(line)]
        return f"Its log {self.log} says: {told[-1][:300]}" if told else f"Its log is {self.log}."

    def new_lines(self) -> list[str]:
        """Return the lines of the log that came since this was last asked."""
        with self.log.open("rb") as log:
            log.seek(self._looked_at)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]  # the last line may be half written
        self._looked_at += len(whole)
        return [line.strip() for line in whole.decode(errors="replace").splitlines()]


def _popen(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C is for the launcher, which then closes the server in order
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no other way to tie a child's life to ours
    )
