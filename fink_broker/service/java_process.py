"""A Java server we start, watch and end: the embedded Kafka, and the two processes of the embedded HBase."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from fink_broker.errors import ServiceError
from fink_broker.service import java_parts
from fink_broker.service.child import die_with_parent
from fink_broker.service.logs import ROTATE_BYTES, rotate, set_aside

STOP_SECONDS = 30.0
TROUBLE = re.compile(r"ERROR|FATAL|Exception|Error:|OutOfMemory|No space")
#: so much of the end of a log is searched for trouble
TROUBLE_BYTES = 1024 * 1024
LONGEST_LINE = 64 * 1024
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
    """One Java process with a log of its own, which is set aside whenever it has grown large.

    Parameters
    ----------
    name : str
        What it is called in messages.
    log : Path
        File that gets its output.

    Attributes
    ----------
    bytes_told : int
        What it has written so far.
    """

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.bytes_told = 0
        self._log_start = 0
        self._looked_at = 0
        self._unseen = b""
        self._log_lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_keeper: threading.Thread | None = None

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
        self._process = _popen(command)
        self._log_keeper = threading.Thread(
            target=self._keep_log, args=(self._process.stdout,), name=f"log of {self.name}", daemon=True
        )
        self._log_keeper.start()

    def check(self) -> None:
        """Raise ServiceError if the process has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self._finish_log()
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
        self._finish_log()

    def trouble(self) -> str:
        """Say where the log is, and the last thing at its end that looks like trouble."""
        with self.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, 2) - TROUBLE_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        told = [line.strip() for line in lines if TROUBLE.search(line) and not STACK_LINE.match(line)]
        return f"Its log {self.log} says: {told[-1][:300]}" if told else f"Its log is {self.log}."

    def new_lines(self) -> list[str]:
        """Return the lines of the log that came since this was last asked."""
        with self._log_lock:
            new = self._unseen + self._rest()
            whole = new[: new.rfind(b"\n") + 1]  # the last line may be half written
            self._unseen = new[len(whole) :]
        return [line.strip() for line in whole.decode(errors="replace").splitlines()]

    def _rest(self) -> bytes:
        """Return what the log holds beyond what has been looked at."""
        with self.log.open("rb") as log:
            log.seek(self._looked_at)
            new = log.read()
        self._looked_at += len(new)
        return new

    def _keep_log(self, output: IO[bytes]) -> None:
        """Copy what the process writes to its log, to the end."""
        with output:
            while line := output.readline(LONGEST_LINE):
                self.bytes_told += len(line)
                with suppress(OSError), self._log_lock:  # a full disk must not stop the server
                    self._append(line)

    def _append(self, line: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(line)
            size = log.tell()
        if size > ROTATE_BYTES:
            self._unseen += self._rest()
            set_aside(self.log)
            self.log.touch()
            self._looked_at = self._log_start = 0

    def _finish_log(self) -> None:
        """Wait until all the process has written is in the log."""
        if self._log_keeper is not None:
            self._log_keeper.join(STOP_SECONDS)


def _popen(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the launcher, which then closes the server in order
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no other way to tie a child's life to ours
    )
