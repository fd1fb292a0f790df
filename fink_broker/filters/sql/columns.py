"""Which column of the alerts a name in a rule means."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from fink_broker.errors import ConfigError
from fink_broker.filters.names import near_names
from fink_broker.filters.view import CANDIDATE, OPTIONAL_COLUMNS, SCIENCE_MODULES, AlertView, BySchema, all_paths


class Columns:
    """The columns of a table by their names.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the table.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        roots = dict.fromkeys([*schema.names, *OPTIONAL_COLUMNS])
        self._paths = dict.fromkeys([*roots, *all_paths(schema)])
        self._by_leaf: dict[str, list[str]] = {}
        self._by_lower_case: dict[str, list[str]] = {}
        for path in self._paths:
            if "." in path:
                self._by_leaf.setdefault(path.rpartition(".")[2], []).append(path)
        for name in dict.fromkeys([*self._paths, *self._by_leaf]):
            self._by_lower_case.setdefault(name.lower(), []).append(name)

    def find(self, name: str) -> str:
        """Return the path of the column a name means.

        A whole path (``candidate.drb``) or the last part of one (``drb``): then a column of that name goes before a
        field of the candidate, and that before other fields. Upper and lower case count only where both exist, as in
        Spark.

        Raises
        ------
        ConfigError
            If there is none, or several it could be.
        """
        if name not in self._paths and name not in self._by_leaf:
            spelled = self._by_lower_case.get(name.lower(), [])
            if len(spelled) > 1:
                raise _ambiguous(name, spelled)
            name = spelled[0] if spelled else name
        if name in self._paths:
            return name
        fields = self._by_leaf.get(name, [])
        if f"{CANDIDATE}.{name}" in fields:
            return f"{CANDIDATE}.{name}"
        if len(fields) > 1:
            raise _ambiguous(name, fields)
        if not fields:
            if name.partition(".")[0] in {*SCIENCE_MODULES, *self.schema.names}:
                AlertView.type_of(self.schema, name)  # raises, and knows who writes it, or what fields there are
            known = [*self._paths, *self._by_leaf]
            raise ConfigError(f"Alerts have no column '{name}'.", near_names(name, known, "columns"))
        return fields[0]

    def find_map(self, name: str) -> tuple[str, str] | None:
        """Return column and key of a name that means a value of a map (``mangrove.lum_dist``), else None."""
        root, _, key = name.partition(".")
        if not key or name in self._paths or root not in self.schema.names:
            return None
        return (root, key) if pa.types.is_map(self.schema.field(root).type) else None

    def type_of(self, path: str) -> pa.DataType:
        """Return the type in which rules see a column."""
        return AlertView.type_of(self.schema, path)


def _ambiguous(name: str, paths: Sequence[str]) -> ConfigError:
    listed = ", ".join(f"'{path}'" for path in paths)
    return ConfigError(f"The column '{name}' could be any of {listed}.", "Write the whole name.")


#: Columns of the schemas seen last.
COLUMNS_OF: BySchema[Columns] = BySchema(Columns)
