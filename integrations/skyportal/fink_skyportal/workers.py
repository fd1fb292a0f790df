"""Jobs done side by side, which a hung server cannot keep from ending."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from .errors import Stopped

_LOOK_SECONDS = 0.2


class Workers:
    """Threads that do jobs, and what happens to them when the client is to stop.

    Parameters
    ----------
    count : int
        Jobs done at the same time.
    stop : threading.Event
        Begins the time of grace.
    leave : threading.Event
        Set when that is over: whoever waits for something gives up then.
    grace_seconds : float
        Time for what was begun.
    """

    def __init__(self, count: int, stop: threading.Event, leave: threading.Event, grace_seconds: float) -> None:
        self.count, self.stop, self.leave, self.grace_seconds = count, stop, leave, grace_seconds
        self._left_at: float | None = None

    def run(self, jobs: Sequence[Callable[[], None]], *, begin_until_stop: bool = False) -> None:
        """Do jobs and return when all are done.

        Parameters
        ----------
        jobs : sequence of callable
            What they raise says that the others are in vain, too; only after `Stopped` the others are still tried.
        begin_until_stop : bool
            Whether those not begun are left out once the client is to stop.

        Raises
        ------
        Stopped
            If the time of grace is over.
        Exception
            What a job has raised.
        """
        waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        errors: list[Exception] = []

        def work() -> None:
            while not (begin_until_stop and self.stop.is_set()) and all(isinstance(e, Stopped) for e in errors):
                try:
                    waiting.get_nowait()()
                except queue.Empty:
                    return
                except Exception as error:
                    errors.append(error)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self.count, len(jobs)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_LOOK_SECONDS)
                self._end_of_grace()
        if errors:
            raise min(errors, key=lambda error: isinstance(error, Stopped))

    def _end_of_grace(self) -> None:
        if not self.stop.is_set():
            return
        now = time.monotonic()
        self._left_at = self._left_at or now + self.grace_seconds
        if now >= self._left_at:
            self.leave.set()
            raise Stopped
