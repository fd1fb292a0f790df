"""Requests to SkyPortal that arrive in the end, however often it is away, slow, or has had too many."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from .answers import asked_seconds, kind_of, missing_right, parsed, reason_of
from .errors import Refusal, Refused, RightMissing, Stopped, TokenRefused, WrongAddress
from .pace import Pace

#: Seconds between the tries of a request; after the last of them it is tried for good, each LATER_SECONDS.
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
LATER_SECONDS = 30.0
#: For connecting, and for each wait for an answer.
TIMEOUTS_SECONDS = (5.0, 60.0)
#: Errors 500 in a row after which a request itself is to blame, if SkyPortal answers others.
FAILURES_OF_ONE_REQUEST = 10

_LONGEST_ANSWER = 2000
_BAD_ADDRESSES = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)


class SkyPortal:
    """The REST API of a SkyPortal, for several threads at once.

    A request is repeated until it is answered: after 429 and 5xx, after a lost connection, and after an answer that is
    none of SkyPortal's (of a proxy before it). What was lost may have been carried out, so every request must be safe
    to repeat; one that is not says how to look (`post`).

    Parameters
    ----------
    url : str
        Address, ``https://skyportal.example.org``.
    token : str
        Of the user who posts. It is in no message, log or repr.
    pace : Pace
        How many requests a second.
    stop : threading.Event
        Ends pauses at once. Requests that need no pause are still made, so that what was begun can be completed.
    say : callable
        Where one sentence for the user goes.

    Attributes
    ----------
    requests : collections.Counter
        Requests sent, by call: ``POST candidates``.
    leave : threading.Event
        Once set, nothing more is sent.
    """

    def __init__(self, url: str, token: str, pace: Pace, stop: threading.Event, say: Callable[[str], None]) -> None:
        self.url, self.pace, self.stop, self.say = url.rstrip("/"), pace, stop, say
        self.requests: Counter[str] = Counter()
        self.leave = threading.Event()
        self._token = token
        self._away = self._is_limited = False
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.auth = self._sign  # so that no .netrc comes before it
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=64)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def __repr__(self) -> str:
        return f"SkyPortal({self.shown_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @property
    def shown_url(self) -> str:
        """The address without user and password."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def is_ready(self) -> bool:
        """Ask once whether SkyPortal is up (``GET /api/sysinfo``); raises `Stopped` as `post`."""
        try:
            return self._send("GET", "/api/sysinfo", None).status_code == requests.codes.ok
        except requests.RequestException:
            return False

    def get(self, path: str) -> Any:
        """Return the data at a path; raises as `post`."""
        return self._request("GET", path, None, None)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """Change what is at a path and return the data of the answer; raises as `post`."""
        return self._request("PUT", path, body, None)

    def post(self, path: str, body: dict[str, Any], already: Callable[[], Any] | None = None) -> Any:
        """Send something new and return the data of the answer.

        Parameters
        ----------
        path : str
            Begins with ``/api/``.
        body : dict
            Content, as JSON has it.
        already : callable, optional
            Called before a repeat: whether an earlier try was carried out. What it returns, if not None, is taken for
            the answer. Needed where SkyPortal would take the same twice.

        Raises
        ------
        Refused
            If SkyPortal will not do it (400, 403, 404 …), or the content is not fit for JSON.
        RightMissing
            If it will not, because the owner of the token lacks a right (403).
        TokenRefused
            If it does not know the token (401).
        WrongAddress
            If it sends the client elsewhere (3xx).
        Stopped
            If the client is to stop and the request would have to wait.
        """
        return self._request("POST", path, body, already)

    def scrub(self, text: str) -> str:
        """Return a text without the token."""
        return text.replace(self._token, "***") if self._token else text

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"token {self._token}"
        return request

    def _request(self, method: str, path: str, body: dict[str, Any] | None, already: Callable[[], Any] | None) -> Any:
        try:
            content = None if body is None else json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise Refused(Refusal(f"{method} {path}", 0, f"not sent, it is not fit for JSON: {error}")) from None
        failures = own_failures = 0
        unsure = False
        while True:
            if unsure and already is not None and (found := already()) is not None:
                return found
            unsure = False
            try:
                response = self._send(method, path, content)
            except _BAD_ADDRESSES:  # whose texts show the address whole
                raise WrongAddress(f"{self.shown_url} is no address of a web server.") from None
            except requests.RequestException as error:
                reason, asked, own_failures, unsure = reason_of(error), 0.0, 0, True
            else:
                data, reason = self._settled(method, path, response)
                if not reason:
                    self._is_back()
                    return data
                asked = asked_seconds(response)
                own_failures = own_failures + 1 if response.status_code == requests.codes.server_error else 0
                if own_failures == FAILURES_OF_ONE_REQUEST and self._answers_others(method, path):
                    raise Refused(self._refusal(method, path, response))
                unsure = response.status_code != requests.codes.too_many_requests
                if not unsure:
                    self.pace.slow_down(asked)
                    self._say_limited()
            failures += 1
            if unsure and failures >= 2:
                self._is_away(reason)
            self._pause(failures, asked)

    def _send(self, method: str, path: str, content: bytes | None) -> requests.Response:
        if not self.pace.take(self.stop, self.leave):
            raise Stopped
        with self._lock:
            self.requests[f"{method} {kind_of(path) or path}"] += 1
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            return self._session.request(
                method, self.url + path, data=content, headers=headers, timeout=TIMEOUTS_SECONDS, allow_redirects=False
            )
        finally:
            self.pace.answered()

    def _settled(self, method: str, path: str, response: requests.Response) -> tuple[Any, str]:
        """Return the data of an answer; or, as the second, why the request is to be repeated."""
        status = response.status_code
        if status == requests.codes.unauthorized:
            raise TokenRefused(
                f"SkyPortal at {self.shown_url} does not accept the token (401): get a valid one from the page of your "
                "profile there, and put it into the configuration."
            )
        if 300 <= status < 400:
            raise WrongAddress(
                f"SkyPortal at {self.shown_url} sends the client on to {response.headers.get('Location', 'nowhere')}: "
                "write that address into the configuration."
            )
        if status == requests.codes.too_many_requests or status >= 500:
            return None, f"it answers {status}"
        if (
            status == requests.codes.request_entity_too_large
        ):  # a proxy says so, which does not answer as SkyPortal does
            raise Refused(Refusal(f"{method} {path}", status, "The request is too large."))
        answer = parsed(response)
        if answer is None:
            return None, f"it answers {status} with something that is none of SkyPortal's answers"
        if status >= 400 or answer.get("status") != "success":
            self._is_back()
            refusal = self._refusal(method, path, response)
            if status == requests.codes.forbidden and (right := missing_right(method, path, refusal.answer)):
                raise RightMissing(refusal, right, self.shown_url)
            raise Refused(refusal)
        self.pace.went_well()
        return answer.get("data"), ""

    def _refusal(self, method: str, path: str, response: requests.Response) -> Refusal:
        answer = parsed(response)
        text = str(answer.get("message") or answer) if answer else response.text
        return Refusal(f"{method} {path}", response.status_code, self.scrub(text)[:_LONGEST_ANSWER])

    def _answers_others(self, method: str, path: str) -> bool:
        """Tell whether SkyPortal, and the database behind it, answer another request."""
        try:
            answers = self._send("GET", "/api/groups", None).status_code == requests.codes.ok
        except requests.RequestException:
            return False
        if answers:
            self.say(f"SkyPortal fails with {method} {path} again and again, but not with others: given up.")
        return answers

    def _pause(self, failures: int, asked_seconds: float) -> None:
        seconds = PAUSES_SECONDS[failures - 1] if failures <= len(PAUSES_SECONDS) else LATER_SECONDS
        seconds *= random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
        if self.stop.wait(max(seconds, asked_seconds)):
            raise Stopped

    def _say_limited(self) -> None:
        with self._lock:
            news, self._is_limited = not self._is_limited, True
        if news:
            self.say(f"SkyPortal at {self.shown_url} answers 429, too many requests with this token: slowing down.")

    def _is_away(self, reason: str) -> None:
        with self._lock:
            news, self._away = not self._away, True
        if news:
            self.say(self.scrub(f"Waiting for SkyPortal at {self.shown_url}: {reason}."))

    def _is_back(self) -> None:
        with self._lock:
            news, self._away = self._away, False
        if news:
            self.say(f"SkyPortal at {self.shown_url} is back.")
