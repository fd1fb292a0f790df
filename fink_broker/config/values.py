"""What both kinds of configuration file share: a value with its origin, and ``${VARIABLE}``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fink_broker.errors import ConfigError

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass(frozen=True)
class Setting:
    """A value and where it came from (``fink.conf line 12``, ``environment FINK__LOG__LEVEL``)."""

    value: Any
    origin: str


def expand(value: Any, variables: Mapping[str, str], where: str) -> Any:
    """Replace ``${NAME}`` in text, also inside lists and tables.

    Raises
    ------
    ConfigError
        If a variable is not set.
    """
    if isinstance(value, list):
        return [expand(item, variables, where) for item in value]
    if isinstance(value, dict):
        return {name: expand(item, variables, where) for name, item in value.items()}
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in variables:
            raise ConfigError(f"{where} uses the variable {name}, which is not set.", f"Set {name}, or write a value.")
        return variables[name]

    return _VARIABLE.sub(replace, value)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else ""
