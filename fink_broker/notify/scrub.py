"""The address of a webhook is its password: it is cut out of everything that is written down."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"
#: Shorter parts of a path are words (api, bot, services), not secrets.
_LEAST_PART = 6


def scrub(text: str, url: str) -> str:
    """Return a text without an address and the parts of it that may be secret.

    Parameters
    ----------
    text : str
        Whatever came from outside: an answer, a message of an exception, a traceback.
    url : str
        Address of the webhook. Host and scheme are no secret; path, user, password and query are.
    """
    for secret in _secrets(url):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(url: str) -> list[str]:
    """Return what must not be shown, longest first so that no rest of a longer one is left."""
    parts = urlsplit(url)
    found = {url, parts.path, parts.query, f"{parts.path}?{parts.query}", parts.netloc.rpartition("@")[0]}
    found |= {piece for piece in re.split(r"[/?&=:@#]", url.partition("://")[2]) if piece != parts.netloc}
    found |= {unquote(piece) for piece in found} | {quote(piece, safe="") for piece in found}
    return sorted((piece for piece in found if len(piece) >= _LEAST_PART and piece != parts.hostname), key=len)[::-1]
