"""What an answer says: data, a pause that is asked for, a right that is missing, or that there is none."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import requests

#: SkyPortal may ask for a longer pause, up to an hour.
LONGEST_ASKED_SECONDS = 3600.0
_KIND = re.compile(r"/api/(?:(?:sources|groups)/[^/]+/)?([a-z_]+)")
#: Rights of SkyPortal that its answers may name, and which call needs which.
_RIGHTS = ("System admin", "Upload data", "Post taxonomy", "Annotate", "Classify")
_RIGHT_OF = {
    "streams": "System admin",
    "taxonomy": "Post taxonomy",
    "annotations": "Annotate",
    "classification": "Classify",
}
#: An answer that says no more than its status.
_BARE = re.compile(r"(?:HTTP )?(?:403:? *)?(?:Forbidden)?\.?", re.IGNORECASE)


def kind_of(path: str) -> str:
    """Return the kind of a path, ``annotations`` of ``/api/sources/<object>/annotations``; empty if it has none."""
    kind = _KIND.match(path)
    return kind[1] if kind else ""


def parsed(response: requests.Response) -> dict[str, Any] | None:
    """Return what SkyPortal answers; None if that is none of its answers, but of a proxy before it."""
    try:
        answer = response.json()
    except requests.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) and answer.get("status") in ("success", "error") else None


def missing_right(method: str, path: str, answer: str) -> str:
    """Return the right whose lack an answer of 403 names, or means if it says nothing else; empty if it is about else.

    What is about one object only, such as an annotation of somebody else, names that.
    """
    named = next((right for right in _RIGHTS if right.lower() in answer.lower()), "")
    if named or not _BARE.fullmatch(answer.strip()):
        return named
    return _RIGHT_OF.get(kind_of(path), "Upload data") if method != "GET" else ""


def asked_seconds(response: requests.Response) -> float:
    """Return the seconds SkyPortal asks for: the header Retry-After (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_ASKED_SECONDS)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), LONGEST_ASKED_SECONDS)


def reason_of(error: BaseException) -> str:
    """Return in a few words why a request did not get through: what the system says, from below the exceptions."""
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    below: BaseException | None = error
    for _ in range(10):
        if below is None:
            break
        if isinstance(below, OSError) and below.strerror and below.errno:
            return below.strerror.lower()
        nested = getattr(below, "reason", None) or next((a for a in below.args if isinstance(a, BaseException)), None)
        below = nested if isinstance(nested, BaseException) else below.__context__
    return "the connection is lost"
