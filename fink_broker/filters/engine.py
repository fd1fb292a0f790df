"""All filters in one pass over the alerts, inside the JVM.

Rules are evaluated on a view of the alert that holds only the columns they read, and in which NaN has become
null. Spark takes NaN for larger than every number and equal to itself; here a comparison with NaN or null
never holds, and this is the one place that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, FloatType, StructType

from fink_broker.errors import ConfigError
from fink_broker.filters.columns import OPTIONAL_COLUMNS, columns_of, type_of
from fink_broker.filters.filter import Filter
from fink_broker.filters.registry import find_filters

TOPICS = "topics"

#: The untouched alert, while rules are evaluated beside it.
_ALERT = "__alert"

#: Columns that rules read, as a tree: a leaf has a type, or None where the table lacks an optional column.
_Tree = dict[str, "_Tree | DataType | None"]


def add_topics(alerts: DataFrame, names: Sequence[str]) -> DataFrame:
    """Add the column ``topics``: the names of the filters that take the alert, in the order of ``names``.

    Parameters
    ----------
    alerts : DataFrame
        Science table: ``candidate`` and the science columns. Its columns stay as they are.
    names : sequence of str
        Filters to evaluate.

    Raises
    ------
    ConfigError
        If a filter does not exist, or reads a column that the alerts lack.
    """
    return apply_filters(alerts, find_filters(names))


def apply_filters(alerts: DataFrame, filters: Iterable[Filter]) -> DataFrame:
    """Do what :func:`add_topics` does with filters that are given themselves.

    Raises
    ------
    ConfigError
        If a filter reads a column that the alerts lack, or the alerts have topics already.
    """
    if TOPICS in alerts.columns:
        raise ConfigError(f"The alerts have a column '{TOPICS}' already.", "Drop it first.")
    chosen = list(filters)
    view = [_cleaned(name, F.col(_quoted(name)), node) for name, node in _needed(alerts, chosen).items()]
    beside = alerts.select(F.struct(*(F.col(_quoted(name)) for name in alerts.columns)).alias(_ALERT), *view)
    passed = [F.when(F.expr(entry.rule), F.lit(entry.name)) for entry in chosen]
    # a CASE without ELSE is null both where the rule is false and where it is null
    topics = F.array_compact(F.array(*passed)) if passed else F.array().cast("array<string>")
    return beside.select(f"{_ALERT}.*", topics.alias(TOPICS))


def _needed(alerts: DataFrame, filters: Iterable[Filter]) -> _Tree:
    """Return all columns the filters read, as a tree."""
    tree: _Tree = {}
    for entry in filters:
        for path in sorted(columns_of(alerts.sparkSession, entry)):
            found = type_of(alerts.schema, path, entry.name)
            level = tree
            for part in path[:-1]:
                below = level.setdefault(part, {})
                if not isinstance(below, dict):
                    break  # another rule reads the whole struct
                level = below
            else:
                level[path[-1]] = found
    return tree


def _cleaned(name: str, column: Column, node: Mapping[str, object] | DataType | None) -> Column:
    """Return a column with the fields of the tree only, and null where it has NaN."""
    if isinstance(node, Mapping):
        fields = [_cleaned(field, column.getField(field), below) for field, below in node.items()]
        return F.struct(*fields).alias(name)
    if node is None:
        return F.lit(None).cast(OPTIONAL_COLUMNS[name]).alias(name)
    return _without_nan(column, node).alias(name)


def _without_nan(column: Column, of_type: DataType) -> Column:
    """Return the column with null for NaN, also inside of lists and structs."""
    if isinstance(of_type, FloatType | DoubleType):
        return F.when(~F.isnan(column), column)
    if isinstance(of_type, ArrayType) and _holds_numbers(of_type.elementType):
        return F.transform(column, lambda element: _without_nan(element, of_type.elementType))
    if isinstance(of_type, StructType) and _holds_numbers(of_type):
        fields = [_without_nan(column.getField(f.name), f.dataType).alias(f.name) for f in of_type.fields]
        return F.when(column.isNotNull(), F.struct(*fields))
    return column


def _holds_numbers(of_type: DataType) -> bool:
    """Tell whether a value of this type can hold NaN."""
    if isinstance(of_type, ArrayType):
        return _holds_numbers(of_type.elementType)
    if isinstance(of_type, StructType):
        return any(_holds_numbers(field.dataType) for field in of_type.fields)
    return isinstance(of_type, FloatType | DoubleType)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
