"""Whether the API is alive, and whether it can answer."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from fink_broker.archive.hbase.store import KeyRange
from fink_broker.errors import FinkError

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive

#: seconds for which an answer of HBase counts
FRESH_SECONDS = 1.0
#: seconds after which HBase counts as away
TIMEOUT_SECONDS = 5.0


class Health:
    """Whether HBase answers; asked in a thread of its own, so that a full server still says how it is.

    Parameters
    ----------
    archive : Archive
        HBase.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._answers, self._asked = False, float("-inf")
        self._asking: asyncio.Future[bool] | None = None

    async def is_ready(self) -> bool:
        """Return whether HBase answers now, or did so a moment ago."""
        if time.monotonic() - self._asked < FRESH_SECONDS:
            return self._answers
        if self._asking is None or self._asking.done():
            self._asking = asyncio.wrap_future(self._pool.submit(self._ask))
        try:
            self._answers = await asyncio.wait_for(asyncio.shield(self._asking), TIMEOUT_SECONDS)
        except TimeoutError:
            self._answers = False
        self._asked = time.monotonic()
        return self._answers

    def _ask(self) -> bool:
        """Look whether the first row of the main table can be read."""
        try:
            rows = self._archive.store.scan(self._archive.tables, KeyRange(b"", b"\xff"), page=1)
            next(iter(rows), None)
        except FinkError:
            return False
        return True

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False)
