"""How the portal asks the API without waiting for it with all its threads: so many at once, and none where it hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

#: seconds a connection may take to be made
CONNECT_SECONDS = 3.0
#: seconds an API that hangs is not asked
REST_SECONDS = 5.0
#: seconds a request waits for others to be answered before it is refused
WAIT_SECONDS = 2.0


class Closed(httpx.TransportError):
    """A request is not sent: too many wait for an answer, or the API hangs."""


class Gate:
    """Lets so many requests through at once; for a while none, after one got no answer in its time and no other did.

    Parameters
    ----------
    at_once : int
        Requests under way at the same time.
    wait_seconds : float
        How long a further one waits for its turn.
    rest_seconds : float
        How long an API that hangs is left alone.
    """

    def __init__(self, at_once: int, wait_seconds: float = WAIT_SECONDS, rest_seconds: float = REST_SECONDS) -> None:
        self._places = threading.BoundedSemaphore(at_once)
        self._wait, self._rest = wait_seconds, rest_seconds
        self._answered_at = self._closed_until = -1.0

    def enter(self) -> float:
        """Take a place, and return when that was.

        Raises
        ------
        Closed
            If there is none, or the API is left alone.
        """
        self._check_open()
        if not self._places.acquire(timeout=self._wait):
            raise Closed("too many wait for it already")
        try:
            self._check_open()  # those who waited need not find out by themselves
        except Closed:
            self._places.release()
            raise
        return time.monotonic()

    def leave(self) -> None:
        """Give the place back."""
        self._places.release()

    def note_answer(self) -> None:
        """Note that the API is there."""
        self._answered_at = time.monotonic()

    def note_silence(self, since: float) -> None:
        """Note that a request got no answer; one of many that are answered says nothing about the others."""
        if self._answered_at < since:
            self._closed_until = time.monotonic() + self._rest

    def _check_open(self) -> None:
        if time.monotonic() < self._closed_until:
            raise Closed("it hangs, and is asked again in some seconds")


class GatedTransport(httpx.BaseTransport):
    """Carries requests through a gate; a place is held until the answer was read, or closed.

    Parameters
    ----------
    carrier : httpx.BaseTransport
        What carries them.
    gate : Gate
        The gate.
    """

    def __init__(self, carrier: httpx.BaseTransport, gate: Gate) -> None:
        self._carrier, self._gate = carrier, gate

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises Closed if the gate is."""
        limits = request.extensions.get("timeout", {})
        limits["connect"] = min(limits.get("connect") or CONNECT_SECONDS, CONNECT_SECONDS)
        entered = self._gate.enter()
        try:
            answer = self._carrier.handle_request(request)
        except BaseException as error:
            self._gate.leave()
            if isinstance(error, (httpx.ReadTimeout, httpx.ConnectTimeout)):
                self._gate.note_silence(entered)
            raise
        self._gate.note_answer()
        if answer.is_closed:  # it is whole already
            self._gate.leave()
        else:
            answer.stream = _Leaving(cast(httpx.SyncByteStream, answer.stream), self._gate.leave)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._carrier.close()


class _Leaving(httpx.SyncByteStream):
    """The body of an answer that does something, once, when it is closed."""

    def __init__(self, stream: httpx.SyncByteStream, leave: Callable[[], None]) -> None:
        self._stream, self._leave, self._is_open = stream, leave, True

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            try:
                self._stream.close()
            finally:
                self._leave()


def network(url: str) -> httpx.HTTPTransport:
    """Return what carries requests to an address over the network, through the proxy the environment names for it."""
    parts = urlsplit(url)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=4)
    return httpx.HTTPTransport(proxy=proxy, limits=limits)
