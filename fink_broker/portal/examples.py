"""Examples for the documentation, taken from what is in the archive right now."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fink_broker.archive.hbase.keys import prefix_range
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.errors import FinkError
from fink_broker.portal import records
from fink_broker.portal.route import Argument, Route

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive

log = logging.getLogger(__name__)

#: seconds for which examples are kept
KEPT_SECONDS = 60.0
#: seconds after which the documentation goes without
TIMEOUT_SECONDS = 2.0
#: columns of the latest alert by the arguments they are an example of
_COLUMNS = {"objectId": "i:objectId", "ra": "i:ra", "dec": "i:dec"}
#: tables of alerts, and the column that is an example of a route's argument
_OF_ALERTS = {"tracklet.id": ("tracklet", "d:tracklet"), "sso.n_or_d": ("ssnamenr", "i:ssnamenr")}


class Examples:
    """Values for arguments: of the latest alert, and names that other tables of the archive begin with.

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
        """Return values by argument, or by route and argument (``sso.n_or_d``); none where the archive has none."""
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
        found: dict[str, Any] = {}
        for ask in (self._latest, self._names, self._night, self._written):
            try:
                found |= ask()
            except FinkError as error:  # a table that was never made
                log.debug("an example is missing: %s", error)
        return found

    def _latest(self) -> Mapping[str, Any]:
        row = self._first(self._archive.in_time("jd", page=1))
        found = {name: row[column] for name, column in _COLUMNS.items() if row.get(column) is not None}
        if len(found) == len(_COLUMNS):
            found["xmatch.catalog"] = f"ID,RA,Dec\na,{found['ra']},{found['dec']}"
        return found

    def _names(self) -> Mapping[str, Any]:
        found = {}
        for argument, (table, column) in _OF_ALERTS.items():
            name = self._first(self._archive.rows(table, records.ALL, page=1)).get(column)
            if name:
                found[argument] = name
        return found

    def _night(self) -> Mapping[str, Any]:
        for key, _ in self._archive.records(STATISTICS, prefix_range(b"ztf_"), reverse=True):
            return {"statistics.date": key.partition("_")[2]}
        return {}

    def _written(self) -> Mapping[str, Any]:
        found = {}
        for name, _ in self._archive.records(records.METADATA, records.ALL):
            found["metadata.objectId"] = name
            break
        for _, fields in self._archive.records(records.TNS, records.ALL):
            found["resolver.name"] = fields["d:fullname"]
            break
        return found

    @staticmethod
    def _first(tables: Iterable[pa.Table]) -> Mapping[str, Any]:
        """Return the first row of tables, or nothing."""
        for table in tables:
            if table.num_rows:
                row: Mapping[str, Any] = table.slice(0, 1).to_pylist()[0]
                return row
        return {}


def example_of(route: Route, argument: Argument, found: Mapping[str, Any]) -> Any:
    """Return a value for an argument: from the archive if it has one, else the route's own; None if there is none.

    Parameters
    ----------
    route : Route
        Whose argument it is.
    argument : Argument
        The argument.
    found : mapping
        What `Examples.current` gave.
    """
    if argument.example is None:
        return None
    return found.get(f"{route.name}.{argument.name}", found.get(argument.name, argument.example))


def example_request(route: Route, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments that work: those that are required, or else the first that has an example.

    Parameters
    ----------
    route : Route
        The route.
    found : mapping
        What `Examples.current` gave.
    """
    examples = [(each, example_of(route, each, found)) for each in route.arguments]
    required = {each.name: value for each, value in examples if each.required and value is not None}
    if required or route.answers_bare_get:
        return required
    optional = [(each, value) for each, value in examples if value is not None]
    if not optional:
        return {}
    group = optional[0][0].group
    return {each.name: value for each, value in optional if each.group == group and group is not None} or {
        optional[0][0].name: optional[0][1]
    }


def files_of(route: Route) -> tuple[str, ...]:
    """Return the arguments of a route that are files, of which there are no examples."""
    return tuple(each.name for each in route.arguments if each.kind == "upload")
