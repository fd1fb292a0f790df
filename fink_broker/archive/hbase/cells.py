"""Names of tables, column families and cells, where readers and writers must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: An alert, packed: all published columns in the main table, those its routes return in an index table.
ALERT_CELL = b"alert:row"
#: Upper limits and bad-quality points of the alert's history, packed; in the main table alone.
HISTORY_CELL = b"history:row"
#: Where the images are, ``night=YYYYMMDD/<file>.parquet#<row>``; in the main table alone.
CUTOUT_CELL = b"cutout:at"
#: The fields of a row that is no alert, as a JSON object.
RECORD_CELL = b"record:json"

#: Column families. Each is a file of its own: who reads alerts does not read their histories.
MAIN_FAMILIES: Sequence[str] = ("alert", "history", "cutout")
INDEX_FAMILIES: Sequence[str] = ("alert",)
RECORD_FAMILIES: Sequence[str] = ("record",)

#: Table of the columns rows are packed with.
SCHEMA_SUFFIX = "schema"
#: Table of the latest alert of each object by position.
POSITION_SUFFIX = "position"


def table_name(tables: str, suffix: str) -> str:
    """Return the name of a table, ``<tables>.<suffix>``; the main table has no suffix."""
    return f"{tables}.{suffix}" if suffix else tables


def needed_tables() -> Mapping[str, Sequence[str]]:
    """Return suffix and families of the tables every reader and writer needs."""
    return {"": MAIN_FAMILIES, SCHEMA_SUFFIX: RECORD_FAMILIES, POSITION_SUFFIX: INDEX_FAMILIES}
