"""HBase through its Thrift server (Thrift 1, as happybase speaks it)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fink_broker.archive.hbase.connections import (
    AlreadyExists,
    BatchMutation,
    ColumnDescriptor,
    Connections,
    HBaseError,
    IllegalArgument,
    Mutation,
    TApplicationException,
    TScan,
)
from fink_broker.archive.hbase.memory_store import no_table
from fink_broker.archive.hbase.store import MOST_KEY_BYTES, Cells, KeyRange, Row, require_storable
from fink_broker.errors import ArchiveAway, DataError, FinkError, ServiceError

T = TypeVar("T")
#: Bounds of one request: a server that takes alerts from many must not hold much of one.
_MOST_ROWS = 1000
_MOST_BYTES = 4 * 1024**2
#: Creating a table takes a second, on a busy machine many.
_CREATION_SECONDS = 120.0
_CREATED_AT_ONCE = 4
#: Seconds from a fault within the Thrift server to the next try; after the last it is for good.
_PAUSES_AFTER_FAULTS = (0.1, 0.4, 1.0)
#: A put that shares the millisecond of a deletion would be hidden by it.
_MILLISECOND = 0.002


class HBaseStore:
    """Tables of HBase, as ``store.Store`` describes them; safe to be used by several threads.

    Cells are written with their write-ahead log. A scan asks for each page anew, from the last key on: pages are what
    costs, nothing is left open on the server, and a scan goes on after a restart of the database.

    Parameters
    ----------
    servers : str
        ``host:port`` of Thrift servers, separated by commas.
    connections : int
        Connections at the same time.
    timeout_seconds : float
        How long an answer may take.
    """

    def __init__(self, servers: str, connections: int = 8, timeout_seconds: float = 10.0) -> None:
        self._servers = servers
        self._timeout = timeout_seconds
        self._connections = Connections(servers, connections, timeout_seconds)
        self._families: dict[str, list[bytes]] = {}

    def create_tables(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Create tables with these column families, one version a cell; those that exist are left as they are."""
        there = {name.decode() for name in self._call("", lambda client: client.getTableNames())}
        missing = {name: families for name, families in tables.items() if name not in there}
        if not missing:
            return
        patient = HBaseStore(self._servers, _CREATED_AT_ONCE, max(_CREATION_SECONDS, self._timeout))
        with ThreadPoolExecutor(_CREATED_AT_ONCE) as threads:
            list(threads.map(patient._create, missing.items()))
        patient.close()

    def _create(self, table: tuple[str, Sequence[str]]) -> None:
        name, families = table
        columns = [
            ColumnDescriptor(name=f"{family}:".encode(), maxVersions=1, bloomFilterType="ROW", blockCacheEnabled=True)
            for family in families
        ]
        try:
            self._call(name, lambda client: client.createTable(name.encode(), columns))
        except AlreadyExists:  # another job was faster
            return

    def put(self, table: str, rows: Sequence[Row], time_ms: int | None = None) -> None:
        """Write rows; they are durable when this returns."""
        require_storable(table, rows, time_ms)
        for some in _portions(_each_once(rows)):
            batch = [
                BatchMutation(row=key, mutations=[Mutation(column=cell, value=cells[cell]) for cell in cells])
                for key, cells in some
            ]
            self._mutate(table, batch, time_ms)

    def get(self, table: str, keys: Sequence[bytes], cells: Sequence[bytes] = ()) -> list[Cells | None]:
        """Return rows by their keys, in their order, None where there is none."""
        found = dict(_rows(self._results(table, keys, cells)))
        return [found.get(key) for key in keys]

    def get_versions(self, table: str, keys: Sequence[bytes], cell: bytes) -> list[tuple[bytes, int] | None]:
        """Return value and version of one cell of rows by their keys, in their order; None where there is none."""
        results = self._results(table, keys, [cell])
        found = {result.row: (result.columns[cell].value, result.columns[cell].timestamp) for result in results}
        return [found.get(key) for key in keys]

    def _results(self, table: str, keys: Sequence[bytes], cells: Sequence[bytes]) -> list[Any]:
        """Return rows by their keys as Thrift gives them, those there are, each once."""
        name, columns = table.encode(), list(cells)
        found: list[Any] = []
        distinct = [key for key in dict.fromkeys(keys) if 0 < len(key) <= MOST_KEY_BYTES]  # others HBase refuses
        for first in range(0, len(distinct), _MOST_ROWS):
            some = distinct[first : first + _MOST_ROWS]

            def ask(client: Any, some: list[bytes] = some) -> Any:
                if columns:
                    return client.getRowsWithColumns(name, some, columns, {})
                return client.getRows(name, some, {})

            found += self._call(table, ask)
        return found

    def scan(
        self, table: str, keys: KeyRange, cells: Sequence[bytes] = (), reverse: bool = False, page: int = 1000
    ) -> Iterator[Row]:
        """Give the rows in a range of keys in order, fetched ``page`` at a time."""
        left = KeyRange(_storable(keys.start), _storable(keys.stop))
        while not left.empty:
            rows = self._page(table, left, cells, reverse, page)
            yield from rows
            if len(rows) < page:
                return
            last = rows[-1][0]
            left = KeyRange(left.start, last) if reverse else KeyRange(last + b"\0", left.stop)

    def _page(self, table: str, keys: KeyRange, cells: Sequence[bytes], reverse: bool, page: int) -> list[Row]:
        """Return up to ``page`` rows from one end of a range."""
        # HBase takes the first row of a scan in and leaves the last out, also where it goes backwards
        first, last = (keys.stop, _before(keys.start)) if reverse else (keys.start, keys.stop)
        asked = page + 1 if reverse else page
        scan = TScan(startRow=first, stopRow=last, columns=list(cells) or None, caching=asked, reversed=reverse)

        def ask(client: Any) -> Any:
            scanner = client.scannerOpenWithScan(table.encode(), scan, {})
            found = client.scannerGetList(scanner, asked)
            client.scannerClose(scanner)
            return found

        rows = _rows(self._call(table, ask))
        return [row for row in rows if keys.start <= row[0] < keys.stop][:page] if reverse else rows

    def delete(self, table: str, keys: Sequence[bytes], time_ms: int | None = None) -> None:
        """Remove rows; those that do not exist are fine."""
        if table not in self._families:
            described = self._call(table, lambda client: client.getColumnDescriptors(table.encode()))
            self._families[table] = [family.rstrip(b":") for family in described]
        mutations = [Mutation(isDelete=True, column=family) for family in self._families[table]]
        for first in range(0, len(keys), _MOST_ROWS):
            some = keys[first : first + _MOST_ROWS]
            self._mutate(table, [BatchMutation(row=key, mutations=mutations) for key in some], time_ms)
        time.sleep(_MILLISECOND)

    def close(self) -> None:
        """Give connections back."""
        self._connections.close()

    def _mutate(self, table: str, batch: list[BatchMutation], time_ms: int | None) -> None:
        name = table.encode()
        if time_ms is None:
            self._call(table, lambda client: client.mutateRows(name, batch, {}))
        else:
            self._call(table, lambda client: client.mutateRowsTs(name, batch, time_ms, {}))

    def _call(self, table: str, ask: Callable[[Any], T]) -> T:
        try:
            return self._insist(ask)
        except HBaseError as error:
            raise self._meaning(table, _said(error)) from error
        except (IllegalArgument, TApplicationException) as error:
            raise DataError(
                f"HBase refuses a request to table `{table}`: {_said(error)}.", "The log of its Thrift server says why."
            ) from error

    def _insist(self, ask: Callable[[Any], T]) -> T:
        """Ask again where a fault within the Thrift server may be a passing one, such as a region that moves."""
        for pause in _PAUSES_AFTER_FAULTS:
            try:
                return self._connections.call(ask)
            except TApplicationException as error:
                if error.type != TApplicationException.INTERNAL_ERROR:
                    raise
                time.sleep(pause)
        return self._connections.call(ask)

    def _meaning(self, table: str, said: str) -> FinkError:
        """Return the error that an answer of HBase stands for."""
        if "NoSuchColumnFamilyException" in said:
            return ServiceError(
                f"Table `{table}` of HBase lacks a column family.",
                "Another program may have made it: set `hbase.tables` to a name that is free.",
            )
        if "TableNotFoundException" in said or self._is_missing(table):
            return no_table(table)
        return ArchiveAway(f"HBase cannot serve table `{table}`: {said[:200]}.", "Ask again later.")

    def _is_missing(self, table: str) -> bool:
        """Tell whether a table does not exist: a failed put does not say so."""
        try:
            return bool(table) and table.encode() not in self._connections.call(lambda client: client.getTableNames())
        except (HBaseError, ArchiveAway):
            return False


