"""Quality cuts and science: from raw alerts to enriched ones, as pure functions on Arrow tables."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker import __version__
from fink_broker.alert.table import struct_from_table
from fink_broker.config.model import QualityConfig
from fink_broker.science.pipeline import Pipeline

STARTED, ENDED = "brokerStartProcessTimestamp", "brokerEndProcessTimestamp"
_TIME = pa.timestamp("us", tz="UTC")


def failed_cut(alerts: pa.Table, quality: QualityConfig) -> pa.Array:
    """Return the name of the first cut each alert fails, or null; a missing value fails.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the raw table.
    quality : QualityConfig
        The cuts.
    """
    candidate = alerts["candidate"].combine_chunks()
    nbad, rb, fid = (pc.struct_field(candidate, name) for name in ("nbad", "rb", "fid"))
    good = pc.and_(pc.greater_equal(pc.cast(rb, pa.float64()), quality.rb_min), pc.invert(pc.is_nan(rb)))
    dropped = pc.is_in(fid, value_set=pa.array(quality.drop_fid, fid.type))
    names = [
        pc.if_else(pc.fill_null(pc.greater(nbad, quality.nbad_max), True), "nbad", None),
        pc.if_else(pc.fill_null(good, False), None, "rb"),
        pc.if_else(dropped, "fid", None),
    ]
    return pc.coalesce(*(name.cast(pa.string()) for name in names))


def enrich(alerts: pa.Table, pipeline: Pipeline) -> pa.Table:
    """Add the science columns to alerts that passed the cuts.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the raw table; images and history are handed on as they are, not copied.
    pipeline : Pipeline
        The science modules.

    Returns
    -------
    pyarrow.Table
        The packet's fields, versions, science columns, what became of the alert in each module, and the times at
        which the processing of the alert's batch began and ended.
    """
    started = time.time()
    fields = pipeline.root_fields, pipeline.candidate_fields, pipeline.history_fields, pipeline.cutouts
    science = pipeline.run(struct_from_table(alerts, *fields))
    ended = time.time()
    hidden = {"publisher", *(name.lower() for name in pipeline.output_names)}
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        name: alerts[name] for name in alerts.column_names if name.lower() not in hidden
    }
    length = len(alerts)
    columns["publisher"] = pa.repeat("Fink", length)
    columns["fink_broker_version"] = columns["fink_science_version"] = pa.repeat(__version__, length)
    columns[STARTED] = _moment(started, length)
    columns |= dict(zip(science.type.names, science.flatten(), strict=True))
    columns[ENDED] = _moment(ended, length)
    return pa.table(columns)


def _moment(seconds: float, length: int) -> pa.Array:
    return pa.repeat(pa.scalar(int(seconds * 1e6), _TIME), length)
