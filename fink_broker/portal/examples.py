"""Examples for the documentation, taken from what is in the archive right now."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fink_broker.portal.route import Argument

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive

log = logging.getLogger(__name__)

#: seconds for which examples are kept
KEPT_SECONDS = 60.0
#: seconds after which the documentation goes without
TIMEOUT_SECONDS = 2.0
#: columns of the archive by the arguments they are an example of
_COLUMNS = {"objectId": "i:objectId", "ra": "i:ra", "dec": "i:dec"}


class Examples:
    """The latest alert, as values for arguments of the same name.

    Parameters
    ----------
    archive : Archive
        HBase.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._found: Mapping[str, Any] = {}
        self._asked = float("-inf")

    async def current(self) -> Mapping[str, Any]:
        """Return values by name of argument; none where the archive is empty or away."""
        if time.monotonic() - self._asked > KEPT_SECONDS:
            self._asked = time.monotonic()
            pool = ThreadPoolExecutor(1, thread_name_prefix="examples")
            try:
                self._found = await asyncio.wait_for(asyncio.wrap_future(pool.submit(self._ask)), TIMEOUT_SECONDS)
            except Exception as error:  # the documentation is shown whatever happens
                log.info("no examples from the archive: %s", error)
                self._asked -= KEPT_SECONDS - TIMEOUT_SECONDS
            finally:
                pool.shutdown(wait=False)
        return self._found

    def _ask(self) -> Mapping[str, Any]:
        for table in self._archive.in_time("jd", page=1):
            if table.num_rows:
                row = table.slice(0, 1).to_pylist()[0]
                return {name: row[column] for name, column in _COLUMNS.items() if row.get(column) is not None}
        return {}


def example_of(argument: Argument, found: Mapping[str, Any]) -> Any:
    """Return a value for an argument: from the archive if it has one, else the route's own.

    Parameters
    ----------
    argument : Argument
        The argument.
    found : mapping
        What `Examples.current` gave.
    """
    return found.get(argument.name, argument.example) if argument.example is not None else None
