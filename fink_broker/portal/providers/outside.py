"""HTTP with servers that are not ours: bounded in time and size, whatever they do.

A read time-out alone does not bound a request: a server may send one byte now and then, in the body or in the headers,
and a resolver of host names may take its own time. All requests run in the event loop of one thread, where a request
can be given up at any instant; the threads that serve clients only wait for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import httpx

#: how often a request is passed on to another address of the same host
MOST_REDIRECTS = 3
#: slack for the loop to report that it gave up
GRACE_SECONDS = 2.0


class CouldNotFetch(Exception):
    """There is no answer; the text says why."""


@dataclass(frozen=True)
class Ask:
    """A request.

    Parameters
    ----------
    url : str
        Address, with what the user gave in it already encoded.
    parameters : mapping
        Query string.
    upload : mapping
        Files to send, by name; a request with any is a POST.
    """

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    upload: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An answer.

    Parameters
    ----------
    status : int
        HTTP status.
    body : bytes
        All of it.
    """

    status: int
    body: bytes


class Outside:
    """Fetches from servers outside; shared by all threads and services."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None

    def fetch(self, ask: Ask, seconds: float, most_bytes: int) -> Reply:
        """Return the answer to a request.

        Parameters
        ----------
        ask : Ask
            The request.
        seconds : float
            Time for all of it, the look-up of the host's name included.
        most_bytes : int
            Limit on the body.

        Raises
        ------
        CouldNotFetch
            If there is no connection, no answer in time, too large a one, or none that is HTTP.
        """
        loop = self._running_loop()
        waiting = asyncio.run_coroutine_threadsafe(self._in_time(ask, seconds, most_bytes), loop)
        try:
            return waiting.result(seconds + GRACE_SECONDS)
        except TimeoutError:
            waiting.cancel()
            raise CouldNotFetch(f"it did not answer within {seconds:.1f} s") from None
        except httpx.HTTPError as error:
            raise CouldNotFetch(_in_words(error)) from error
        except (httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            raise CouldNotFetch(f"the request failed ({type(error).__name__})") from error

    def close(self) -> None:
        """Close connections and end the thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            client, self._client = self._client, None
        if loop is None or client is None:
            return
        asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(GRACE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="outside", daemon=True).start()
                # bodies are asked for as they are: nothing that unpacks to more than its size is ever unpacked
                headers = {"User-Agent": "fink-broker", "Accept-Encoding": "identity"}
                self._client = httpx.AsyncClient(headers=headers, timeout=None)  # noqa: S113 - _in_time has the limit
            return self._loop

    async def _in_time(self, ask: Ask, seconds: float, most_bytes: int) -> Reply:
        async with asyncio.timeout(seconds):
            return await self._fetch(ask, most_bytes)

    async def _fetch(self, ask: Ask, most_bytes: int) -> Reply:
        client, url, parameters = self._client, ask.url, dict(ask.parameters)
        if client is None:
            raise CouldNotFetch("the API is stopping")
        for _ in range(MOST_REDIRECTS + 1):
            method = "POST" if ask.upload else "GET"
            files = {name: (title, content) for name, (title, content) in ask.upload.items()} or None
            async with client.stream(method, url, params=parameters or None, files=files) as answer:
                if not answer.has_redirect_location:
                    return Reply(answer.status_code, await _body(answer, most_bytes))
                url, parameters = _passed_on(str(answer.url), answer, method), {}
        raise CouldNotFetch("it passes requests on without end")


async def _body(answer: httpx.Response, most_bytes: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise CouldNotFetch("its answer is packed, which was not asked for")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > most_bytes:
            raise CouldNotFetch(f"its answer is larger than {most_bytes:,} bytes")
    return bytes(body)


def _passed_on(url: str, answer: httpx.Response, method: str) -> str:
    """Return where a request is passed on to, if that is the same host: no server sends us anywhere else."""
    target = urljoin(url, answer.headers["Location"])
    before, after = urlsplit(url), urlsplit(target)
    same = before.hostname == after.hostname and (before.port == after.port or before.scheme != after.scheme)
    if not same or after.scheme not in {"https", before.scheme}:
        raise CouldNotFetch("it passes the request on to another host, which is not followed")
    if method == "POST" and answer.status_code not in {307, 308}:
        raise CouldNotFetch("it passes an upload on as something else")
    return target


def _in_words(error: httpx.HTTPError) -> str:
    match error:
        case httpx.ConnectError():
            return "no connection to it can be made"
        case httpx.ProtocolError() | httpx.DecodingError():
            return "its answer is no HTTP, or breaks off"
        case _:
            return f"the connection failed ({type(error).__name__})"
