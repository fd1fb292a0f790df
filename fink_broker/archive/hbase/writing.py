"""Writing alerts to the database: idempotent, so that whoever was cut short begins the same batch again."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass

from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import Rows
from fink_broker.archive.hbase.tables import needed


@dataclass(frozen=True)
class Written:
    """What was written to a table: rows, their bytes (keys, names of cells and values), and how long it took."""

    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Written) -> Written:
        """Return what both come to."""
        return Written(self.rows + other.rows, self.bytes + other.bytes, self.seconds + other.seconds)


def create_tables(archive: Archive) -> None:
    """Create the tables that do not exist.

    Raises
    ------
    ArchiveAway
        If the database does not answer.
    """
    archive.store.create_tables(needed(archive.tables))


def write(archive: Archive, rows: Rows) -> dict[str, Written]:
    """Write what `database_rows` made of some alerts; return what went into each table.

    May be called by several threads at once.

    Raises
    ------
    ArchiveAway
        If the database does not answer. Some rows may have been written; writing all again is right.
    """
    for schema in rows.schemas.values():  # first: no reader may meet a row before its schema
        archive.schemas.keep(schema)
    written: defaultdict[str, Written] = defaultdict(Written)
    for part in rows.tables:
        started = time.perf_counter()
        archive.store.put(archive.name(part.suffix), part.rows, part.time_ms)
        written[part.suffix] += Written(len(part.rows), part.bytes, time.perf_counter() - started)
    return dict(written)
