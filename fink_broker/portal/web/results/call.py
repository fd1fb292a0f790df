"""The request behind results, as browsers keep it and send it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def arguments_of(call: Any) -> tuple[str, Mapping[str, Any]]:
    """Return route and arguments of a request that came back from a browser; of what is none, nothing."""
    if not isinstance(call, dict) or not isinstance(call.get("arguments"), dict):
        return "", {}
    plain = {str(name): value for name, value in call["arguments"].items() if isinstance(value, str | int | float)}
    return str(call.get("route", "")), plain