def _said(error: Exception) -> str:
    """Return the first line of what HBase says, without its trace."""
    message = getattr(error, "message", None) or str(error)
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    return text.split("\n", 1)[0].strip() or type(error).__name__


def _rows(results: Sequence[Any]) -> list[Row]:
    return [(result.row, {name: cell.value for name, cell in result.columns.items()}) for result in results]


def _storable(key: bytes) -> bytes:
    """Return a key that all keys there can be are on the same side of, of a length that HBase takes."""
    return key if len(key) <= MOST_KEY_BYTES else key[:MOST_KEY_BYTES] + b"\0"


def _before(key: bytes) -> bytes:
    """Return a key before another one, with none of the archive's in between; nothing before the first."""
    if not key:
        return b""
    return key[:-1] if key[-1] == 0 else key[:-1] + bytes([key[-1] - 1]) + b"\xff" * 8


def _each_once(rows: Sequence[Row]) -> Sequence[Row]:
    """Return rows of different keys: of cells that are written twice at one time HBase would keep either."""
    merged: dict[bytes, Cells] = {}
    for key, cells in rows:
        merged[key] = {**merged[key], **cells} if key in merged else cells
    return list(merged.items())


def _portions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += sum(map(len, row[1].values()))
        if len(some) == _MOST_ROWS or size >= _MOST_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some
