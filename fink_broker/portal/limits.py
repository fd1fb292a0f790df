"""How much is done at a time: requests in threads, and bytes of bodies in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from fink_broker.portal.route import RequestError

Result = TypeVar("Result")

#: longest path and query string of a request, in bytes
LONGEST_URL = 32 * 1024
#: requests that wait for each thread before further ones are refused
WAITING_PER_THREAD = 4
#: bodies of the largest size that may be in memory at once
LARGEST_BODIES = 4
#: seconds after which a client that was refused may try again
RETRY_SECONDS = 2


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

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place in the line until the answer to a request begins.

        Raises
        ------
        RequestError
            503, if the line is full.
        """
        if self._taken >= self._places:
            raise RequestError(
                "The server is busy: too many requests wait. Try again in some seconds.\n",
                status=503,
                retry_after=RETRY_SECONDS,
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    def submit(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Return what a function will give that runs in a thread as soon as one is free."""
        return asyncio.wrap_future(self._pool.submit(function))

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
        self._most_mib = most_mib
        self._most = most_mib * 1024 * 1024
        self._held = 0

    def check_length(self, length: str | None) -> None:
        """Refuse a body by the length its header announces.

        Raises
        ------
        RequestError
            413 if it is too large, 400 if the header is no number.
        """
        if length is None:
            return
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise RequestError("The header Content-Length is not a number.\n")
        if int(length) > self._most:
            raise self._too_large()

    @asynccontextmanager
    async def read(self, pieces: AsyncIterator[bytes], length: str | None) -> AsyncIterator[bytes]:
        """Read a body, and count it as held until the request is done with it.

        Parameters
        ----------
        pieces : asynchronous iterator of bytes
            The body as it comes.
        length : str, optional
            Its length, as announced.

        Raises
        ------
        RequestError
            413 as soon as it is too large, 503 if too much is held for other requests.
        """
        self.check_length(length)
        parts: list[bytes] = []
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                self._held += len(piece)
                if size > self._most:
                    raise self._too_large()
                if self._held > LARGEST_BODIES * self._most:
                    raise RequestError(
                        "The server is busy with other large requests. Try again in some seconds.\n",
                        status=503,
                        retry_after=RETRY_SECONDS,
                    )
                parts.append(piece)
            yield b"".join(parts)
        finally:
            self._held -= size

    def _too_large(self) -> RequestError:
        return RequestError(f"The request is larger than {self._most_mib} MiB.\n", status=413)
