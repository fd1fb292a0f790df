"""The outside of an answer: statuses, content types, and how errors are written.

An error is the text of a Python dictionary, ``{'status': 'error', 'text': …}``, sent as HTML: clients compare some of
these texts to the letter. They may quote what the client wrote, so they are sent with a policy that lets a browser do
nothing with them but show them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fink_broker.errors import ArchiveAway, FinkError
from fink_broker.portal.route import Generation, RequestError

HTML = "text/html; charset=utf-8"
#: for answers that are called HTML but are none
HARMLESS = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}
#: seconds after which asking again may find HBase back
AWAY_SECONDS = 5


@dataclass
class Reply:
    """An answer as it is sent.

    Parameters
    ----------
    status : int
        HTTP status.
    content_type : str
        What the body is.
    headers : mapping
        Further headers.
    pieces : iterator of bytes
        The body.
    is_dense : bool
        Whether compressing it is of no use.
    rows : int
        Rows sent so far, for the log.
    """

    status: int
    content_type: str
    headers: dict[str, str]
    pieces: Iterator[bytes | memoryview]
    is_dense: bool = False
    rows: int = field(default=0)


def whole(content: bytes, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer that is there as a whole."""
    return Reply(status, content_type, {**(headers or {})}, iter([content]))


def error_reply(error: RequestError) -> Reply:
    """Return an error as clients expect it.

    The text of a dictionary is written by ``repr``, so that an exception within it is, too.
    """
    headers = dict(HARMLESS)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = repr({"status": "error", "text": error.text})
    return whole(body.encode("utf-8", "backslashreplace"), HTML, error.status, headers)


def as_request_error(error: FinkError) -> RequestError:
    """Return a deliberate error of the broker as one of the API; its hint, which is for operators, is left out."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ArchiveAway):
        return RequestError(
            "The archive does not answer at the moment. Try again in some seconds.\n",
            status=503,
            retry_after=AWAY_SECONDS,
        )
    return RequestError("The archive holds something that cannot be read. The operators find it in the log.\n", 500)


def unexpected(identifier: str) -> RequestError:
    """Return what a client sees of a fault of the program: where its traceback is to be found."""
    return RequestError(f"Something went wrong here. The operators find it in the log under {identifier}.\n", 500)


def json_reply(content: Any, generation: Generation) -> Reply:
    """Return a document as JSON; NaN and infinities are null."""
    return whole(json_bytes(content), content_type("application/json", generation), headers=policy(generation))


def text_reply(content: str, generation: Generation) -> Reply:
    """Return an answer in words."""
    kind = content_type("text/plain; charset=utf-8", generation)
    return whole(content.encode("utf-8", "backslashreplace"), kind, headers=policy(generation))


def content_type(usual: str, generation: Generation) -> str:
    """Return what an answer is sent as: the historic API calls everything HTML."""
    return HTML if generation == "historic" else usual


def policy(generation: Generation) -> dict[str, str]:
    """Return the headers that keep a browser from taking an answer for a page."""
    return dict(HARMLESS) if generation == "historic" else {"X-Content-Type-Options": "nosniff"}


def json_bytes(content: Any) -> bytes:
    """Return a document as JSON; numpy's numbers and arrays are numbers and lists, NaN and infinities null."""
    try:
        return json.dumps(content, allow_nan=False, ensure_ascii=False, default=_plain).encode("utf-8")
    except ValueError:  # a NaN somewhere, or a text that is not UTF-8
        return json.dumps(_finite(content), allow_nan=False, default=_plain).encode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def _finite(value: Any) -> Any:
    """Return a document without NaN and infinities."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = _plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
