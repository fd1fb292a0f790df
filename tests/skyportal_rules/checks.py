"""Checks of a body's values; what is wrong is raised as the refusal SkyPortal answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn


class Refusal(Exception):
    """A request is not carried out.

    Parameters
    ----------
    message : str
        What is wrong.
    status : int
        HTTP status.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


def require(condition: object, message: str, status: int = 400) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise Refusal(message, status)


def required(body: Mapping[str, Any], *names: str) -> None:
    """Refuse a body that lacks a field, or has null there."""
    missing = [name for name in names if body.get(name) is None]
    require(not missing, f"Missing required field: {', '.join(missing)}")


def only(body: Mapping[str, Any], *names: str) -> None:
    """Refuse a body with other fields than these."""
    unknown = sorted(body.keys() - set(names))
    require(not unknown, f"Unknown field: {', '.join(unknown)}")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def texts(body: Mapping[str, Any], *names: str) -> None:
    """Refuse values that are not text and not null."""
    for name in names:
        value = body.get(name)
        require(value is None or (isinstance(value, str) and value), f"{name}: not a valid text: {value!r:.60}")


def booleans(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        require(isinstance(body.get(name, False), bool), f"{name}: not a valid boolean")


def known_ids(body: Mapping[str, Any], name: str, known: Iterable[int]) -> list[int]:
    """Return a list of ids in a body, all of which must be known; empty where the body has none."""
    ids = body.get(name)
    if ids is None:
        return []
    require(isinstance(ids, list) and all(map(is_integer, ids)), f"{name}: not a list of integers")
    unknown = sorted(set(ids) - set(known))
    require(not unknown, f"{name}: no accessible {name.removesuffix('_ids')} with ID {unknown}")
    return ids


def position(body: Mapping[str, Any], *, is_new: bool) -> None:
    """Check ra and dec (deg), which a new object must have."""
    if is_new:
        required(body, "ra", "dec")
    for name, lowest, highest in (("ra", 0, 360), ("dec", -90, 90)):
        value = body.get(name)
        require(value is None or (is_number(value) and lowest <= value <= highest), f"{name}: not valid: {value!r:.60}")


def parsed_body(body: bytes) -> dict[str, Any]:
    """Return the object a JSON body holds; NaN and infinities are not JSON."""
    if not body:
        return {}

    def refuse(text: str) -> NoReturn:
        raise Refusal(f"Malformed JSON data: {text} is not JSON.")

    try:
        parsed = json.loads(body, parse_constant=refuse)
    except ValueError:
        raise Refusal("Malformed JSON data.") from None
    if not isinstance(parsed, dict):
        raise Refusal("Malformed JSON data: expected an object.")
    return parsed
