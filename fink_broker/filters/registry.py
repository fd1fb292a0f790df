"""The broker's own filters by name."""

from __future__ import annotations

from collections.abc import Iterable

from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter
from fink_broker.filters.names import near_names
from fink_broker.filters.ztf import ztf_filters

#: All filters the broker comes with, as the default configuration has them, in the order in which they are listed.
BUILT_IN: dict[str, Filter] = {entry.name: entry for entry in ztf_filters(Config())}


def find_filters(names: Iterable[str], config: Config | None = None) -> list[Filter]:
    """Return the broker's filters of these names, each once, in the order of the names.

    Parameters
    ----------
    names : iterable of str
        Names of topics without prefix and survey.
    config : Config, optional
        For filters that ask a service. Default: the default configuration.

    Raises
    ------
    ConfigError
        If there is no filter of that name.
    """
    known = BUILT_IN if config is None else {entry.name: entry for entry in ztf_filters(config)}
    return [_find(name, known) for name in dict.fromkeys(names)]


def _find(name: str, known: dict[str, Filter]) -> Filter:
    if name not in known:
        raise ConfigError(f"There is no filter '{name}'.", near_names(name, list(known), "filters"))
    return known[name]
