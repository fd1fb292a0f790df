"""When the work on a request must end: its time is up, or nobody waits for it any more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from fink_broker.archive.hbase.store import Cells, KeyRange, Row, Store
from fink_broker.portal.route import RequestError

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive

Item = TypeVar("Item")
#: rows between two looks at the clock
STRIDE = 64
#: bytes a second at which an answer is received at least, once it has taken the time a request may take
LEAST_BYTES_PER_SECOND = 32 * 1024


class ClientGone(Exception):
    """The client hung up."""


class Deadline:
    """When the work on a request ends at the latest; shared by the threads that do the work.

    Parameters
    ----------
    seconds : float
        Time it may take from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds
        self._is_given_up = False

    @property
    def left(self) -> float:
        """Seconds that are left, not less than 0."""
        return max(0.0, self._ends - time.monotonic())

    def renew(self) -> None:
        """Begin the time anew: for the next piece of an answer."""
        self._ends = time.monotonic() + self.seconds

    def give_up(self) -> None:
        """Have the work end: its answer is not waited for any more."""
        self._is_given_up = True

    def check(self) -> None:
        """Return if there is time left.

        Raises
        ------
        ClientGone
            If nobody waits for the answer.
        RequestError
            504, if the time is up.
        """
        if self._is_given_up:
            raise ClientGone
        if not self.left:
            raise time_is_up(self.seconds)

    def watch(self, items: Iterator[Item]) -> Iterator[Item]:
        """Give items while there is time."""
        self.check()
        for number, item in enumerate(items, 1):
            if number % STRIDE == 0:
                self.check()
            yield item


def time_is_up(seconds: float) -> RequestError:
    """Return the error of a request that takes too long."""
    return RequestError(
        f"The request took more than {seconds:g} seconds. Ask for fewer objects, a smaller area or a shorter time.\n",
        status=504,
    )


class Receipt:
    """How long a client may take to receive an answer: the time of a request, and more as bytes arrive.

    Parameters
    ----------
    seconds : float
        Time it may take whatever its length.
    """

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._bytes = 0

    def count(self, length: int) -> None:
        """Count bytes that are about to be sent."""
        self._bytes += length

    @property
    def left(self) -> float:
        """Seconds until what was counted must have arrived, not less than 0."""
        ends = self._began + self._seconds + self._bytes / LEAST_BYTES_PER_SECOND
        return max(0.0, ends - time.monotonic())


class WatchedStore:
    """A store that stops reading when a deadline has passed; the same contract as `Store`.

    Parameters
    ----------
    store : Store
        The database.
    deadline : Deadline
        When to stop.
    """

    def __init__(self, store: Store, deadline: Deadline) -> None:
        self._store = store
        self._deadline = deadline

    def create_tables(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Create tables."""
        self._store.create_tables(tables)

    def put(self, table: str, rows: Sequence[Row], time_ms: int | None = None) -> None:
        """Write rows."""
        self._deadline.check()
        self._store.put(table, rows, time_ms)

    def get(self, table: str, keys: Sequence[bytes], cells: Sequence[bytes] = ()) -> list[Cells | None]:
        """Return rows by their keys."""
        self._deadline.check()
        return self._store.get(table, keys, cells)

    def get_versions(self, table: str, keys: Sequence[bytes], cell: bytes) -> list[tuple[bytes, int] | None]:
        """Return value and version of one cell of rows."""
        self._deadline.check()
        return self._store.get_versions(table, keys, cell)

    def scan(
        self, table: str, keys: KeyRange, cells: Sequence[bytes] = (), reverse: bool = False, page: int = 1000
    ) -> Iterator[Row]:
        """Give the rows in a range of keys."""
        return self._deadline.watch(self._store.scan(table, keys, cells, reverse, page))

    def delete(self, table: str, keys: Sequence[bytes], time_ms: int | None = None) -> None:
        """Remove rows."""
        self._deadline.check()
        self._store.delete(table, keys, time_ms)

    def close(self) -> None:
        """Do nothing: connections are not this request's own."""


def watched(archive: Archive, deadline: Deadline) -> Archive:
    """Return the archive as one request sees it: what it reads ends with the deadline."""
    return archive.through(WatchedStore(archive.store, deadline))
