"""``ssobulk``: the light curves of all known solar system objects, one row an object."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.portal import records
from fink_broker.portal.route import Query, Route, Rows

SSNAMENR = "i:ssnamenr"
#: columns of an answer, lists in the order of time, and where they are from
CURVES = {f"c{name}": f"i:{name}" for name in ("ra", "dec", "magpsf", "sigmapsf", "fid", "jd")}
_TYPES = {"cfid": pa.int32(), "cmagpsf": pa.float32(), "csigmapsf": pa.float32()}
SCHEMA = pa.schema([("ssnamenr", pa.string()), *((name, pa.list_(_TYPES.get(name, pa.float64()))) for name in CURVES)])
#: objects that are sent at once
TOGETHER = 500


def answer(query: Query) -> Rows:
    """Return all light curves, in the order of names; those of some hundred objects are in memory at a time."""
    return Rows(_tables(query.archive.rows("ssnamenr", records.ALL)), default_format="parquet")


def _tables(pages: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Give tables of whole objects: the table of names is sorted by them, and by time."""
    waiting: list[pa.Table] = []
    count = 0
    for page in pages:
        points = page.select([SSNAMENR, *CURVES.values()])
        names = points[SSNAMENR].combine_chunks()
        starts = np.flatnonzero(pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)) + 1
        count += len(starts)
        if count >= TOGETHER and len(starts):  # the last object of a page may go on in the next one
            waiting.append(points.slice(0, starts[-1]))
            yield _aggregated(pa.concat_tables(waiting, promote_options="permissive"))
            waiting, count = [points.slice(starts[-1])], 0
        else:
            waiting.append(points)
    yield _aggregated(pa.concat_tables(waiting, promote_options="permissive")) if waiting else SCHEMA.empty_table()


def _aggregated(points: pa.Table) -> pa.Table:
    """Return points as one row an object; the points of an object follow each other."""
    names = points[SSNAMENR].combine_chunks()
    starts = np.flatnonzero(pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)) + 1
    starts = np.concatenate([[0], starts]).astype(np.int32) if len(names) else np.zeros(0, np.int32)
    offsets = pa.array(np.append(starts, len(names)).astype(np.int32))
    lists = {
        name: pa.ListArray.from_arrays(
            offsets, points[source].combine_chunks().cast(SCHEMA.field(name).type.value_type, safe=False)
        )
        for name, source in CURVES.items()
    }
    return pa.table({"ssnamenr": names.take(pa.array(starts)), **lists}, schema=SCHEMA)


ROUTES = (
    Route(
        "ssobulk",
        "Get the light curves of all Solar System objects of the Fink/ZTF datastore as one Parquet file",
        answer,
        group="Solar System",
        answers_bare_get=True,
        cost=50,
    ),
)
