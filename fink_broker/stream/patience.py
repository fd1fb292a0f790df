"""Waiting out a database that is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from fink_broker.errors import ArchiveAway
from fink_broker.metrics.registry import hbase_numbers

log = logging.getLogger(__name__)

#: seconds between two tries while HBase is away: the first, and the longest
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0

Answer = TypeVar("Answer")


class Stopped(Exception):
    """The job was told to stop while HBase was away: what it was doing is done again at the next start."""


class Patience:
    """Does what HBase is asked again and again until it answers.

    Parameters
    ----------
    stop : threading.Event
        Ends the waiting.
    say : callable
        Told what is waited for.
    """

    def __init__(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        self._stop, self._say = stop, say

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        """Return what a function returns once it does not raise `ArchiveAway` any more.

        Raises
        ------
        Stopped
            If told to stop while HBase is away.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                answer = ask()
            except ArchiveAway as error:
                self._say(f"waiting for HBase ({error.message})")
                log.warning("%s", error)
                hbase_numbers().waits.inc()
                if self._stop.wait(pause):
                    raise Stopped from error
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if pause > FIRST_PAUSE:
                    self._say("running")
                return answer
