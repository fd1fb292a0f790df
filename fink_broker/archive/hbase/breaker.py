"""Whoever asks a database that hangs need not find that out anew, each for the whole time an answer may take."""

from __future__ import annotations

import threading
import time
from copy import copy

from fink_broker.errors import ArchiveAway


class Breaker:
    """Lets nobody ask while a database hangs, but for one at a time who tries whether it is back.

    It opens when as many questions in a row as there are servers had no answer in time, while nobody else had one: a
    question that takes long among others that do not says nothing about the database. Safe to be used by several
    threads.

    Parameters
    ----------
    servers : int
        Servers that are asked in turn.
    pause_seconds : float
        From an answer that did not come to the next try.
    patience_seconds : float
        How long a try may take; after that another may try.
    """

    def __init__(self, servers: int, pause_seconds: float, patience_seconds: float) -> None:
        self._servers = servers
        self._pause = pause_seconds
        self._patience = patience_seconds
        self._lock = threading.Lock()
        self._in_vain = 0
        self._answered = float("-inf")
        self._next_try = 0.0
        self._why: ArchiveAway | None = None

    def require_closed(self) -> None:
        """Raise what the last one was told if the database hangs, unless it is time for another try: that is yours.

        Raises
        ------
        ArchiveAway
            If the database was found to hang a moment ago.
        """
        if self._why is None:  # without the lock: this is asked at every call
            return
        with self._lock:
            if self._why is None:
                return
            now = time.monotonic()
            if now < self._next_try:
                raise copy(self._why)
            self._next_try = now + self._patience + self._pause

    def answered(self) -> None:
        """Note that the database has answered, or at least said that it cannot."""
        self._answered = time.monotonic()
        if self._in_vain or self._why is not None:
            with self._lock:
                self._in_vain, self._why = 0, None

    def in_vain(self, asked: float, why: ArchiveAway) -> None:
        """Note that there was no answer in time.

        Parameters
        ----------
        asked : float
            When the question was asked, on the clock of ``time.monotonic``.
        why : ArchiveAway
            What others are to be told.
        """
        with self._lock:
            if self._answered >= asked:
                return
            self._in_vain += 1
            if self._in_vain >= self._servers:
                self._why = why
                self._next_try = time.monotonic() + self._pause
