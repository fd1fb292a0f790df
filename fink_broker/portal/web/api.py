"""The REST API as pages see it: over HTTP, or by its functions in this process; answers are kept for a while."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pandas as pd

from fink_broker.config import Config
from fink_broker.portal.client import NO_TEXT, AnswerCut, ApiError, Client, sentence_of
from fink_broker.portal.web.gate import Gate, GatedTransport, network

#: characters from which on an argument is kept as its digest
_LONG = 1000
#: seconds an answer is kept
KEPT_SECONDS = 30.0
#: answers that are kept
KEPT_ANSWERS = 64
#: largest answer that is kept, and all together, in bytes
KEPT_BYTES, ALL_KEPT_BYTES = 8_000_000, 64_000_000
#: bytes in memory for each byte of a JSON text
_BYTES_OF_OBJECTS = 8
#: requests under way at the same time, where nothing else is said, and slow ones
_AT_ONCE, _SLOW_AT_ONCE = 6, 2
#: routes that may take long, and the seconds an answer of one may take
_SLOW_ROUTES, _SLOW_SECONDS = ("xmatch",), 120.0


@dataclass(frozen=True)
class FileAnswer:
    """A file the API made: its bytes and their type."""

    content: bytes
    media_type: str


class Api:
    """The API; safe to be used by several threads. What may take long has places of its own: others need not wait.

    Parameters
    ----------
    url : str
        Its address, without ``/api/v1``.
    seconds : float
        Time one request may take.
    transport : httpx.BaseTransport, optional
        Carries requests, where that is not the network.
    at_once : int
        Requests under way at the same time; further ones wait for some seconds.
    slow_at_once : int
        The same for requests that may take long: those with a file, and the cross-match.
    """

    def __init__(
        self,
        url: str,
        seconds: float = 20.0,
        transport: httpx.BaseTransport | None = None,
        at_once: int = _AT_ONCE,
        slow_at_once: int = _SLOW_AT_ONCE,
    ) -> None:
        key = os.environ.get("FINK_PORTAL_API_KEY") or None
        self.url = url.rstrip("/")
        carrier = transport or network(self.url)
        gated, slow = (GatedTransport(carrier, Gate(places)) for places in (at_once, slow_at_once))
        slow_seconds = max(seconds, _SLOW_SECONDS)
        self._client = Client(self.url, key, timeout_seconds=seconds, retries=0, transport=gated)
        self._slow_client = Client(self.url, key, timeout_seconds=slow_seconds, retries=0, transport=slow)
        headers, base = {"Authorization": f"Bearer {key}"} if key else {}, f"{self.url}/api/v1/"
        self._http = httpx.Client(base_url=base, headers=headers, timeout=seconds, transport=gated)
        self._slow_http = httpx.Client(base_url=base, headers=headers, timeout=slow_seconds, transport=slow)
        self._kept = Kept()

    def rows(self, route: str, /, **arguments: Any) -> pd.DataFrame:
        """Return the rows of a route; the frame is shared with others, and must not be changed.

        A sequence becomes a comma list, None is left out; ``attrs["is_cut"]`` says whether there were more rows.

        Raises
        ------
        ApiError
            If the request is refused, or the API is away; its text is a sentence for visitors.
        """
        client = self._slow_client if route in _SLOW_ROUTES else self._client

        def ask() -> tuple[pd.DataFrame, int]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AnswerCut)  # pages tell of it in their own words
                frame = client.rows(route, **arguments)
            return frame, int(frame.memory_usage(deep=True).sum())

        found: pd.DataFrame = self._kept.get(("rows", route, _key(arguments)), ask)
        return found

    def document(self, route: str, /, **arguments: Any) -> Any:
        """Return the JSON answer of a route, shared with others; raises ApiError."""

        def ask() -> tuple[Any, int]:
            found = self._client.document(route, **arguments)
            return found, _BYTES_OF_OBJECTS * len(json.dumps(found))

        return self._kept.get(("document", route, _key(arguments)), ask)

    def file(self, route: str, /, **arguments: Any) -> FileAnswer:
        """Return an answer as bytes, such as an image; raises ApiError."""

        def ask() -> tuple[FileAnswer, int]:
            answer = self._answer(self._http, "GET", route, params=_given(arguments))
            return FileAnswer(answer.content, answer.headers.get("Content-Type", "")), len(answer.content)

        found: FileAnswer = self._kept.get(("file", route, _key(arguments)), ask)
        return found

    def send_file(self, route: str, name: str, content: bytes, seconds: float, /, **arguments: Any) -> bytes:
        """Return the answer to a form with a file, which is not kept.

        Parameters
        ----------
        route : str
            The route.
        name : str
            Of the argument that is the file.
        content : bytes
            The file.
        seconds : float
            Time the request may take.
        **arguments : object
            Further arguments.

        Raises
        ------
        ApiError
            If the request is refused, or the API is away.
        """
        files = {name: (name, content)}
        given = _given(arguments)
        return self._answer(self._slow_http, "POST", route, data=given, files=files, timeout=seconds).content

    def _answer(self, client: httpx.Client, method: str, route: str, **what: Any) -> httpx.Response:
        """Return an answer that is a success; raises ApiError."""
        try:
            answer = client.request(method, route, **what)
        except httpx.HTTPError as error:
            raise ApiError(f"The API at {self.url} does not answer: {error}.") from None
        except UnicodeEncodeError:
            raise ApiError(NO_TEXT, 400) from None
        if not answer.is_success:
            raise ApiError(sentence_of(answer.text), answer.status_code)
        return answer

    def close(self) -> None:
        """Close the connections."""
        for client in (self._client, self._slow_client, self._http, self._slow_http):
            client.close()


class Kept:
    """Answers that were given a short while ago: within limits of number, size and age."""

    def __init__(
        self,
        answers: int = KEPT_ANSWERS,
        seconds: float = KEPT_SECONDS,
        largest: int = KEPT_BYTES,
        together: int = ALL_KEPT_BYTES,
    ) -> None:
        self._answers, self._seconds, self._largest, self._together = answers, seconds, largest, together
        self._kept: OrderedDict[Any, tuple[float, Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Any, ask: Callable[[], tuple[Any, int]]) -> Any:
        """Return what is kept under a key, else what ``ask`` gives with its size in bytes; failures are not kept."""
        now = time.monotonic()
        with self._lock:
            if key in self._kept and now - self._kept[key][0] < self._seconds:
                self._kept.move_to_end(key)
                return self._kept[key][1]
        value, size = ask()
        if size <= self._largest:
            with self._lock:
                self._keep(key, (now, value, size))
        return value

    def _keep(self, key: Any, entry: tuple[float, Any, int]) -> None:
        if key in self._kept:
            self._bytes -= self._kept.pop(key)[2]
        self._kept[key] = entry
        self._bytes += entry[2]
        while len(self._kept) > self._answers or self._bytes > self._together:
            _, (_, _, size) = self._kept.popitem(last=False)
            self._bytes -= size


def open_api(config: Config, transport: httpx.BaseTransport | None = None) -> Api:
    """Return the API of a configuration, over HTTP unless a transport carries requests elsewhere."""
    api = config.api
    url = config.portal.api_url or f"http://{api.host}:{api.port}"
    threads = config.portal.threads
    # together with those of requests that are passed on, places for fewer requests than there are threads
    at_once, slow_at_once = max(1, threads * 5 // 16), max(1, threads // 8)
    return Api(url, config.portal.api_seconds, transport, at_once=at_once, slow_at_once=slow_at_once)


def _key(arguments: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return arguments as a key; of long texts, such as catalogues, their digest."""
    return tuple(sorted((name, _short(value)) for name, value in _given(arguments).items()))


def _short(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > _LONG
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest() if is_long else value


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _written(value) for name, value in arguments.items() if value is not None}


def _written(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
