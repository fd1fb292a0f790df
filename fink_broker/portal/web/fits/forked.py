"""The process that forks for each fit: it has the numerical libraries loaded, so that a fit starts within 20 ms.

Started by `Jobs` as ``python -m fink_broker.portal.web.fits.forked FOLDER MOST SECONDS KINDS``; there is one for a
folder. It has a single thread, as a process that forks must, and ends when it has not been needed for a while, or no
process of the portal is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fink_broker.portal.web.fits.forked_fit import run_fit
from fink_broker.portal.web.fits.job_folder import JobFolder, Order
from fink_broker.portal.web.fits.jobs import BELL, PORTALS
from fink_broker.portal.web.fits.kinds import Fit

#: seconds without a look after which nobody waits for a fit any more
UNSEEN_SECONDS = 30.0
#: seconds without an order after which the libraries are given back
IDLE_SECONDS = 600.0
_TICK, _IDLE_TICK = 0.2, 2.0
_CLEAN_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """A fit that runs: the process, and when it is ended (by the monotonic clock)."""

    order: Order
    pid: int
    until: float


class Forking:
    """The orders of a folder, and the processes that carry them out.

    Parameters
    ----------
    files : JobFolder
        Where orders come from and states go to.
    most : int
        Fits at the same time.
    seconds : float
        Time after which a fit is ended.
    kinds : mapping
        Where the functions are, by kind.
    closed_in_fits : tuple of int
        File descriptors that are none of a fit's business.
    """

    def __init__(
        self,
        files: JobFolder,
        most: int,
        seconds: float,
        kinds: Mapping[str, str],
        closed_in_fits: tuple[int, ...] = (),
    ) -> None:
        self.files, self.most, self.seconds, self.closed = files, most, seconds, closed_in_fits
        self._unloaded = dict(kinds)
        self._fits: dict[str, Fit] = {}
        self.waiting: list[Order] = []
        self.running: dict[str, Running] = {}
        self._places: dict[str, int] = {}

    def end_left_over(self) -> None:
        """End the jobs that ran when an earlier process died: theirs died with it."""
        for job_id in self.files.open_jobs():
            if (self.files.read(job_id, "now") or {}).get("state") == "running":
                self._end(job_id, "failed", "The fit was ended from outside: run it again.")

    def work(self) -> None:
        """Do all that is to be done now: reap, end, take, start."""
        self._reap()
        self._end_unwanted()
        known = self.running.keys() | {order.job_id for order in self.waiting}
        self.waiting += self.files.orders(known)
        while self.waiting and len(self.running) < self.most:
            self._fork(self.waiting.pop(0))
        for place, order in enumerate(self.waiting, 1):
            if self._places.get(order.job_id) != place:
                self._places[order.job_id] = place
                words = "Waiting for other fits to end" if place == 1 else f"Waiting: {place - 1} before this one"
                self.files.write(order.job_id, "now", {"state": "waiting", "place": place, "words": words})

    def load(self, kind: str = "") -> bool:
        """Load the function of a kind, or one that is not loaded yet; tell whether there was one to load."""
        kind = kind or next(iter(self._unloaded), "")
        name = self._unloaded.pop(kind, "")
        if name:
            self._fits[kind] = _function(name)
        return bool(name)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.waiting and not self.running

    def _reap(self) -> None:
        for job_id, each in list(self.running.items()):
            pid, status = os.waitpid(each.pid, os.WNOHANG)
            if pid:
                del self.running[job_id]
                words = "The fit ended unexpectedly. Others are not affected: run it again."
                if os.WIFSIGNALED(status):
                    words = "The fit was killed, perhaps for want of memory: take fewer terms or a narrower range."
                self._end(job_id, "failed", words)

    def _end_unwanted(self) -> None:
        for job_id, each in list(self.running.items()):
            if reason := self._reason_to_end(job_id, each.until):
                os.kill(each.pid, signal.SIGKILL)
                os.waitpid(each.pid, 0)
                del self.running[job_id]
                self._end(job_id, *reason)
        for order in list(self.waiting):
            if reason := self._reason_to_end(order.job_id, float("inf")):
                self.waiting.remove(order)
                self._end(order.job_id, *reason)

    def _reason_to_end(self, job_id: str, until: float) -> tuple[str, str] | None:
        if self.files.file(job_id, "cancel").exists():
            return "cancelled", "The fit was cancelled."
        if self.files.unseen_seconds(job_id) > UNSEEN_SECONDS:
            return "cancelled", "Nobody waited for the fit any more."
        if time.monotonic() > until:
            words = f"The fit took longer than {self.seconds:g} s and was ended: take fewer terms or a narrower range."
            return "failed", words
        return None

    def _end(self, job_id: str, state: str, words: str) -> None:
        self._places.pop(job_id, None)
        self.files.end(job_id, {"state": state, "words": words})

    def _fork(self, order: Order) -> None:
        self.files.write(order.job_id, "now", {"state": "running", "share": 0.0, "words": "Starting"})
        self._places.pop(order.job_id, None)
        self.load(order.kind)  # before the fork: the next fit of the kind has it
        pid = os.fork()
        if pid == 0:
            for descriptor in self.closed:
                os.close(descriptor)
            run_fit(self.files, order, self._fits, self.seconds)
        self.running[order.job_id] = Running(order, pid, time.monotonic() + self.seconds)


def main(folder: str, most: str, seconds: str, kinds: str) -> None:
    """Serve the orders of a folder until nobody needs that."""
    files = JobFolder(Path(folder))
    lock = os.open(files.path / "forked.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # another one is there
    with contextlib.suppress(FileExistsError):
        os.mkfifo(files.path / BELL, 0o600)
    bell = os.open(files.path / BELL, os.O_RDWR | os.O_NONBLOCK)  # also for writing: it never ends
    ended, tell = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(tell, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
    signal.set_wakeup_fd(tell)
    forking = Forking(files, int(most), float(seconds), json.loads(kinds), (lock, bell, ended, tell))
    forking.end_left_over()
    _serve(forking, bell, ended)


def _serve(forking: Forking, bell: int, ended: int) -> None:
    needed = time.monotonic()
    cleaned = 0.0
    while forking.files.path.is_dir():
        forking.work()
        now = time.monotonic()
        needed = needed if forking.is_idle else now
        if now - cleaned > _CLEAN_SECONDS:
            forking.files.clean()
            cleaned = now
        if forking.is_idle and (now - needed > IDLE_SECONDS or not _has_portal(forking.files.path)):
            return
        if forking.is_idle and forking.load():
            continue
        heard = select.select([bell, ended], [], [], _IDLE_TICK if forking.is_idle else _TICK)[0]
        for descriptor in heard:
            with contextlib.suppress(BlockingIOError):
                os.read(descriptor, 4096)
        needed = time.monotonic() if bell in heard else needed


def _has_portal(folder: Path) -> bool:
    """Tell whether a process of the portal is alive: it holds a lock."""
    with (folder / PORTALS).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _function(name: str) -> Fit:
    module, function = name.split(":")
    found: Fit = getattr(import_module(module), function)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
