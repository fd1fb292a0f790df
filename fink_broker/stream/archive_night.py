"""What HBase holds of one observing night, found without knowing which alerts there should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fink_broker.alert.survey import JD_UNIX_EPOCH, Survey
from fink_broker.archive.hbase import cells, keys
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import KeyRange, Row
from fink_broker.archive.hbase.stored import readable
from fink_broker.archive.hbase.tables import BY_TIME, INDEX, Table

T = TypeVar("T")
Numbers = npt.NDArray[np.int64]

#: Rows read, compared and written at once.
ROWS_AT_ONCE = 2000
#: Tables whose rows of a night can be found.
IN_TIME = tuple(table for table in INDEX if table.by_time)
#: Keys hold times to 1e-7 day: so near midnight only the time itself tells the night.
_EDGE = 1.5e-7


class ArchivedNight:
    """An observing night in HBase.

    Parameters
    ----------
    archive : Archive
        The database.
    night : str
        Observing night, ``YYYYMMDD``.
    survey : Survey
        When its nights begin.
    """

    def __init__(self, archive: Archive, night: str, survey: Survey) -> None:
        self._archive, self._night, self._survey = archive, night, survey
        midnight = datetime.strptime(night, "%Y%m%d").replace(tzinfo=UTC).timestamp() / 86400.0 + JD_UNIX_EPOCH
        self._first = midnight - survey.night_offset_days
        self._last = self._first + 1.0

    def rows(self, table: Table = BY_TIME) -> Iterator[Row]:
        """Give the rows of the night in a table sorted by time, one of `IN_TIME`.

        Raises
        ------
        ArchiveAway
            If HBase does not answer.
        """
        store, name = self._archive.store, self._archive.name(table.suffix)
        at = 2 if table.labelled else 1
        for label in self._labels(table) if table.labelled else [None]:
            for wanted in keys.time_ranges(label, self._first, self._last):
                for key, row in store.scan(name, wanted, [cells.ALERT_CELL]):
                    if self._is_ours(float(keys.split_key(key)[at]), row[cells.ALERT_CELL]):
                        yield key, row

    def key_hashes(self) -> dict[str, Numbers]:
        """Return the `hashes` of all keys of the night, by table."""
        return {
            table.suffix: joined(hashes(key for key, _ in some) for some in chunks(self.rows(table), ROWS_AT_ONCE))
            for table in IN_TIME
        }

    def _labels(self, table: Table) -> list[str]:
        """Return all labels that keys of a table begin with: from each the scan leaps to the next."""
        found: dict[str, None] = {}
        for salt in range(keys.SALTS):
            left = keys.prefix_range(b"%d_" % salt)
            while not left.empty:
                scan = self._archive.store.scan(self._archive.name(table.suffix), left, [cells.ALERT_CELL], page=1)
                key = next((key for key, _ in scan), None)
                if key is None:
                    break
                found[keys.split_key(key)[1]] = None
                label = key.split(b"_")[1]
                left = KeyRange(keys.prefix_range(b"%d_%s_" % (salt, label)).stop, left.stop)
        return list(found)

    def _is_ours(self, filed: float, packed: bytes) -> bool:
        """Tell whether an alert is of this night: by the time its key tells, and by its own where that is midnight."""
        if self._first + _EDGE < filed < self._last - _EDGE:
            return True
        table, good = readable([packed], self._archive.schemas.read, ["i:jd"])
        return bool(good) and self._survey.night(float(table["i:jd"][0].as_py())) == self._night


def main_key(filed: bytes) -> bytes:
    """Return the key in the main table of the alert of a key in the table by time."""
    _, jd, object_id, candid = keys.split_key(filed)
    return f"{keys.part(object_id)}_{jd}_{candid}".encode()


def candid_of(key: bytes) -> int:
    """Return the candid that keys of an alert end with."""
    return int(key.rsplit(b"_", 1)[1])


def hashes(row_keys: Iterable[bytes]) -> Numbers:
    """Return 8 bytes for each key, the same for the same key as long as this process runs."""
    return np.fromiter((hash(key) for key in row_keys), np.int64)


def joined(parts: Iterable[Numbers]) -> Numbers:
    """Return numbers as one sorted array."""
    return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))


def unexpected(
    rows: Iterable[T], key_of: Callable[[T], bytes], expected: Numbers, before: Numbers | None = None
) -> Iterator[list[T]]:
    """Give rows whose key is not among the expected ones, some at a time; if told, only those there were before."""
    for some in chunks(rows, ROWS_AT_ONCE):
        found = hashes(key_of(row) for row in some)
        strange = ~_among(found, expected)
        if before is not None:
            strange &= _among(found, before)
        if strange.any():
            yield [some[place] for place in np.flatnonzero(strange).tolist()]


def _among(values: Numbers, known: Numbers) -> npt.NDArray[np.bool_]:
    """Tell which values are among numbers that are sorted."""
    return np.searchsorted(known, values, "right") > np.searchsorted(known, values, "left")


def chunks(items: Iterable[T], number: int) -> Iterator[list[T]]:
    """Give items in lists of at most so many."""
    each = iter(items)
    while chunk := list(islice(each, number)):
        yield chunk
