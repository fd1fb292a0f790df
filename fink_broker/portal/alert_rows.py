"""Rows of alerts as an answer shows them: whole ones with defaults and computed columns, or the columns asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive import columns as published
from fink_broker.config import Config
from fink_broker.portal.columns import check_columns
from fink_broker.portal.computed import ALWAYS, CLASSIFICATION, COLOURS, COMPUTED, needed, with_computed
from fink_broker.portal.route import Argument, Generation, Query, RequestError, Rows

#: What whole rows say where an alert lacks a column, because no catalogue or table had it.
DEFAULTS: Mapping[str, pa.Scalar] = {
    "d:tracklet": pa.scalar(""),
    "d:tns": pa.scalar(""),
    **{
        f"d:blazar_stats_{name}": pa.scalar(-1.0, pa.float64())
        for name in (
            "m0", "m1", "m2", "instantness_low", "robustness_low", "instantness_high", "robustness_high"
        )
    },
}  # fmt: skip
LIGHT_CURVE_FEATURES = ("d:lc_features_g", "d:lc_features_r")
ABSENT_LIST = "[]"
#: Characters of the argument `columns`: enough to name every column there is, some times over.
LONGEST_COLUMNS = 20_000
#: Rows that are sent at once.
PIECE = 1000
_ARROW = {
    "integer": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(), "string": pa.string(),
    "boolean": pa.bool_(),
}  # fmt: skip
_known: dict[tuple[str, ...], Mapping[str, pa.DataType]] = {}

COLUMNS = Argument(
    "columns",
    "columns to return, separated by commas; all where absent",
    "columns",
    example="i:objectId,i:jd,i:magpsf",
    longest=LONGEST_COLUMNS,
)


def known_types(config: Config) -> Mapping[str, pa.DataType]:
    """Return the type of every stored column, those of users' modules included."""
    modules = tuple(config.science.user_modules)
    if modules not in _known:
        described = published.described(config).values()
        _known[modules] = {
            **{name: scalar.type for name, scalar in DEFAULTS.items()},
            **{column.name: _arrow_type(column.type) for column in described},
        }
    return _known[modules]


@dataclass(frozen=True)
class Selection:
    """The columns of an answer.

    Parameters
    ----------
    names : tuple of str, optional
        Columns the client names; None for whole rows.
    generation : {"current", "historic"}
        Of the answer.
    types : mapping
        Type of every stored column.
    computed : tuple of str
        Computed columns of whole rows.
    """

    names: tuple[str, ...] | None
    generation: Generation
    types: Mapping[str, pa.DataType] = field(repr=False)
    computed: tuple[str, ...] = ALWAYS

    @classmethod
    def of(
        cls,
        query: Query,
        computed: tuple[str, ...] = ALWAYS,
        also: Collection[str] = (),
        *,
        has_colours: bool = False,
    ) -> Selection:
        """Read the argument ``columns`` of a request; a route without it gives whole rows.

        Parameters
        ----------
        query : Query
            The request.
        computed : tuple of str
            Computed columns of whole rows.
        also : collection of str
            Columns the route itself adds, which may be named without harm.
        has_colours : bool
            Whether the route knows the whole light curves that columns on colours and rates follow from.

        Raises
        ------
        RequestError
            If a column is not known, or not to this route.
        """
        types = known_types(query.config)
        names = check_columns(query.arguments.get("columns"), types, {*COMPUTED, *also})
        colour = next((name for name in names or () if name in COLOURS), None)
        if colour is not None and not has_colours:
            raise RequestError(
                f"`{colour}` follows from the whole light curve, which this route does not read. "
                "Ask `objects` or `latests` for it.\n"
            )
        return cls(names, query.generation, types, computed)

    @classmethod
    def whole(cls, query: Query, computed: tuple[str, ...] = ALWAYS) -> Selection:
        """Return the selection of whole rows."""
        return cls(None, query.generation, known_types(query.config), computed)

    def has(self, name: str) -> bool:
        """Tell whether a column is asked for by its name."""
        return name in (self.names or ())

    def nothing(
        self, has_column: Callable[[str], bool] | None = None, added: Mapping[str, pa.DataType] | None = None
    ) -> pa.Table:
        """Return a table of no alerts, so that an answer without rows has the columns of one with rows.

        Parameters
        ----------
        has_column : callable, optional
            Which stored columns the table that was searched holds; default: all.
        added : mapping, optional
            Type of each column that the route adds.
        """
        stored = {
            name: kind
            for name, kind in self.types.items()
            if self.names is not None or has_column is None or has_column(name)
        }
        return pa.schema([*stored.items(), *(added or {}).items()]).empty_table()

    def fetched(self, *also: str) -> tuple[str, ...] | None:
        """Return the stored columns to ask the archive for, some more included; None for all."""
        if self.names is None:
            return None
        stored = [name for name in self.names if name in self.types]
        return tuple(dict.fromkeys([*stored, *needed(name for name in self.names if name in COMPUTED), *also]))

    def show(self, alerts: pa.Table, added: Sequence[str] = (), curves: pa.Table | None = None) -> pa.Table:
        """Return alerts with the columns of the answer.

        Parameters
        ----------
        alerts : pyarrow.Table
            Alerts with what `fetched` names.
        added : sequence of str
            Columns of ``alerts`` that are shown as they are, whatever is asked for.
        curves : pyarrow.Table, optional
            What `with_colours` made of all alerts of the objects, if ``alerts`` are not all.
        """
        if self.names is None:
            return self._whole(alerts, curves)
        stored = [name for name in self.names if name in self.types and name not in alerts.column_names]
        for name in stored:
            alerts = alerts.append_column(name, pa.nulls(len(alerts), self.types[name]))
        computed = [name for name in self.names if name in COMPUTED]
        chosen = [*(name for name in self.names if name in self.types or name in COMPUTED), *added]
        return with_computed(alerts, computed, curves).select(list(dict.fromkeys(chosen)))

    def show_stored(self, alerts: pa.Table) -> pa.Table:
        """Return alerts with all their columns and the computed ones, but without defaults for what they lack."""
        return with_computed(alerts, self.computed)

    def _whole(self, alerts: pa.Table, curves: pa.Table | None) -> pa.Table:
        for name, default in DEFAULTS.items():
            alerts = _filled(alerts, name, default)
        for name in LIGHT_CURVE_FEATURES:
            if name in alerts.column_names:
                alerts = _set(alerts, name, _without_nan(alerts[name]))
        alerts = with_computed(alerts, self.computed, curves)
        return alerts.drop_columns([name for name in alerts.column_names if self._is_hidden(name)])

    def _is_hidden(self, name: str) -> bool:
        old = name.startswith("d:t2_") and self.generation == "current"
        return old or name.startswith("key:") or name in ("d:spicy_name", CLASSIFICATION)


