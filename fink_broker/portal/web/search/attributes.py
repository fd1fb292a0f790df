"""Attributes of HTML whose names are no names in Python."""

from __future__ import annotations

from typing import Any


def aria(**given: str) -> dict[str, Any]:
    """Return attributes for assistive technology, as ``aria-label``."""
    return _prefixed("aria", given)


def data(**given: str) -> dict[str, Any]:
    """Return attributes for scripts, as ``data-search-try``."""
    return _prefixed("data", given)


def _prefixed(prefix: str, given: dict[str, str]) -> dict[str, Any]:
    return {f"{prefix}-{name.replace('_', '-')}": value for name, value in given.items()}
