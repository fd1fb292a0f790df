"""What the archive asks of a database: rows of a few cells under keys that are sorted as bytes.

`HBaseStore` (``hbase_store.py``) is the real one, `MemoryStore` (``memory_store.py``) stands in for it in unit tests;
both pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fink_broker.errors import DataError

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


#: Longest key, in bytes, and largest cell: what HBase takes (32,767 bytes, 10 MiB) less some room.
MOST_KEY_BYTES = 32_000
MOST_CELL_BYTES = 9 * 1024**2
#: Every key there can be: keys are ASCII.
ALL_KEYS = KeyRange(b"", b"\xff")


def refusal(rows: Sequence[Row], time_ms: int | None = None) -> str:
    """Return why rows cannot be written under a version; an empty text if they can."""
    if time_ms is not None and time_ms < 0:
        return f"its version {time_ms} is negative"
    for key, cells in rows:
        if not 0 < len(key) <= MOST_KEY_BYTES:
            return f"the key {key[:40]!r}… has {len(key):,} bytes, not 1 to {MOST_KEY_BYTES:,}"
        for name, value in cells.items():
            if len(value) > MOST_CELL_BYTES:
                return f"{name.decode()} of {key[:40]!r} has {len(value):,} bytes, more than {MOST_CELL_BYTES:,}"
    return ""


def require_storable(table: str, rows: Sequence[Row], time_ms: int | None = None) -> None:
    """Raise DataError if rows cannot be written.

    Raises
    ------
    DataError
        If a key or a cell is too large, a key is empty, or the version negative.
    """
    if why := refusal(rows, time_ms):
        raise DataError(f"A row cannot be written to table `{table}`: {why}.", "Leave it out.")


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
            Version of the cells: one that is less than what a cell has changes nothing. Default: now (ms since 1970).

        Raises
        ------
        DataError
            If a row can not be written (`refusal`); none is then.
        """

    def get(self, table: str, keys: Sequence[bytes], cells: Sequence[bytes] = ()) -> list[Cells | None]:
        """Return rows by their keys, in their order, None where there is none; only some cells if they are named."""

    def get_versions(self, table: str, keys: Sequence[bytes], cell: bytes) -> list[tuple[bytes, int] | None]:
        """Return value and version of one cell of rows by their keys, in their order; None where there is none."""

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
            hidden for days, until the database cleans up: rows that are put with versions of their own are better
            replaced by an empty value of a newer version.
        """

    def close(self) -> None:
        """Give connections back."""
