"""Ends alert streams at Ctrl-C or SIGTERM after the alert in hand.

``manage.py readstreams`` starts a thread for each stream and is done; Python then waits for the threads, and a signal
would be noticed only between two of them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Knows the threads that listen, and what tells each of them to stop."""

    def __init__(self) -> None:
        self._listening: dict[threading.Thread, threading.Event] = {}
        self._previous: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._is_stopping = False

    def install(self) -> None:
        """Take over the signals, once; does nothing outside the main thread, where Python cannot."""
        if self._previous or threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            previous = signal.getsignal(number)
            if previous is not None:  # None: it was not set by Python and could not be set back
                self._previous[number] = previous
                signal.signal(number, self._on_signal)

    @contextmanager
    def listening(self, stop: threading.Event) -> Iterator[None]:
        """Say that this thread listens until it is told to stop by an event, while the block lasts."""
        thread = threading.current_thread()
        with self._lock:
            self._listening[thread] = stop
        try:
            yield
        finally:
            with self._lock:
                self._listening.pop(thread, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # no lock here: the thread that holds it may be this one, interrupted
        listening = dict(self._listening)
        if self._is_stopping or not listening:
            self._hand_on(number, frame, is_urgent=self._is_stopping)
            return
        self._is_stopping = True
        logger.info("Stopping after the alert in hand; the same signal again stops at once.")
        for stop in listening.values():
            stop.set()
        this = threading.current_thread()
        for thread in listening:
            if thread is not this:
                thread.join()
        self._is_stopping = False
        if this not in listening:
            self._end(number, frame)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """End the process with 0 if only our threads were left; else somebody else decides."""
        main = threading.main_thread()
        if any(thread is not main and not thread.daemon and thread.is_alive() for thread in threading.enumerate()):
            self._hand_on(number, frame, is_urgent=False)
        elif main.is_alive():  # Python does not wait for threads yet, and would go on with what it does
            if self._previous[number] in (signal.SIG_DFL, signal.default_int_handler):
                sys.exit(0)
            self._hand_on(number, frame, is_urgent=False)

    def _hand_on(self, number: int, frame: FrameType | None, *, is_urgent: bool) -> None:
        previous = self._previous[number]
        if callable(previous) and not is_urgent:
            previous(number, frame)
        elif previous != signal.SIG_IGN or is_urgent:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


#: The one of this process: signals belong to a process.
stopping = Stopping()
