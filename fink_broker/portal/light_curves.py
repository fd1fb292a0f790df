"""All the photometry of some objects, for columns that compare points in time."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.alert_rows import united
from fink_broker.portal.computed import COLOURS, needed

#: Objects read at once: rows come whole from the database, and only their photometry is kept.
_TOGETHER = 50


def light_curves(archive: Archive, alerts: pa.Table) -> pa.Table:
    """Return every alert of the objects of some alerts, with the columns that rates and colours need."""
    names = list(dict.fromkeys(alerts["i:objectId"].to_pylist()))
    wanted = (*needed(COLOURS), "i:candid")
    return united(archive.alerts(names[start : start + _TOGETHER], wanted) for start in range(0, len(names), _TOGETHER))
