"""A user's function as a rule: where it is, and the digest of the files it is made of. Nothing is imported here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import entry_points
from pathlib import Path

import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.errors import ConfigError
from fink_broker.filters.users.arguments import Argument, inputs_of, possible_paths, raw_columns
from fink_broker.filters.users.sources import digest_of, sources_of_file
from fink_broker.filters.view import AlertView

#: Group of entry points in which a package announces filters.
GROUP = "fink_broker.filters"


@dataclass(frozen=True)
class UserFunction:
    """A Python function of a user: from columns, by the names of its arguments, to a truth value an alert.

    Parameters
    ----------
    place : str
        ``package.module:function``, ``package.module.function``, or the name of an entry point of the group `GROUP`.
    folder : str
        Where its module is looked for after the installed packages and ``PYTHONPATH``; empty: nowhere.
    arguments : tuple of Argument
        What it takes; known once it has been imported, which happens in a process of its own.

    Raises
    ------
    ConfigError
        If this is no place of a function.
    """

    place: str
    folder: str = ""
    arguments: tuple[Argument, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        names = self.place.replace(":", ".").split(".")
        if not all(name.isidentifier() for name in names) or self.place.count(":") > 1:
            raise ConfigError(
                f"'{self.place}' is no place of a function.",
                "Write package.module:function, or the name of an entry point of the group " + GROUP + ".",
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns its arguments may stand for; none as long as it has not been imported."""
        return tuple(dict.fromkeys(path for argument in self.arguments for path in possible_paths(argument.name)))

    @cached_property
    def source(self) -> Path | None:
        """The file its module stands in, None where that cannot be told without importing it."""
        return source_of(self.place, self.folder)

    @cached_property
    def sources(self) -> tuple[Path, ...]:
        """Its file, and those of its folder that this one imports."""
        return () if self.source is None else sources_of_file(self.source, self.folder)

    @cached_property
    def text(self) -> str:
        """Its place, and the digest of its files: editing one of them changes the identity of the filter."""
        if not self.sources:
            return f"function {self.place}"
        return f"function {self.place} (file {digest_of(self.sources)[:12]})"

    def check(self, schema: pa.Schema) -> None:
        """See whether it can be imported and every argument has its column.

        Raises
        ------
        ConfigError
            If not.
        """
        inputs_of(self.arguments or self._loaded().arguments, schema)

    def decide(self, view: AlertView) -> Mask:
        """Return which alerts pass, by a process started for this one call: the engine keeps one running.

        Raises
        ------
        ConfigError
            If it cannot be called, or fails.
        """
        from fink_broker.filters.users.runner import Runner  # noqa: PLC0415 # it starts what runs this file

        with Runner({self.place: self}) as runner:
            runner.load()
            runner.check_loaded(self.place)
            inputs = {self.place: inputs_of(runner.arguments[self.place], view.table.schema)}
            paths = [path for wanted in inputs[self.place].values() for path in wanted]
            runner.send(raw_columns(view.table, paths), inputs)
            (answer,) = runner.collect()
        if answer.error:
            raise ConfigError(f"The function {self.place} failed: {answer.error}.")
        return answer.passed

    def _loaded(self) -> UserFunction:
        from fink_broker.filters.users.runner import Runner  # noqa: PLC0415 # it starts what runs this file

        with Runner({self.place: self}) as runner:
            runner.load()
            runner.check_loaded(self.place)
            return UserFunction(self.place, self.folder, runner.arguments[self.place])


def place_of(place: str) -> tuple[str, str]:
    """Return module and function of a place with a colon, or with dots alone."""
    module, separator, function = place.partition(":")
    return (module, function) if separator else (place.rpartition(".")[0], place.rpartition(".")[2])


def source_of(place: str, folder: str = "") -> Path | None:
    """Return the Python file of a place, found as an import would, but without running anything."""
    if "." not in place and ":" not in place:
        entry = next(iter(entry_points(group=GROUP, name=place)), None)
        if entry is None:
            return None
        place = entry.value
    importlib.invalidate_caches()
    parts = place_of(place)[0].split(".")
    spec = _find(parts[0], None) or (PathFinder.find_spec(parts[0], [folder]) if folder else None)
    for number in range(1, len(parts)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(".".join(parts[: number + 1]), list(spec.submodule_search_locations))
    if spec is None or spec.origin is None or not spec.origin.endswith(".py") or not Path(spec.origin).is_file():
        return None
    return Path(spec.origin)


def _find(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if spec := finder.find_spec(name, path):
            return spec
    return None
