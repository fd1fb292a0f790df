"""Asking routes of the API without a server, and alerts made up for them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from archived import empty_archive, fill

from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.portal.arguments import read_arguments
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.providers.providers import Providers
from fink_broker.portal.route import Answer, Document, Generation, Query, Route, Rows

_FILES = (
    "anomaly", "classes", "conesearch", "explorer", "latests", "names", "objects", "random_objects", "schema", "skymap",
    "statistics", "tracklet", "xmatch",
)  # fmt: skip
OFFLINE = Config(api={"resolvers": ["none"]})


@cache
def routes() -> Mapping[str, Route]:
    """Return the routes about alerts and the sky, by name."""
    modules = [importlib.import_module(f"fink_broker.portal.routes.{name}") for name in _FILES]
    return {route.name: route for module in modules for route in module.ROUTES}


def answer(
    archive: Archive,
    name: str,
    arguments: Mapping[str, Any],
    *,
    generation: Generation = "current",
    config: Config = OFFLINE,
    providers: Providers | None = None,
) -> Answer:
    """Return what a route answers; arguments as clients write them."""
    read, given = read_arguments(routes()[name], arguments, generation)
    asked = Query(read, given, archive, providers or no_providers(), config, generation)
    return routes()[name].answer(asked)


def rows(archive: Archive, name: str, **arguments: Any) -> pa.Table:
    """Return the rows a route of the current generation answers; ``class_`` stands for ``class``."""
    given = {key.rstrip("_"): value for key, value in arguments.items()}
    return as_table(answer(archive, name, given))


def as_table(result: Answer) -> pa.Table:
    """Return all rows of an answer."""
    assert isinstance(result, Rows)
    return pa.concat_tables(result.tables)


def document(archive: Archive, name: str, generation: Generation = "current") -> Any:
    """Return the JSON a route answers."""
    result = answer(archive, name, {}, generation=generation)
    assert isinstance(result, Document)
    return result.content


def science_rows(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Return rows of a science table made up for a test.

    Parameters
    ----------
    columns : mapping
        Values by name: ``objectId``, ``candid``, fields of the candidate, columns of modules, all of one length. What
        is not named has a value that says little.
    """
    count = len(next(iter(columns.values())))
    root = {"objectId": pa.array(["ZTF21aaaaaaa"] * count), "candid": pa.array(np.arange(count) + 10**18)}
    candidate: dict[str, pa.Array] = {
        "jd": pa.array(np.full(count, 2460000.75)), "fid": pa.array(np.ones(count, np.int32)),
        "ra": pa.array(np.full(count, 10.0)), "dec": pa.array(np.full(count, 20.0)),
        "magpsf": pa.array(np.full(count, 18.5, np.float32)), "sigmapsf": pa.array(np.full(count, 0.1, np.float32)),
        "jdstarthist": pa.array(np.full(count, 2459990.5)), "drb": pa.array(np.full(count, 0.9, np.float32)),
        "distnr": pa.array(np.ones(count, np.float32)), "classtar": pa.array(np.full(count, 0.9, np.float32)),
        "ndethist": pa.array(np.full(count, 3, np.int32)), "field": pa.array(np.full(count, 500, np.int32)),
        "magap": pa.array(np.full(count, 18.25, np.float32)), "ssnamenr": pa.array(["null"] * count),
    }  # fmt: skip
    science: dict[str, pa.Array] = {
        "cdsxmatch": pa.array(["Unknown"] * count),
        "roid": pa.array([0] * count, pa.int32()),
    }
    for name, values in columns.items():
        group = next((group for group in (root, candidate) if name in group), science)
        group[name] = pa.array(values, group[name].type if name in group else None)
    struct = pa.StructArray.from_arrays(list(candidate.values()), list(candidate))
    begun = pa.repeat(pa.scalar(0, pa.timestamp("us", tz="UTC")), count)
    return pa.table({**root, "candidate": struct, "brokerStartProcessTimestamp": begun, **science})


def archive_of(columns: Mapping[str, Sequence[Any]]) -> Archive:
    """Return an archive of memory that holds alerts made up for a test; see `science_rows`."""
    archive = empty_archive()
    fill(archive, science_rows(columns))
    return archive
