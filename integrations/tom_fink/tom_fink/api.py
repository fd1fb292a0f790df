"""Questions to the REST API, and one sentence for whatever can go wrong with them."""

from __future__ import annotations

import ast
import html
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin

import requests
from django.core.exceptions import ImproperlyConfigured
from django.utils.html import strip_tags
from urllib3.exceptions import HTTPError as TransportError

from . import __version__, conf

CONNECT_SECONDS = 5.0
#: Longest silence of the server; a class of a thousand alerts takes it a few seconds.
SILENT_SECONDS = 60.0
#: Longest time an answer may take as a whole.
WHOLE_SECONDS = 120.0
#: Largest answer in bytes, as text: 1,000 alerts with all columns are 4 MB.
LARGEST_ANSWER = 64 * 1024 * 1024
LONGEST_SENTENCE = 300
_PIECE = 64 * 1024
#: Errors are the text of a Python dictionary, in which a sentence may be that of an exception.
_EXCEPTION_IN_ERROR = re.compile(r"('text':\s*)\w+\((.*)\)(\s*\}\s*)$", re.DOTALL)


class FinkError(requests.HTTPError):
    """A question has no answer; the text is one sentence that says why.

    An ``HTTPError`` because that is what the pages and commands of TOM Toolkit catch and show. They show it as
    HTML: whatever others wrote is escaped.
    """


@dataclass(frozen=True)
class Answer:
    """Rows the API gave.

    Parameters
    ----------
    rows : list of dict
        The rows: column name to value.
    is_cut : bool
        Whether there are more than the API gives at once.
    """

    rows: list[dict[str, Any]]
    is_cut: bool


def _new_session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = f"tom-fink/{__version__}"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


_SESSION = _new_session()


def ask(route: str, arguments: Mapping[str, Any]) -> Answer:
    """Ask a route of the API for rows.

    Parameters
    ----------
    route : str
        Name of the route, such as ``objects``.
    arguments : mapping
        Its arguments.

    Raises
    ------
    FinkError
        If there is no answer, or none that is a list of rows.
    """
    try:
        url, key = conf.api_url(), conf.api_key()
    except ImproperlyConfigured as error:
        raise FinkError(_escaped(str(error))) from None
    place = conf.without_login(url)
    try:
        with _SESSION.post(
            f"{url}{conf.API_PATH}/{route}",
            json=dict(arguments),
            auth=_bearer(key) if key else None,
            timeout=(CONNECT_SECONDS, SILENT_SECONDS),
            stream=True,
            allow_redirects=False,  # a POST that is sent on would become a GET without its arguments
        ) as response:
            content = _content(response, place)
            if response.status_code != requests.codes.ok:
                raise FinkError(_refusal(response, content, place), response=response)
            return Answer(_rows(content, place), response.headers.get("X-Fink-Truncated") == "true")
    except requests.Timeout:
        raise FinkError(f"The Fink API at {place} took too long to answer; try again later.") from None
    except FinkError:
        raise
    except (requests.RequestException, TransportError, OSError, ValueError):
        # their texts may hold headers
        raise FinkError(
            f"The Fink API at {place} cannot be reached; try again later, or correct the setting FINK_API_URL."
        ) from None


def _bearer(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return what adds the key to a request; given as ``auth`` it comes before passwords in a ``.netrc``."""

    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return add


def _content(response: requests.Response, place: str) -> bytes:
    """Return the body, or give up one that is too large or too slow."""
    latest = time.monotonic() + WHOLE_SECONDS
    content = bytearray()
    # as much as is there, so that a server that sends a byte now and then cannot hold a page for hours
    while piece := response.raw.read1(_PIECE, decode_content=True):
        content += piece
        if len(content) > LARGEST_ANSWER:
            raise FinkError(f"The answer of the Fink API at {place} is too large; ask for less.")
        if time.monotonic() > latest:
            raise requests.Timeout
    return bytes(content)


def _rows(content: bytes, place: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(content, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FinkError(
            f"{place} did not answer with a list of alerts; the setting FINK_API_URL must be the address of a Fink API."
        )
    return rows


def _refusal(response: requests.Response, content: bytes, place: str) -> str:
    """Return a sentence about an answer that is an error."""
    status, said = response.status_code, _escaped(_said(content))
    if 300 <= status < 400:
        location = urljoin(response.url, response.headers.get("Location", ""))
        target = _escaped(conf.without_login(location))
        return f"{place} sends on to {target}: the setting FINK_API_URL must be the address that answers itself."
    if status in (401, 403):
        return f"The Fink API at {place} wants another key; set FINK_API_KEY. It says: {said}"
    if status in (429, 503):
        wait = _escaped(response.headers.get("Retry-After", "")[:40])
        return f"The Fink API at {place} is busy; try again {f'in {wait} s' if wait.isdigit() else 'later'}. {said}"
    if status >= 500:
        return f"The Fink API at {place} failed (status {status}); try again later. It says: {said}"
    return f"The Fink API at {place} did not understand this (status {status}): {said}"


def _said(content: bytes) -> str:
    """Return the sentence in an answer that is an error: JSON, the text of a Python dictionary, or a web page."""
    text = content[:4000].decode("utf-8", "replace").strip()
    for read in (json.loads, _literal):
        try:
            found = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict):
            text = str(found.get("text") or found.get("message") or found.get("error") or text)
            break
    words = " ".join(strip_tags(text.replace("<", " <")).split())
    return words if len(words) <= LONGEST_SENTENCE else f"{words[:LONGEST_SENTENCE]}…"


def _literal(text: str) -> object:
    return ast.literal_eval(_EXCEPTION_IN_ERROR.sub(r"\1\2\3", text))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
