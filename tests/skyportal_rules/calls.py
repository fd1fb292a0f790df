"""Which calls there are, and the right each asks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from . import objects, photometry, premises, taxonomy, thumbnails
from .checks import Refusal
from .state import ANNOTATE, CLASSIFY, POST_TAXONOMY, SYSTEM_ADMIN, UPLOAD, Row, State, User


@dataclass(frozen=True)
class Call:
    """A call: its name is method and path, as in `POST /api/candidates`."""

    name: str
    right: str | None
    carry_out: Callable[..., Any]


CALLS = tuple(
    Call(*row)
    for row in (
        ("GET /api/streams", None, premises.get_streams),
        ("POST /api/streams", SYSTEM_ADMIN, premises.post_stream),
        ("GET /api/groups", None, premises.get_groups),
        ("POST /api/groups", UPLOAD, premises.post_group),
        ("POST /api/groups/{int}/streams", UPLOAD, premises.post_group_stream),
        ("GET /api/filters", None, premises.get_filters),
        ("POST /api/filters", UPLOAD, premises.post_filter),
        ("GET /api/instrument", None, premises.get_instruments),
        ("GET /api/taxonomy", None, taxonomy.get_taxonomies),
        ("GET /api/taxonomy/{int}", None, taxonomy.get_taxonomy),
        ("POST /api/taxonomy", POST_TAXONOMY, taxonomy.post_taxonomy),
        ("POST /api/sources", UPLOAD, objects.post_source),
        ("POST /api/candidates", None, objects.post_candidate),
        ("PUT /api/photometry", UPLOAD, photometry.put_photometry),
        ("POST /api/photometry", UPLOAD, photometry.post_photometry),
        ("GET /api/sources/{id}/annotations", None, objects.get_annotations),
        ("POST /api/sources/{id}/annotations", ANNOTATE, objects.post_annotation),
        ("PUT /api/sources/{id}/annotations/{int}", ANNOTATE, objects.put_annotation),
        ("GET /api/sources/{id}/classifications", None, taxonomy.get_classifications),
        ("POST /api/classification", CLASSIFY, taxonomy.post_classification),
        ("PUT /api/classification/{int}", CLASSIFY, taxonomy.put_classification),
        ("POST /api/thumbnail", UPLOAD, thumbnails.post_thumbnail),
    )
)
SYSINFO = Call("GET /api/sysinfo", None, lambda *_: {"gitlog": []})

_EXACT = {call.name: call for call in (*CALLS, SYSINFO) if "{" not in call.name}
_PATTERNS = [
    (re.compile(call.name.replace("{int}", r"(\d+)").replace("{id}", r"([^/]+)")), call)
    for call in CALLS
    if "{" in call.name
]


def find(method: str, path: str) -> tuple[Call, list[Any]]:
    """Return the call of a request, and the parts of the path it names.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    asked = f"{method} {path}"
    if asked in _EXACT:
        return _EXACT[asked], []
    for pattern, call in _PATTERNS:
        match = pattern.fullmatch(asked)
        if match:
            numbers = [part == "{int}" for part in re.findall(r"{\w+}", call.name)]
            parts = [
                int(text) if is_int else unquote(text) for text, is_int in zip(match.groups(), numbers, strict=True)
            ]
            return call, parts
    raise Refusal(f"There is no {asked[:200]}.", 404)


def carry_out(state: State, user: User, call: Call, parts: list[Any], body: Row) -> Any:
    """Return the data a call gives, having checked right and body."""
    if call.right and call.right not in user.rights:
        raise Refusal(f"HTTP 403: Forbidden: this needs the permission {call.right}.", 403)
    return call.carry_out(state, user, body, *parts)
