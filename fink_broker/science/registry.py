"""Which science modules there are, and the order in which the configured ones run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.science import asteroids, nalerthist, supernnova
from fink_broker.science.crossmatch import columns as crossmatch
from fink_broker.science.crossmatch import simbad, tns
from fink_broker.science.module import Module
from fink_broker.science.pipeline import Pipeline

__all__ = ["GROUPS", "MODULES", "Pipeline", "build_pipeline", "order"]

Build = Callable[[Config], Module]

#: Every module by its name.
MODULES: dict[str, Build] = {
    "cdsxmatch": simbad.build,
    "tns": tns.build,
    "vsx": crossmatch.build_vsx,
    "gcvs": crossmatch.build_gcvs,
    "x3hsp": crossmatch.build_3hsp,
    "x4lac": crossmatch.build_4lac,
    "mangrove": crossmatch.build_mangrove,
    "asteroids": asteroids.build,
    "supernnova": supernnova.build,
    "nalerthist": nalerthist.build,
}

#: Names that stand for several modules.
GROUPS: dict[str, tuple[str, ...]] = {
    "crossmatch": ("cdsxmatch", "tns", "vsx", "gcvs", "x3hsp", "x4lac", "mangrove"),
}


def build_pipeline(config: Config) -> Pipeline:
    """Return the pipeline of the configured modules; cheap, nothing is loaded.

    Raises
    ------
    ConfigError
        If a module is unknown, or needs a column that no configured module gives, or modules need one another.
    """
    return Pipeline(order([MODULES[name](config) for name in _names(config.science.modules)]))


def _names(configured: Sequence[str]) -> list[str]:
    """Return the names of single modules, each once."""
    names: dict[str, None] = {}
    for name in configured:
        if name not in MODULES and name not in GROUPS:
            raise ConfigError(
                f"science.modules names '{name}', which is no science module.",
                f"Known are {', '.join([*GROUPS, *MODULES])}.",
            )
        names.update(dict.fromkeys(GROUPS.get(name, (name,))))
    return list(names)


def order(modules: Sequence[Module]) -> list[Module]:
    """Return the modules so that each comes after those whose columns it needs.

    Raises
    ------
    ConfigError
        If a needed column is given by none of them, a column by two, or modules need one another in a circle.
    """
    giver: dict[str, Module] = {}
    for module in modules:
        for column in module.outputs:
            if column.name in giver:
                raise ConfigError(f"Both '{giver[column.name].name}' and '{module.name}' give '{column.name}'.")
            giver[column.name] = module
    for module in modules:
        for column_name in module.needs.outputs:
            if column_name not in giver:
                raise ConfigError(
                    f"The science module '{module.name}' needs the column '{column_name}', which no module gives.",
                    _remedy(column_name),
                )
    ordered: list[Module] = []
    waiting = list(modules)
    while waiting:
        done = {module.name for module in ordered}
        ready = [m for m in waiting if all(giver[name].name in done for name in m.needs.outputs)]
        if not ready:
            raise ConfigError(
                f"The science modules {', '.join(module.name for module in waiting)} need one another in a circle."
            )
        ordered += ready
        waiting = [module for module in waiting if module not in ready]
    return ordered


def _remedy(column_name: str) -> str:
    for name, columns in _given().items():
        if column_name in columns:
            return f"Add '{name}' to science.modules."
    return ""


@lru_cache(maxsize=1)
def _given() -> dict[str, set[str]]:
    """Return which columns each known module gives under the default configuration."""
    return {name: {column.name for column in build(Config()).outputs} for name, build in MODULES.items()}
