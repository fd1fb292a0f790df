"""Fits of visitors, each in a process of its own: bounded, cancellable, visible to all processes of the portal.

One process, started when it is first needed and ended some minutes after it was last, has the numerical libraries
loaded and forks for each fit (``forked.py``). The processes of the portal and it share a folder: orders, states and
results are files in it, and a byte in its FIFO ``bell`` says that something is new. Whoever dies, the others see it:
a FIFO without a reader is an error to who opens it, and locks of the dead are free.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fink_broker.portal.web.fits.job_folder import FitError, JobFolder, is_job_id
from fink_broker.portal.web.fits.kinds import KINDS

#: fits that may wait; those of one visitor that may wait or run
MOST_WAITING, MOST_OF_VISITOR = 32, 4
#: largest inputs, in bytes of JSON
LARGEST_INPUTS = 4_000_000
#: seconds the process that forks may take until it listens
_START_SECONDS = 10.0
#: a longer log of it is begun again when it is started, in bytes
LARGEST_LOG = 1 << 20
_NO_FILES = "The portal cannot write the files of fits just now: tell its operator."
BELL, PORTALS = "bell", "portals.lock"

State = Literal["waiting", "running", "done", "failed", "cancelled", "unknown"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "unknown")


@dataclass(frozen=True)
class JobState:
    """How a fit is.

    Parameters
    ----------
    state : str
        ``waiting``, ``running``, ``done``, ``failed``, ``cancelled``, or ``unknown`` if there is none of that name.
    words : str
        What it does, or why it ended.
    share : float
        How much of it is done, 0 to 1.
    place : int
        Its place among those that wait, from 1; 0 if it does not wait.
    result : mapping
        What came out of it.
    """

    state: State
    words: str = ""
    share: float = 0.0
    place: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)


class Jobs:
    """Where fits run; safe to be used by several threads and processes.

    Parameters
    ----------
    folder : Path
        Where states and results are kept, as JSON; the same for all processes of the portal.
    most : int
        Fits at the same time; further ones wait.
    seconds : float
        Time after which a fit is ended.
    kinds : mapping
        The fits there are, by name, as ``module:function``.
    """

    def __init__(self, folder: Path, most: int, seconds: float, kinds: Mapping[str, str] = KINDS) -> None:
        self.folder, self.most, self.seconds = folder, most, seconds
        self._files = JobFolder(folder)
        self._kinds = dict(kinds)
        self._lock = threading.Lock()
        self._started: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._present = -1

    def start(self, kind: str, inputs: Mapping[str, Any], visitor: str = "", before: object = None) -> str:
        """Order a fit and return the name of its job, at once; the same inputs give the same result for an hour.

        Parameters
        ----------
        kind : str
            Which fit.
        inputs : mapping
            What it takes, as JSON has it.
        visitor : str
            Whom it is for: nobody has more than `MOST_OF_VISITOR` at a time; empty: that is not looked at.
        before : object
            The job whose place it takes: what has other inputs is cancelled, what has the same goes on.

        Raises
        ------
        FitError
            If too many wait, or the inputs are too large or hold a number that is not finite.
        KeyError
            If there is no fit of that kind.
        """
        if kind not in self._kinds:
            raise KeyError(kind)
        try:
            size = len(json.dumps(inputs, allow_nan=False))
        except ValueError:
            raise FitError("A measurement or a setting is not a finite number: the fit cannot be done.") from None
        if size > LARGEST_INPUTS:
            raise FitError("The object has too many measurements for a fit in the browser: download them instead.")
        try:
            self._files.make()
            same = self._files.same(kind, inputs, before)
            if isinstance(before, str) and before != same:
                self.cancel(before)
            if same:
                return same
            self._check_room(visitor)
            job_id = self._files.order(kind, inputs, visitor)
            self._ring()
        except OSError:
            raise FitError(_NO_FILES) from None
        return job_id

    def _check_room(self, visitor: str) -> None:
        if sum(map(self._files.is_open, self._files.open_jobs())) >= self.most + MOST_WAITING:
            raise FitError("Too many fits are waiting just now: try again in a minute.")
        if visitor and self._files.open_of(visitor) >= MOST_OF_VISITOR:
            raise FitError(
                f"{MOST_OF_VISITOR} fits from your address wait or run: cancel one, or let one end, then try again."
            )

    def look(self, job_id: object, kind: str = "") -> JobState:
        """Return how a fit is; who does not look for half a minute gives it up.

        Parameters
        ----------
        job_id : object
            Name of its job, whatever the browser made of it.
        kind : str
            Which fit it has to be: another one is unknown. Empty: any.
        """
        if not is_job_id(job_id):
            return JobState("unknown", "There is no such fit.")
        ended = self._files.read(job_id, "end")
        if ended is None and self._files.file(job_id, "job").exists():
            self._files.touch(job_id)
            with contextlib.suppress(OSError):  # a full disk: what is known is told all the same
                self._ring(only_if_away=True)
            now = self._files.read(job_id, "now") or {"state": "waiting", "words": "Starting"}
            return _state_of(now)
        # it may have ended in between
        ended = ended or self._files.read(job_id, "end")
        if ended is None:
            return JobState("unknown", "The result of this fit is not kept any more: run it again.")
        if kind and ended.get("kind", kind) != kind:
            return JobState("unknown", "There is no such fit.")
        return _state_of(ended)

    def cancel(self, job_id: object) -> None:
        """End a fit, whether it runs or waits; nothing happens if it has ended.

        Raises
        ------
        FitError
            If that cannot be written.
        """
        if not is_job_id(job_id) or not self._files.is_open(job_id):
            return
        try:
            self._files.write(job_id, "cancel", {})
            self._ring()
        except OSError:
            raise FitError(_NO_FILES) from None

    def warm(self) -> None:
        """Start the process that forks, if it is not there, so that a fit that is ordered soon starts at once."""
        try:
            self._files.make()
            self._ring(only_if_away=True)
        except OSError:
            return  # whoever orders a fit is told

    def close(self) -> None:
        """Say that this process of the portal needs no fits any more."""
        with self._lock:
            if self._present >= 0:
                os.close(self._present)
                self._present = -1

    def _ring(self, *, only_if_away: bool = False) -> None:
        """Say that something is new to the process that forks; start it if it is not there."""
        self._be_present()
        try:
            bell = os.open(self.folder / BELL, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no FIFO, or nobody reads it
            self._start()
            return
        try:
            if not only_if_away:
                os.write(bell, b"!")
        except BlockingIOError:
            pass  # it has not heard many earlier rings yet
        finally:
            os.close(bell)

    def _be_present(self) -> None:
        """Hold a lock as long as this process lives: the process that forks ends when nobody does."""
        with self._lock:
            if self._present < 0:
                self._present = os.open(self.folder / PORTALS, os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._present, fcntl.LOCK_SH)

    def _start(self) -> None:
        with self._lock:
            if self._started is not None and self._started.poll() is None:
                if time.monotonic() - self._started_at < _START_SECONDS:
                    return
                self._started.kill()
                self._started.wait()
            self._started_at = time.monotonic()
            # one core a fit: visitors share the machine; its code is where ours is
            single = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
            environment = os.environ | single | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            command = [sys.executable, "-m", "fink_broker.portal.web.fits.forked", str(self.folder), str(self.most),
                       str(self.seconds), json.dumps(self._kinds)]  # fmt: skip
            written = self.folder / "fits.log"
            is_long = written.exists() and written.stat().st_size > LARGEST_LOG
            with written.open("wb" if is_long else "ab") as log:
                self._started = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
                )


def _state_of(content: Mapping[str, Any]) -> JobState:
    return JobState(
        content.get("state", "unknown"),
        str(content.get("words", "")),
        float(content.get("share", 0.0)),
        int(content.get("place", 0)),
        content.get("result") or {},
    )
