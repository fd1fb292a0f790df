"""Scans side by side of a database that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import KeyRange, Row
from fink_broker.errors import ArchiveAway

HANG_SECONDS = 0.4


class Hanging(MemoryStore):
    """A database whose every answer takes longer than allowed."""

    def scan(
        self, table: str, keys: KeyRange, cells: Sequence[bytes] = (), reverse: bool = False, page: int = 1000
    ) -> Iterator[Row]:
        time.sleep(HANG_SECONDS)
        raise ArchiveAway("It hangs.")
        yield


def test_whoever_stands_in_line_when_the_database_is_found_away_is_told_at_once() -> None:
    archive = Archive(Hanging(), "ztf", threads=2)
    took: list[float] = []

    def ask() -> None:
        started = time.monotonic()
        with pytest.raises(ArchiveAway, match="It hangs"):
            list(archive.in_time("jd"))
        took.append(time.monotonic() - started)

    askers = [threading.Thread(target=ask) for _ in range(12)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(took) == 12
    assert max(took) < 2 * HANG_SECONDS
    archive.close()
