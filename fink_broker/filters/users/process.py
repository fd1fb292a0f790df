"""One process of users' functions, seen from the broker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque

from fink_broker.filters.users.frames import Message, Pipe

#: One core is what users' functions get; the libraries they use would take all.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
#: Environment variables that users' functions see; any other may hold a secret, whatever its name.
KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", *ONE_THREAD)
#: How others begin that they see.
KEPT_BEGINNINGS = ("LC_", "PYTHON")
_LAST_WORDS = 2000


class Process:
    """A running process of users' functions, in a process group of its own.

    Parameters
    ----------
    memory_bytes : int
        The most memory it may ask for.
    """

    def __init__(self, memory_bytes: int) -> None:
        life, self._life = os.pipe()
        command = [sys.executable, "-P", "-m", "fink_broker.filters.users.worker", str(life), str(memory_bytes)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=[life],
                start_new_session=True,
                env=_environment(),
            )
        finally:
            os.close(life)
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101 # asked for above
        self._ending = threading.Lock()
        self._pipe = Pipe(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._printed: deque[bytes] = deque()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: Message, payload: bytes | memoryview = b"") -> None:
        """Send it a message; see `Pipe.send`."""
        self._pipe.send(message, payload)

    def receive(self, seconds: float) -> tuple[Message, bytes]:
        """Return its next message; see `Pipe.receive`."""
        return self._pipe.receive(seconds)

    def end(self) -> str:
        """End it and all it started, at once; return what it had died of before, and its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        code = self._process.poll()
        self.kill()
        self._listener.join(timeout=1.0)
        lines = b"".join(self._printed).decode(errors="replace").split("\n")
        words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return _death(code) + (f" (it last printed: {words[:200]})" if words else "")

    def stop(self) -> None:
        """End it and all it started, at once, from any thread: who waits for its message learns that it has gone."""
        with self._ending:
            if self._life >= 0:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Do what `stop` does, and give back what it held; may be called again, but not while others wait for it."""
        self.stop()
        with self._ending:
            if self._life >= 0:
                os.close(self._life)
                self._life = -1
                self._process.wait()
                for stream in (self._process.stdin, self._process.stdout):
                    if stream is not None:
                        stream.close()

    def _listen(self) -> None:
        """Take what it prints, so that it never waits for a reader, and keep the end of it."""
        stream = self._process.stderr
        assert stream is not None  # noqa: S101 # asked for above
        with stream, contextlib.suppress(OSError, ValueError):
            while piece := stream.read(1 << 16):
                self._printed.append(piece[-_LAST_WORDS:])
                while len(self._printed) > 1 and sum(map(len, self._printed)) > 2 * _LAST_WORDS:
                    self._printed.popleft()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_BEGINNINGS)}
    return {**dict.fromkeys(ONE_THREAD, "1"), **kept, "PYTHONUNBUFFERED": "1"}


def _death(code: int | None) -> str:
    if code is None:
        return "its process did not answer"
    if code < 0:
        return f"its process died of {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
