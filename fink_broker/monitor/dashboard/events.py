"""Server-sent events: each snapshot is encoded once and goes to all who listen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from fink_broker.monitor.board import Snapshot

#: listeners at the same time; a browser that is turned away asks again
MOST_LISTENERS = 200
#: seconds of silence after which a sign of life is sent
BEAT_SECONDS = 10.0


@dataclass(frozen=True)
class Encoded:
    """A snapshot as JSON, without and with the lines of logs, and when it was taken (unix seconds)."""

    plain: bytes
    with_logs: bytes
    taken: float = 0.0

    @property
    def beat(self) -> bytes:
        """A sign of life that tells how old it is: a dashboard that answers may see nothing new."""
        return b'event: beat\ndata: {"age":%d}\n\n' % max(0.0, time.time() - self.taken)


def encode(snapshot: Snapshot) -> Encoded:
    """Return a snapshot as JSON."""
    return Encoded(snapshot.to_json(with_logs=False), snapshot.to_json(), snapshot.taken)


class Broadcast:
    """Hands snapshots to listeners; one that is slow gets the latest and none of those it missed.

    Parameters
    ----------
    first : Encoded
        What is known at the start.
    """

    def __init__(self, first: Encoded) -> None:
        self.latest = first
        self.listeners = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next = asyncio.Event()
        self._is_closed = False

    def bind(self) -> None:
        """Belong to the event loop that is running."""
        self._loop = asyncio.get_running_loop()

    def publish(self, snapshot: Snapshot) -> None:
        """Hand a snapshot to all listeners; may be called in any thread."""
        encoded = encode(snapshot)
        self._call(lambda: self._set(encoded))

    def close(self) -> None:
        """End all streams; may be called in any thread."""
        self._is_closed = True
        self._call(self._wake)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another listener."""
        return self.listeners >= MOST_LISTENERS

    async def stream(self, *, with_logs: bool) -> AsyncIterator[bytes]:
        """Give events for one listener until it leaves or the server stops."""
        self.listeners += 1
        try:
            sent: Encoded | None = None
            while not self._is_closed:
                if self.latest is not sent:
                    sent = self.latest
                    yield b"event: snapshot\ndata: " + (sent.with_logs if with_logs else sent.plain) + b"\n\n"
                    continue
                try:
                    await asyncio.wait_for(self._next.wait(), BEAT_SECONDS)
                except TimeoutError:
                    yield self.latest.beat
        finally:
            self.listeners -= 1

    def _call(self, function: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def _set(self, encoded: Encoded) -> None:
        self.latest = encoded
        self._wake()

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()
