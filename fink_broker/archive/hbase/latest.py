"""Of several rows of an object, the latest.

The table of positions has one row for each object and pixel. Measured positions of an object scatter by an arcsecond,
so that one near the edge of a pixel has rows in two. Where an object has lost all its alerts of a pixel the row is
`NOBODY`: it is not removed, since a row removed under its version would hide what is put there later.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats
from fink_broker.archive.hbase.cells import ALERT_CELL
from fink_broker.archive.hbase.keys import position_key
from fink_broker.archive.hbase.positions import pixels_of
from fink_broker.archive.hbase.schemas import Schemas
from fink_broker.archive.hbase.store import Cells, Store

#: No two positions of an object are farther apart: ZTF joins detections within 1.5″.
SCATTER_ARCSEC = 3.0
#: What is in the table of positions where nobody is any more.
NOBODY = b""
_DIRECTIONS = np.radians(np.arange(0, 360, 45))


def is_somebody(cells: Cells | None) -> TypeGuard[Cells]:
    """Tell whether a row of the table of positions, as it was read, is there and is an alert."""
    return bool(cells and cells.get(ALERT_CELL, NOBODY) != NOBODY)


def latest_of_each(alerts: pa.Table) -> pa.Table:
    """Return one row an object, that of the greatest ``i:jd``, then ``i:candid``; rows stay in their order."""
    objects = np.asarray(pc.dictionary_encode(alerts["i:objectId"]).combine_chunks().indices)
    jd = np.asarray(alerts["i:jd"], dtype=float)
    candid = np.asarray(alerts["i:candid"]) if "i:candid" in alerts.column_names else np.zeros(len(jd), np.int64)
    newest_first = np.lexsort((-candid, -jd, objects))
    _, first = np.unique(objects[newest_first], return_index=True)
    return alerts.take(pa.array(np.sort(newest_first[first])))


def overtaken(alerts: pa.Table, store: Store, table: str, schemas: Schemas) -> npt.NDArray[np.bool_]:
    """Tell which rows of the table of positions have a later one of their object in a neighbouring pixel.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the table, with ``i:objectId``, ``i:candid``, ``i:ra``, ``i:dec`` (deg) and ``i:jd``.
    store : Store
        Where the neighbours are looked up: for rows within `SCATTER_ARCSEC` of another pixel alone, all at once.
    table : str
        Name of the table of positions.
    schemas : Schemas
        The columns of its rows.
    """
    ra, dec, jd = (np.asarray(alerts[name], dtype=float) for name in ("i:ra", "i:dec", "i:jd"))
    names = alerts["i:objectId"].to_pylist()
    own, others = pixels_of(ra, dec), _neighbours(ra, dec)
    rows, columns = np.nonzero(others != own[:, None])
    pairs = np.unique(np.column_stack((rows, others[rows, columns])), axis=0)
    found = store.get(table, [position_key(int(pixel), names[row]) for row, pixel in pairs], [ALERT_CELL])
    kept = [(int(pair[0]), cells[ALERT_CELL]) for pair, cells in zip(pairs, found, strict=True) if is_somebody(cells)]
    late = np.zeros(len(names), dtype=bool)
    if kept:
        at = np.array([row for row, _ in kept])
        other = schemas.unpack([packed for _, packed in kept], ["i:jd", "i:candid"])
        other_jd, candid = np.asarray(other["i:jd"], dtype=float), np.asarray(alerts["i:candid"])
        later = (other_jd > jd[at]) | ((other_jd == jd[at]) & (np.asarray(other["i:candid"]) > candid[at]))
        late[at[later]] = True
    return late


def _neighbours(ra: Floats, dec: Floats) -> npt.NDArray[np.int64]:
    """Return the pixels of eight points around each position, `SCATTER_ARCSEC` away: one row a position."""
    step = SCATTER_ARCSEC / 3600.0
    north = np.clip(dec[:, None] + step * np.cos(_DIRECTIONS), -90.0, 90.0)
    east = step * np.sin(_DIRECTIONS) / np.maximum(np.cos(np.radians(dec)), 1e-5)[:, None]
    return pixels_of(np.mod(ra[:, None] + east, 360.0).ravel(), north.ravel()).reshape(len(ra), -1)
