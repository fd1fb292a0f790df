"""How much is done at a time: requests in threads, bytes of bodies in memory, answers on their way."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from fink_broker.portal.route import RequestError

Result = TypeVar("Result")
MIB = 1024 * 1024

#: longest path and query string of a request, in bytes
LONGEST_URL = 32 * 1024
#: requests that wait for each thread before further ones are refused
WAITING_PER_THREAD = 4
#: a request of a route of this cost is heavy: it takes long, or much memory, with few rows
HEAVY = 10
#: threads for each one that heavy requests may have, so that they leave room for the others
THREADS_PER_HEAVY = 4
#: answers on their way for each thread, of those that are not sent at once; each may hold its rows in memory
ANSWERS_PER_THREAD = 2
#: bodies of the largest size that may be in memory at once
LARGEST_BODIES = 4
#: seconds after which a client that was refused may try again
RETRY_SECONDS = 2


def busy(with_what: str) -> RequestError:
    """Return the refusal of a request for which there is no room now."""
    return RequestError(
        f"The server is busy: {with_what}. Try again in some seconds.\n", status=503, retry_after=RETRY_SECONDS
    )


class Workers:
    """Threads that serve requests, and a line of bounded length before them.

    To be used from one event loop.

    Parameters
    ----------
    threads : int
        Requests worked on side by side.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._places = threads * (1 + WAITING_PER_THREAD)
        self._taken = 0
        self._heavy = threading.BoundedSemaphore(max(1, threads // THREADS_PER_HEAVY))

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place in the line until the answer to a request begins.

        Raises
        ------
        RequestError
            503, if the line is full.
        """
        if self._taken >= self._places:
            raise busy("too many requests wait")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    def submit(self, function: Callable[[], Result], *, is_heavy: bool = False) -> asyncio.Future[Result]:
        """Return what a function will give that runs in a thread as soon as one is free.

        Parameters
        ----------
        function : callable
            The work.
        is_heavy : bool
            Whether it may have some of the threads only. It counts until it ends, even if nobody waits for it any more.

        Raises
        ------
        RequestError
            503, if those are taken.
        """
        if is_heavy and not self._heavy.acquire(blocking=False):
            raise busy("other requests of this kind take long")
        future = self._pool.submit(function)
        if is_heavy:
            future.add_done_callback(lambda _: self._heavy.release())
        return asyncio.wrap_future(future)

    def close(self) -> None:
        """End the threads that are idle; those at work end with it."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Bodies:
    """The bodies of requests, read up to a size, and not too many bytes of them at once.

    Parameters
    ----------
    most_mib : int
        Largest body in MiB.
    """

    def __init__(self, most_mib: int) -> None:
        self._most = most_mib * MIB
        self._held = 0

    def check_length(self, length: str | None, most: int | None = None) -> None:
        """Refuse a body by the length its header announces.

        Parameters
        ----------
        length : str, optional
            The header.
        most : int, optional
            Largest body of this route in bytes, if that is less than that of all.

        Raises
        ------
        RequestError
            413 if it is too large, 400 if the header is no number.
        """
        if length is None:
            return
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise RequestError("The header Content-Length is not a number.\n")
        if int(length) > self._largest(most):
            raise _too_large(self._largest(most))

    @asynccontextmanager
    async def read(
        self, pieces: AsyncIterator[bytes], length: str | None, most: int | None = None
    ) -> AsyncIterator[bytes]:
        """Read a body, and count it as held until the request is done with it.

        Parameters
        ----------
        pieces : asynchronous iterator of bytes
            The body as it comes.
        length : str, optional
            Its length, as announced.
        most : int, optional
            Largest body of this route in bytes, if that is less than that of all.

        Raises
        ------
        RequestError
            413 as soon as it is too large, 503 if too much is held for other requests.
        """
        self.check_length(length, most)
        parts: list[bytes] = []
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                self._held += len(piece)
                if size > self._largest(most):
                    raise _too_large(self._largest(most))
                if self._held > LARGEST_BODIES * self._most:
                    raise busy("other large requests are read")
                parts.append(piece)
            yield b"".join(parts)
        finally:
            self._held -= size

    def _largest(self, most: int | None) -> int:
        return self._most if most is None else min(most, self._most)


class Answers:
    """Answers on their way that are not sent at once: so many in all, and half of them to one client.

    To be used from one event loop.

    Parameters
    ----------
    threads : int
        Requests worked on side by side.
    """

    def __init__(self, threads: int) -> None:
        self._most = max(2, threads * ANSWERS_PER_THREAD)
        self._to: Counter[str] = Counter()

    @contextmanager
    def one(self, client: str) -> Iterator[None]:
        """Count an answer while it is sent.

        Parameters
        ----------
        client : str
            Whom it is sent to.

        Raises
        ------
        RequestError
            503, if there are as many as may be.
        """
        if self._to.total() >= self._most or self._to[client] >= self._most // 2:
            raise busy("too many long answers are being received")
        self._to[client] += 1
        try:
            yield
        finally:
            self._to[client] -= 1
            if not self._to[client]:
                del self._to[client]


def _too_large(largest: int) -> RequestError:
    return RequestError(f"The request is larger than {largest / MIB:.3g} MiB.\n", status=413)
