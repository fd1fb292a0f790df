"""Which science modules there are, and the order in which the configured ones run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache

from fink_broker.alert.batch import CUTOUT, field_types
from fink_broker.alert.lightcurve import HISTORY
from fink_broker.alert.schema import ztf_reading_schema
from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.science import (
    anomaly,
    asteroids,
    blazars,
    early_snia,
    fast_transient,
    features,
    finkclass,
    hostless,
    kilonova,
    microlensing,
    nalerthist,
    superluminous,
    supernnova,
    transient,
)
from fink_broker.science.crossmatch import columns as crossmatch
from fink_broker.science.crossmatch import gaia, simbad, spicy, tns
from fink_broker.science.module import Module
from fink_broker.science.outcome import OUTCOMES
from fink_broker.science.pipeline import PRODUCTION_ORDER, Pipeline
from fink_broker.science.user import user_module

__all__ = ["GROUPS", "MODULES", "Pipeline", "build_pipeline", "known_columns", "known_outputs", "order", "select"]

Build = Callable[[Config], Module]

#: Every module by its name.
MODULES: dict[str, Build] = {
    "cdsxmatch": simbad.build,
    "tns": tns.build,
    "gaia": gaia.build,
    "gaia_variability": gaia.build_variability,
    "vsx": crossmatch.build_vsx,
    "spicy": spicy.build,
    "gcvs": crossmatch.build_gcvs,
    "x3hsp": crossmatch.build_3hsp,
    "x4lac": crossmatch.build_4lac,
    "mangrove": crossmatch.build_mangrove,
    "asteroids": asteroids.build,
    "early_snia": early_snia.build,
    "supernnova": supernnova.build,
    "microlensing": microlensing.build,
    "nalerthist": nalerthist.build,
    "kilonova": kilonova.build,
    "features": features.build,
    "anomaly": anomaly.build,
    "fast_transient": fast_transient.build,
    "blazars": blazars.build,
    "transient": transient.build,
    "superluminous": superluminous.build,
    "hostless": hostless.build,
    "finkclass": finkclass.build,
}

#: Columns that alerts have beside those of modules, in lower case.
RESERVED = frozenset(
    name.lower()
    for name in (
        *(field["name"] for field in json.loads(ztf_reading_schema())["fields"]),
        *field_types()[1],
        *OUTCOMES,
        "origin", "night", "topics", "cut", "timestamp",
        "brokerIngestTimestamp", "brokerStartProcessTimestamp", "brokerEndProcessTimestamp",
        "fink_broker_version", "fink_science_version",
    )
)  # fmt: skip

#: Names that stand for several modules.
GROUPS: dict[str, tuple[str, ...]] = {
    "crossmatch": (
        "cdsxmatch", "tns", "gaia", "gaia_variability", "vsx", "spicy", "gcvs", "x3hsp", "x4lac", "mangrove",
    ),
}  # fmt: skip


def build_pipeline(config: Config) -> Pipeline:
    """Return the pipeline of the configured modules; cheap, nothing is loaded.

    Raises
    ------
    ConfigError
        If a module is unknown or cannot be imported, or needs a column that no configured module gives, or modules
        need one another, or give a column that an alert has already.
    """
    built = [MODULES[name](config) for name in _names(config.science.modules)]
    built += [user_module(name, config) for name in dict.fromkeys(config.science.user_modules)]
    return Pipeline(order(built))


def select(config: Config, names: Sequence[str]) -> Pipeline:
    """Return the pipeline of some of the configured modules and all they need.

    Parameters
    ----------
    config : Config
        The configuration.
    names : sequence of str
        Names of modules or groups; none: all that are configured.

    Raises
    ------
    ConfigError
        If a name is none of a configured module.
    """
    modules = {module.name: module for module in build_pipeline(config).modules}
    wanted = [single for name in names for single in GROUPS.get(name, (name,))]
    for name in wanted:
        if name not in modules:
            raise ConfigError(
                f"There is no configured science module '{name}'.", f"Configured are {', '.join(modules)}."
            )
    if not wanted:
        return Pipeline(list(modules.values()))
    giver = {column.name: module.name for module in modules.values() for column in module.outputs}
    chosen: set[str] = set()
    while wanted:
        name = wanted.pop()
        chosen.add(name)
        wanted += [giver[column] for column in modules[name].needs.outputs if giver[column] not in chosen]
    return Pipeline([module for name, module in modules.items() if name in chosen])


def _names(configured: Sequence[str]) -> list[str]:
    """Return the names of single modules, each once."""
    names: dict[str, None] = {}
    for name in configured:
        if name not in MODULES and name not in GROUPS:
            raise ConfigError(
                f"science.modules names '{name}', which is no science module.",
                f"Known are {', '.join([*GROUPS, *MODULES])}; name your own in science.user_modules.",
            )
        names.update(dict.fromkeys(GROUPS.get(name, (name,))))
    return list(names)


def known_outputs(module: Module, config: Config | None = None) -> list[Module]:
    """Return the modules of ours that give what a module needs, and what those need, in the order they run."""
    config = config or Config()
    built = {name: build(config) for name, build in MODULES.items() if name != module.name}
    giver = {column.name: given for given in built.values() for column in given.outputs}
    chosen: dict[str, Module] = {}
    wanted = list(module.needs.outputs)
    while wanted:
        given = giver.get(wanted.pop())
        if given is not None and given.name not in chosen:
            chosen[given.name] = given
            wanted += given.needs.outputs
    return order(list(chosen.values()))


def known_columns() -> tuple[str, ...]:
    """Return the names of all columns our modules give, configured or not, and of those production has beside them."""
    return tuple(dict.fromkeys([*PRODUCTION_ORDER, *(name for columns in _given().values() for name in columns)]))


def order(modules: Sequence[Module]) -> list[Module]:
    """Return the modules so that each comes after those whose columns it needs.

    Raises
    ------
    ConfigError
        If a needed column is given by none of them, a column by two, or modules need one another in a circle.
    """
    _check_names(modules)
    giver = {column.name: module for module in modules for column in module.outputs}
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


def _check_names(modules: Sequence[Module]) -> None:
    """Check that modules differ in name, read what there is, and give columns that hide nothing an alert has."""
    seen: set[str] = set()
    columns: dict[str, str] = {}
    for module in modules:
        if module.name in seen:
            raise ConfigError(f"Two science modules are called '{module.name}'.", "Rename one of them.")
        seen.add(module.name)
        _check_needs(module)
        for column in module.outputs:
            name = column.name.lower()  # Spark takes names that differ in case only for one
            if name in columns:
                raise ConfigError(f"Both '{columns[name]}' and '{module.name}' give '{column.name}'.", "Rename one.")
            columns[name] = module.name
            if not name.isidentifier() or name in RESERVED or name.startswith((HISTORY, CUTOUT.lower())):
                raise ConfigError(
                    f"The science module '{module.name}' gives a column '{column.name}', "
                    "which alerts have already or which is no plain name.",
                    "Rename the column.",
                )


def _check_needs(module: Module) -> None:
    """Check that what a module reads of an alert is something alerts have."""
    root, candidate, history = field_types()
    readable = {
        "root": (module.needs.root, root),
        "candidate": (module.needs.candidate, candidate),
        "history": (module.needs.history, set(history) & set(candidate)),
        "cutouts": (module.needs.cutouts, ("Science", "Template", "Difference")),
    }
    for kind, (needed, known) in readable.items():
        for name in needed:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3)
                raise ConfigError(
                    f"The science module '{module.name}' reads '{name}' ({kind}), which alerts do not have.",
                    f"Did you mean {' or '.join(near)}?" if near else f"Look at the fields of {kind} in schemas/ztf.",
                )


def _remedy(column_name: str) -> str:
    for name, columns in _given().items():
        if column_name in columns:
            return f"Add '{name}' to science.modules."
    return ""


@lru_cache(maxsize=1)
def _given() -> dict[str, set[str]]:
    """Return which columns each known module gives under the default configuration."""
    return {name: {column.name for column in build(Config()).outputs} for name, build in MODULES.items()}