@dataclass(frozen=True)
class Limit:
    """How many rows an answer has at most.

    Parameters
    ----------
    rows : int
        That many.
    is_own : bool
        Whether it is what the client, or the route where the client says nothing, asks for; else the API's own limit.
    """

    rows: int
    is_own: bool = False

    @classmethod
    def of(cls, query: Query, name: str | None = "n") -> Limit:
        """Return the limit of a request: the argument ``name``, and the API's own above it."""
        cap = query.config.api.max_rows
        asked = cap + 1 if name is None else int(query[name])
        return cls(min(asked, cap), asked <= cap)

    def answer(self, alerts: pa.Table, has_more: bool = False) -> Rows:
        """Return rows as an answer of no more than so many.

        Parameters
        ----------
        alerts : pyarrow.Table
            Rows in their order.
        has_more : bool
            Whether there would be more than these.
        """
        is_cut = has_more or len(alerts) > self.rows
        return Rows(pieces(alerts.slice(0, self.rows)), is_cut=is_cut and not self.is_own)


def pieces(alerts: pa.Table, rows: int = PIECE) -> list[pa.Table]:
    """Return a table in parts that share its memory; an empty one as itself."""
    return [alerts.slice(start, rows) for start in range(0, max(len(alerts), 1), rows)]


def newest_of(tables: Iterable[pa.Table], most: int) -> tuple[pa.Table, bool]:
    """Return no more than so many rows of tables, the latest first, and whether there are more; few more are held."""
    held: list[pa.Table] = []
    count, has_more = 0, False
    for table in tables:
        held.append(table)
        count += len(table)
        if count > 2 * most + PIECE:
            held, has_more = [newest_first(united(held)).slice(0, most)], True
            count = most
    rows = newest_first(united(held))
    if len(rows) <= most:  # a slice of a table without columns would have rows
        return rows, has_more
    return rows.slice(0, most), True


def newest_first(alerts: pa.Table) -> pa.Table:
    """Return alerts sorted by exposure time, the latest first."""
    return alerts.take(pc.sort_indices(alerts["i:jd"], sort_keys=[("", "descending")])) if len(alerts) else alerts


def united(tables: Iterable[pa.Table]) -> pa.Table:
    """Return rows of tables whose columns may differ; what a table lacks is null."""
    found = list(tables)
    full = [table for table in found if len(table)] or found[:1]
    return pa.concat_tables(full, promote_options="permissive") if full else pa.table({})


def _filled(alerts: pa.Table, name: str, default: pa.Scalar) -> pa.Table:
    if name not in alerts.column_names:
        return alerts.append_column(name, pa.repeat(default, len(alerts)))
    column = alerts[name]
    return _set(alerts, name, column.fill_null(default.cast(column.type))) if column.null_count else alerts


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts of lists: one that says it is no number is empty."""
    if not pa.types.is_string(column.type):
        return column
    return pc.if_else(pc.equal(column, "nan").fill_null(True), ABSENT_LIST, column)


def _set(alerts: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return alerts.set_column(alerts.column_names.index(name), name, column)


def _arrow_type(name: str) -> pa.DataType:
    inner = name.removeprefix("list of ")
    kind = _ARROW.get(inner, pa.string())
    return pa.list_(kind) if inner != name else kind
