"""A store in memory: what HBase does with rows, versions and deletions, for tests and trials."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fink_broker.archive.hbase.store import Cells, KeyRange, Row, require_storable
from fink_broker.errors import ArchiveAway, ServiceError


@dataclass
class _Table:
    families: set[str]
    #: value and version of each cell of each row
    rows: dict[bytes, dict[bytes, tuple[int, bytes]]] = field(default_factory=dict)
    #: newest version that was deleted, by row: a version no newer that is put later stays hidden
    deleted: dict[bytes, int] = field(default_factory=dict)
    #: keys in order; None after one came or went
    order: list[bytes] | None = None

    def keys(self) -> list[bytes]:
        if self.order is None:
            self.order = sorted(self.rows)
        return self.order


class MemoryStore:
    """Tables in memory, with the behaviour of ``store.Store``; safe to be used by several threads.

    Attributes
    ----------
    away : bool
        Set it, and every call raises `ArchiveAway`, also the next page of a scan that has begun.
    calls : int
        Requests so far; a page of a scan is one.
    """

    def __init__(self) -> None:
        self.away = False
        self.calls = 0
        self._tables: dict[str, _Table] = {}
        self._lock = threading.Lock()

    def create_tables(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Create tables with these column families."""
        self._ask()
        with self._lock:
            for name, families in tables.items():
                self._tables.setdefault(name, _Table(set(families)))

    def put(self, table: str, rows: Sequence[Row], time_ms: int | None = None) -> None:
        """Write rows."""
        self._ask()
        require_storable(table, rows, time_ms)
        version = _now() if time_ms is None else time_ms
        with self._lock:
            where = self._table(table)
            for key, cells in rows:
                if not where.families.issuperset(_families(cells)):
                    raise _no_family(table, cells)
                if version <= where.deleted.get(key, -1):
                    continue
                if key not in where.rows:
                    where.order = None
                kept = where.rows.setdefault(key, {})
                kept.update(
                    {cell: (version, value) for cell, value in cells.items() if version >= kept.get(cell, (0, b""))[0]}
                )

    def get(self, table: str, keys: Sequence[bytes], cells: Sequence[bytes] = ()) -> list[Cells | None]:
        """Return rows by their keys."""
        self._ask()
        with self._lock:
            where = self._table(table)
            return [_chosen(where.rows.get(key, {}), cells) or None for key in keys]

    def get_versions(self, table: str, keys: Sequence[bytes], cell: bytes) -> list[tuple[bytes, int] | None]:
        """Return value and version of one cell of rows."""
        self._ask()
        with self._lock:
            where = self._table(table)
            found = [where.rows.get(key, {}).get(cell) for key in keys]
            return [None if entry is None else (entry[1], entry[0]) for entry in found]

    def scan(
        self, table: str, keys: KeyRange, cells: Sequence[bytes] = (), reverse: bool = False, page: int = 1000
    ) -> Iterator[Row]:
        """Give the rows in a range of keys in order."""
        start, stop = keys.start, keys.stop
        while start < stop:
            rows = self._page(table, KeyRange(start, stop), cells, reverse, page)
            yield from rows
            if len(rows) < page:
                return
            start, stop = (start, rows[-1][0]) if reverse else (rows[-1][0] + b"\0", stop)

    def delete(self, table: str, keys: Sequence[bytes], time_ms: int | None = None) -> None:
        """Remove rows."""
        self._ask()
        with self._lock:
            where = self._table(table)
            now = _now()
            # what is put in the millisecond of a deletion as of now is not hidden by it
            newest, hidden = (now, now - 1) if time_ms is None else (time_ms, time_ms)
            for key in keys:
                kept = where.rows.pop(key, {})
                newer = {cell: value for cell, value in kept.items() if value[0] > newest}
                if newer:
                    where.rows[key] = newer
                where.deleted[key] = max(hidden, where.deleted.get(key, -1))
            where.order = None

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def _page(self, table: str, keys: KeyRange, cells: Sequence[bytes], reverse: bool, page: int) -> list[Row]:
        self._ask()
        with self._lock:
            where = self._table(table)
            order = where.keys()
            first, last = bisect_left(order, keys.start), bisect_left(order, keys.stop)
            found: list[Row] = []
            for number in range(last - 1, first - 1, -1) if reverse else range(first, last):
                chosen = _chosen(where.rows[order[number]], cells)
                if chosen:
                    found.append((order[number], chosen))
                if len(found) == page:
                    break
            return found

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            raise no_table(name)
        return self._tables[name]

    def _ask(self) -> None:
        self.calls += 1
        if self.away:
            raise ArchiveAway("The database in memory was told to be away.", "Ask again later.")


def no_table(name: str) -> ServiceError:
    """Return the error of a table that does not exist."""
    return ServiceError(f"HBase has no table `{name}`.", "`fink start archive` creates all tables: start it once.")


def _now() -> int:
    return time.time_ns() // 1_000_000


def _families(cells: Cells) -> set[str]:
    return {cell.partition(b":")[0].decode() for cell in cells}


def _no_family(table: str, cells: Cells) -> ServiceError:
    return ServiceError(
        f"Table `{table}` of HBase lacks one of the column families {', '.join(sorted(_families(cells)))}.",
        "Another program may have made it: set `hbase.tables` to a name that is free.",
    )


def _chosen(row: Mapping[bytes, tuple[int, bytes]], cells: Sequence[bytes]) -> dict[bytes, bytes]:
    names = cells or row
    return {name: row[name][1] for name in names if name in row}
