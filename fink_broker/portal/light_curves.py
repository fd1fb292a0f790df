"""All the photometry of some objects, for columns that compare points in time."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.computed import COLOURS, needed


def light_curves(archive: Archive, alerts: pa.Table) -> pa.Table:
    """Return every alert of the objects of some alerts, with the columns that rates and colours need."""
    names = list(dict.fromkeys(alerts["i:objectId"].to_pylist()))
    return archive.alerts(names, (*needed(COLOURS), "i:candid"))
