"""What the archive asks of a database: rows of a few cells under keys that are sorted as bytes.

`HBaseStore` (``hbase_store.py``) is the real one, `MemoryStore` (``memory_store.py``) stands in for it in unit tests;
both pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

#: cells of a row by ``family:qualifier``
Cells = Mapping[bytes, bytes]
Row = tuple[bytes, Cells]


@dataclass(frozen=True)
class KeyRange:
    """Keys from ``start`` on, up to and without ``stop``."""

    start: bytes
    stop: bytes

    @property
    def empty(self) -> bool:
        """Whether no key can be in the range."""
        return self.start >= self.stop


#: Every key there can be: keys are ASCII.
ALL_KEYS = KeyRange(b"", b"\xff")


class Store(Protocol):
    """A database of tables; safe to be used by several threads at once.

    Every method raises `fink_broker.errors.ArchiveAway` if the database does not answer in time, or goes away while
    it does; asking again later is then right, and harmless: a put done twice leaves what one leaves.
    """

    def create_tables(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Create tables with these column families, one version a cell; those that exist are left as they are."""

    def put(self, table: str, rows: Sequence[Row], time_ms: int | None = None) -> None:
        """Write rows; they are durable when this returns.

        Parameters
        ----------
        table : str
            Name of the table.
        rows : sequence of (key, cells)
            What to write; cells of the row that are not named stay.
        time_ms : int, optional
            Version of the cells: one that is less than what a cell has changes nothing. Default: now.
        """

    def get(self, table: str, keys: Sequence[bytes], cells: Sequence[bytes] = ()) -> list[Cells | None]:
        """Return rows by their keys, in their order, None where there is none; only some cells if they are named."""

    def scan(
        self, table: str, keys: KeyRange, cells: Sequence[bytes] = (), reverse: bool = False, page: int = 1000
    ) -> Iterator[Row]:
        """Give the rows in a range of keys in order, fetched ``page`` at a time.

        Parameters
        ----------
        table : str
            Name of the table.
        keys : KeyRange
            Which rows.
        cells : sequence of bytes, optional
            Which cells; rows that have none of them are left out. Default: all.
        reverse : bool
            From the last key to the first.
        page : int
            Rows asked for at once. Nothing is held open between pages: a scan may rest for as long as it likes, and one
            that is not read to its end leaves nothing behind.
        """

    def delete(self, table: str, keys: Sequence[bytes], time_ms: int | None = None) -> None:
        """Remove rows; those that do not exist are fine.

        Parameters
        ----------
        table : str
            Name of the table.
        keys : sequence of bytes
            Which rows.
        time_ms : int, optional
            Newest version that is removed. Default: now. A version no newer than this that is put afterwards stays
            hidden for days, until the database cleans up: where rows are put with times of their own, a deletion must
            name the version it means.
        """

    def close(self) -> None:
        """Give connections back."""
