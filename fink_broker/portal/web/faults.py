"""What the portal answers to requests that no page sends, and where a callback fails: a sentence, never a trace."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash
from dash.exceptions import DependencyException
from flask import Response, request
from werkzeug.exceptions import HTTPException

log = logging.getLogger(__name__)

_CALLBACKS = "/_dash-update-component"
#: largest body of a callback, in bytes: a catalogue of the cross-match, twice, with what JSON adds
_BODY_BYTES = 16 << 20
#: most things in it: what is read of a body takes much more memory than the body where it has many
_MOST_THINGS = 500_000
#: a text, also one without an end, which reaches to the end of the body
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def register(app: Dash) -> None:
    """Refuse forged callbacks, and explain failures."""
    server = app.server

    @server.before_request
    def refuse() -> Response | None:
        if request.path != _CALLBACKS or request.method != "POST":
            return None
        if is_callback(_content(), app.callback_map):
            return None
        return Response("This is no request of a page of this portal.\n", 400, mimetype="text/plain")

    @server.errorhandler(DependencyException)
    def absent(error: DependencyException) -> Response:
        return Response("There is no such file.\n", 404, mimetype="text/plain")

    @server.errorhandler(Exception)
    def explain(error: Exception) -> Response | HTTPException:
        if isinstance(error, HTTPException):
            return error
        log.error("%s failed", request.path[:200], exc_info=error)
        return Response("This failed. The fault is ours and has been noted.\n", 500, mimetype="text/plain")


def _content() -> object:
    """Return what the body of a request says; None where that is no JSON, or too much of it."""
    request.max_content_length = min(_BODY_BYTES, request.max_content_length or _BODY_BYTES)
    if not is_moderate(request.get_data()):
        return None
    try:
        return request.get_json(silent=True)
    except RecursionError:
        return None


def is_moderate(body: bytes) -> bool:
    """Tell whether a JSON text says so few things that it may be read.

    Parameters
    ----------
    body : bytes
        The text.
    """
    bare = _TEXT.sub(b"", body)
    return sum(map(bare.count, (b"[", b"{", b","))) <= _MOST_THINGS


def is_callback(body: object, known: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether a body is what a page sends to have a callback run.

    Parameters
    ----------
    body : object
        From JSON.
    known : mapping
        Callbacks by their outputs, with their ``inputs`` and ``state``.
    """
    if not isinstance(body, dict) or not isinstance(body.get("output"), str):
        return False
    callback = known.get(body["output"])
    changed, outputs = body.get("changedPropIds", []), body.get("outputs", [])
    return (
        callback is not None
        and isinstance(changed, list)
        and all(isinstance(name, str) for name in changed)
        and isinstance(outputs, (list, dict))
        and _are_properties(body.get("inputs", []), callback["inputs"])
        and _are_properties(body.get("state", []), callback["state"])
    )


def _are_properties(given: object, known: Sequence[object]) -> bool:
    """Tell whether there is a property, or a list of them, for each that a callback takes."""
    if not isinstance(given, list) or len(given) != len(known):
        return False
    return all(all(map(_is_property, each)) if isinstance(each, list) else _is_property(each) for each in given)


def _is_property(given: object) -> bool:
    if not isinstance(given, dict) or not isinstance(given.get("property"), str):
        return False
    return isinstance(given.get("id"), (str, dict))
