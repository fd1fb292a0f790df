"""Several ranges of one table, their first rows fetched at the same time: what takes time is to wait for an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from itertools import islice

from fink_broker.archive.hbase.store import KeyRange, Row, Store

#: Ranges asked for ahead of the one that is read.
_AHEAD = 4


class Scans:
    """Scans of a store that overlap; safe to be used by several threads.

    Parameters
    ----------
    store : Store
        The database.
    threads : int
        Scans at the same time, of all who use this.
    """

    def __init__(self, store: Store, threads: int = 4) -> None:
        self._store = store
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
        return _continued(self._threads.submit(_first_page, scan, page), scan)


def _first_page(scan: Iterator[Row], page: int) -> list[Row]:
    return list(islice(scan, page))


def _continued(first: Future[list[Row]], scan: Iterator[Row]) -> Iterator[Row]:
    yield from first.result()
    yield from scan
