"""Ends alert streams at Ctrl-C or SIGTERM after the alert in hand.

``manage.py readstreams`` starts a thread for each stream and is done; Python then waits for the threads, and a signal
would be noticed only between two of them.

What a signal calls runs in the midst of whatever the main thread does, and waits for nothing: the main thread may hold
a lock, of the log for example, that the alert in hand needs. So the last thread that listened sends the signal again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Python may sleep over a signal that comes just before the main thread begins to wait for something.
SEND_AGAIN_SECONDS = 1.0

_STOPPING = b"Stopping after the alert in hand; the same signal again stops at once.\n"


class Stopping:
    """Knows the threads that listen, and what tells each of them to stop."""

    def __init__(self) -> None:
        self._listening: dict[threading.Thread, threading.Event] = {}
        self._ours: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._previous: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._signal: int | None = None
        self._is_decided = threading.Event()

    def install(self) -> None:
        """Take over the signals, once; does nothing outside the main thread, where Python cannot."""
        if self._previous or threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            previous = signal.getsignal(number)
            # None: it was not set by Python and could not be set back; what a shell runs behind is to ignore Ctrl-C
            if previous not in (None, signal.SIG_IGN):
                self._previous[number] = previous
                signal.signal(number, self._on_signal)

    @contextmanager
    def listening(self, stop: threading.Event) -> Iterator[None]:
        """Say that this thread listens until it is told to stop by an event, while the block lasts."""
        thread = threading.current_thread()
        with self._lock:
            self._ours.add(thread)
            self._listening[thread] = stop
        if self._signal is not None:  # the others were told while this one began
            stop.set()
        try:
            yield
        finally:
            with self._lock:
                self._listening.pop(thread, None)
                is_last = not self._listening
            if is_last and self._signal is not None:
                self._send_again(self._signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # no lock, no log: the thread that holds what they need may be this one, interrupted
        is_again, self._signal = self._signal is not None, number
        listening = dict(self._listening)
        if not listening:
            self._signal = None
            self._is_decided.set()
            if is_again:
                self._end(number, frame)
            else:
                self._hand_on(number, frame)
        elif is_again:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        else:
            for stop in listening.values():
                stop.set()
            with suppress(OSError):
                os.write(2, _STOPPING)

    def _send_again(self, number: int) -> None:
        """Let the main thread decide how to end, now that ours are done, unless Python ends anyway."""
        main = threading.main_thread()
        if threading.current_thread() is main:
            self._signal = None
        elif main.is_alive() or self._others():
            self._is_decided.clear()
            while not self._is_decided.is_set():
                signal.pthread_kill(main.ident, number)
                self._is_decided.wait(SEND_AGAIN_SECONDS)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """End the process with 0 if only our threads were left; else somebody else decides."""
        if self._previous[number] not in (signal.SIG_DFL, signal.default_int_handler) or self._others():
            self._hand_on(number, frame)
        elif threading.main_thread().is_alive():  # Python does not wait for threads yet, and goes on with what it does
            sys.exit(0)

    def _others(self) -> bool:
        """Tell whether threads that never listened keep the process alive."""
        main = threading.main_thread()
        return any(
            thread is not main and not thread.daemon and thread not in self._ours for thread in threading.enumerate()
        )

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        previous = self._previous[number]
        if callable(previous):
            previous(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


#: The one of this process: signals belong to a process.
stopping = Stopping()
