"""What of an alert a message carries, and what lets a reader drop repeats without decoding it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.survey import JD_UNIX_EPOCH
from fink_broker.alert.wire import times_as_text
from fink_broker.filters.filter import Output
from fink_broker.stream.columns import ALWAYS, LEFT_OUT, PRIVATE, TIMESTAMP


def public(alerts: pa.Table, output: Output = "full", columns: Sequence[str] = ()) -> pa.Table:
    """Return what of alerts goes out: times as text, and the exposure time as ``timestamp``.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the science table.
    output : {"full", "light_curve", "thin"}
        The whole alert; all but images; all but images and history.
    columns : sequence of str
        Columns wanted instead, beside `ALWAYS`; those the alerts lack are left out.
    """
    kept = [name for name in alerts.column_names if name not in PRIVATE and _goes_along(name, output, columns)]
    chosen = times_as_text(alerts.select(kept))
    if columns and TIMESTAMP not in columns:
        return chosen
    jd = pc.struct_field(alerts["candidate"].combine_chunks(), "jd")
    return chosen.append_column(TIMESTAMP, times_as_text(pa.table({TIMESTAMP: exposure_times(jd)}))[TIMESTAMP])


def exposure_times(jd: pa.Array) -> pa.Array:
    """Return exposure times in jd (days, UTC) as timestamps of a microsecond."""
    days = pc.cast(jd, pa.float64()).to_numpy(zero_copy_only=False) - JD_UNIX_EPOCH
    known = np.isfinite(days)
    microseconds = (np.where(known, days, 0.0) * 86_400_000_000).astype(np.int64)
    return pa.array(microseconds, mask=~known).cast(pa.timestamp("us", "UTC"))


def _goes_along(name: str, output: Output, columns: Sequence[str]) -> bool:
    if columns:
        return name in ALWAYS or name in columns
    return name not in LEFT_OUT[output]
