"""Which columns a rule reads, and where they are in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import ParseException
from pyspark.sql.types import DataType, StructType

from fink_broker.errors import ConfigError
from fink_broker.filters.registry import near_names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from fink_broker.filters.filter import Filter

#: Columns that rules read but a table may lack, with their Spark SQL types: they then count as null.
#: Each is written by a science module that can be switched off.
OPTIONAL_COLUMNS: dict[str, str] = {
    "mulens": "double",
    "rf_kn_vs_nonkn": "double",
    "rf_snia_vs_nonia": "double",
}


def columns_of(spark: SparkSession, entry: Filter) -> set[tuple[str, ...]]:
    """Return the columns a rule reads, each as its path from the root.

    Spark's own parser reads the rule, so whatever Spark SQL allows is understood.

    Raises
    ------
    ConfigError
        If the rule is not Spark SQL.
    """
    parser = spark._jsparkSession.sessionState().sqlParser()
    try:
        leaves = parser.parseExpression(entry.rule).collectLeaves()
    except ParseException as error:
        first_line = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"The rule of filter '{entry.name}' is no Spark SQL: {first_line}", "Mend the rule."
        ) from error
    found = (leaves.apply(number) for number in range(leaves.size()))
    return {
        tuple(leaf.nameParts().apply(part) for part in range(leaf.nameParts().size()))
        for leaf in found
        if leaf.getClass().getSimpleName() == "UnresolvedAttribute"
    }


def type_of(schema: StructType, path: tuple[str, ...], filter_name: str) -> DataType | None:
    """Return the type of a column, or None for an optional column the table lacks.

    Raises
    ------
    ConfigError
        If the table lacks the column; the hint gives the names most like it.
    """
    level: DataType = schema
    for depth, part in enumerate(path):
        known = level.fieldNames() if isinstance(level, StructType) else []
        if part not in known:
            if len(path) == 1 and part in OPTIONAL_COLUMNS:
                return None
            where = ".".join(path[:depth])
            prefix = f"{where}." if where else ""
            raise ConfigError(
                f"Filter '{filter_name}' reads the column '{'.'.join(path)}', which alerts do not have.",
                near_names(".".join(path), [prefix + name for name in known], "columns")
                if known
                else f"'{where}' has no fields.",
            )
        level = level[part].dataType
    return level
