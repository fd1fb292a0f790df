"""The columns rows are packed with, kept in the database beside the rows that name them.

A schema is written before the first row that uses it, so that no reader meets a row it cannot read; it is a function of
its id, so that writing it twice does no harm and a copy in a process never grows old. Whether the database still has it
is another matter, for tables can be emptied under a job that runs: every minute it is written once more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pyarrow as pa

from fink_broker.archive.hbase.cells import RECORD_CELL, SCHEMA_SUFFIX, table_name
from fink_broker.archive.hbase.owner import Owner
from fink_broker.archive.hbase.packed import canonical, pack, schema_from_text, schema_id, schema_text, unpack
from fink_broker.archive.hbase.store import Store
from fink_broker.errors import DataError

#: A schema that was written so long ago is written again with the next rows that use it.
KEPT_SECONDS = 60.0


class Schemas:
    """Schemas by id; safe to be used by several threads.

    Parameters
    ----------
    store : Store
        The database.
    tables : str
        Name of the main table.

    Attributes
    ----------
    owner : Owner or None
        To whom the tables must belong if anything is to be written; None: to anybody.
    """

    def __init__(self, store: Store, tables: str) -> None:
        self._store = store
        self._table = table_name(tables, SCHEMA_SUFFIX)
        self.owner: Owner | None = None
        self._written: dict[str, float] = {}
        self._read: dict[str, pa.Schema] = {}

    def pack(self, table: pa.Table) -> list[bytes]:
        """Return the rows of a table as bytes that can be written: their schema is kept when this returns."""
        _, rows = pack(table)
        if rows:
            self.keep(table.schema)
        return rows

    def unpack(
        self, rows: Sequence[bytes], columns: Sequence[str] | None = None, keys: Sequence[bytes] = ()
    ) -> pa.Table:
        """Return packed rows as a table; see ``packed_read.unpack``."""
        return unpack(rows, self.read, columns, keys)

    def keep(self, schema: pa.Schema) -> str:
        """Write a schema, and return its id."""
        plain = canonical(schema)
        name = schema_id(plain)
        if time.monotonic() - self._written.get(name, float("-inf")) >= KEPT_SECONDS:
            self.require_own()
            began = time.monotonic()
            self._store.put(self._table, [(name.encode(), {RECORD_CELL: schema_text(plain).encode()})])
            self._written[name] = began
            self._read[name] = plain
        return name

    def require_own(self) -> None:
        """Raise ServiceError if the tables are another broker's; what nobody has written to becomes ours.

        Raises
        ------
        ServiceError
            If the tables are another broker's.
        """
        if self.owner is not None:
            self.owner.require(self._store, self._table)

    def read(self, name: str) -> pa.Schema:
        """Return the schema of an id.

        Raises
        ------
        DataError
            If the database has none of this id, or one that has been altered.
        """
        if name not in self._read:
            self._read[name] = self._fetch(name)
        return self._read[name]

    def _fetch(self, name: str) -> pa.Schema:
        cells = self._store.get(self._table, [name.encode()])[0]
        if not cells or RECORD_CELL not in cells:
            raise DataError(
                f"The archive has rows of columns nobody described (schema {name}).",
                f"Table `{self._table}` must not be emptied while there are alerts.",
            )
        schema = schema_from_text(cells[RECORD_CELL].decode("utf-8", "replace"))
        if schema_id(schema) != name:
            raise DataError(f"The description of columns {name} has been altered.", "Restore it from a backup.")
        return schema


def as_json(fields: object) -> bytes:
    """Return the fields of a record as the JSON kept in a cell; NaN stays NaN."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
