"""Filters by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter
from fink_broker.filters.ztf import ZTF_FILTERS

#: All filters the broker comes with, in the order in which they are listed.
BUILT_IN: dict[str, Filter] = {entry.name: entry for entry in ZTF_FILTERS}


def find_filters(names: Iterable[str]) -> list[Filter]:
    """Return the filters of these names, each once, in the order of the names.

    Raises
    ------
    ConfigError
        If there is no filter of that name.
    """
    return [_find(name) for name in dict.fromkeys(names)]


def _find(name: str) -> Filter:
    if name in BUILT_IN:
        return BUILT_IN[name]
    raise ConfigError(f"There is no filter '{name}'.", near_names(name, list(BUILT_IN), "filters"))


def near_names(name: str, known: Sequence[str], what: str) -> str:
    """Return a hint: the names most like this one, or all of them where none is like it."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(f"'{entry}'" for entry in near) + "?"
    return f"Known {what}: {', '.join(known)}."
