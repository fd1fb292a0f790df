"""Several ranges of one table, their first rows fetched at the same time: what takes time is to wait for an answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from itertools import islice

from fink_broker.archive.hbase.store import KeyRange, Row, Store
from fink_broker.errors import ArchiveAway

#: Ranges asked for ahead of the one that is read.
_AHEAD = 4
#: Scans at the same time where nothing else is said.
THREADS = 4


class _Away:
    """When the database was last found away: scans that stand in line since before need not find that out again."""

    def __init__(self) -> None:
        self._last: tuple[float, ArchiveAway] | None = None

    def note(self, error: ArchiveAway) -> None:
        """Note that a scan has found the database away."""
        self._last = time.monotonic(), error

    def require_not_since(self, asked: float) -> None:
        """Raise what another scan was told after a time."""
        if self._last is not None and self._last[0] >= asked:
            raise copy(self._last[1])


class Scans:
    """Scans of a store that overlap; safe to be used by several threads.

    Parameters
    ----------
    store : Store
        The database.
    threads : int
        Scans at the same time, of all who use this: as many as there are connections.
    """

    def __init__(self, store: Store, threads: int = THREADS) -> None:
        self._store = store
        self._away = _Away()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="scan")

    def through(self, store: Store) -> Scans:
        """Return scans of another store that share the threads of these."""
        clone = copy(self)
        clone._store = store
        return clone

    def side_by_side(
        self, table: str, ranges: Sequence[KeyRange], cells: Sequence[bytes], page: int, reverse: bool = False
    ) -> list[Iterator[Row]]:
        """Return a scan of each range; the first pages of all are under way when this returns."""
        return [self._begun(table, keys, cells, page, reverse) for keys in ranges]

    def in_order(self, table: str, ranges: Sequence[KeyRange], cells: Sequence[bytes], page: int) -> Iterator[Row]:
        """Give the rows of ranges, range by range; some ranges are asked for ahead."""
        if len(ranges) == 1:  # no need of another thread
            yield from self._store.scan(table, ranges[0], cells, page=page)
            return
        rest = iter(ranges)
        under_way = deque(self._begun(table, keys, cells, page) for keys in islice(rest, _AHEAD))
        while under_way:
            yield from under_way.popleft()
            under_way.extend(self._begun(table, keys, cells, page) for keys in islice(rest, 1))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begun(
        self, table: str, keys: KeyRange, cells: Sequence[bytes], page: int, reverse: bool = False
    ) -> Iterator[Row]:
        scan = self._store.scan(table, keys, cells, reverse, page)
        return _continued(self._threads.submit(self._first_page, scan, page, time.monotonic()), scan)

    def _first_page(self, scan: Iterator[Row], page: int, asked: float) -> list[Row]:
        self._away.require_not_since(asked)
        try:
            return list(islice(scan, page))
        except ArchiveAway as error:
            self._away.note(error)
            raise


def _continued(first: Future[list[Row]], scan: Iterator[Row]) -> Iterator[Row]:
    yield from first.result()
    yield from scan
