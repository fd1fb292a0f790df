"""What an alert's history says beyond its detections: upper limits, and points of bad quality.

Detections of good quality are alerts of their own. The others come with every alert of the object for thirty days; they
are kept with the alert they came with, as one row of lists, and whoever reads them drops repeats. Tables of their own
(``upper``, ``uppervalid``) would take a row a point: 25 puts an alert where this takes none.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.config.model import QualityConfig

UPPER_LIMIT, BAD_QUALITY = "upperlim", "badquality"
TAG = "d:tag"
#: Fields of a point that are kept, and their types.
KEPT = {
    "jd": pa.float64(),
    "fid": pa.int32(),
    "diffmaglim": pa.float32(),
    "magpsf": pa.float32(),
    "sigmapsf": pa.float32(),
    "magnr": pa.float32(),
    "sigmagnr": pa.float32(),
    "isdiffpos": pa.string(),
    "distnr": pa.float32(),
}
#: Fields of ``prv_candidates`` that `history` reads.
READ = (*KEPT, "rb", "nbad")
#: The cuts of a detection that is an alert of its own, as published for the tables of upper limits.
_GOOD = QualityConfig()


def history(alerts: pa.Table) -> pa.Table:
    """Return upper limits and bad-quality points of alerts.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the science table, with ``prv_candidates``, of which fields may be lacking.

    Returns
    -------
    pyarrow.Table
        A row for each alert, of lists that are equally long, in the order of the packet: ``i:jd`` (days), ``i:fid``,
        ``i:diffmaglim``, ``i:magpsf``, ``i:sigmapsf``, ``i:magnr``, ``i:sigmagnr``, ``i:isdiffpos``, ``i:distnr``
        (arcsec), and ``d:tag``, `UPPER_LIMIT` where nothing was detected, else `BAD_QUALITY`. Numbers an upper limit
        does not have are NaN, texts empty. Points without a time are left out.
    """
    lists = alerts["prv_candidates"].combine_chunks() if "prv_candidates" in alerts.column_names else None
    if lists is None or pa.types.is_null(lists.type):
        lists = pa.nulls(len(alerts), pa.list_(pa.struct([("jd", pa.float64())])))
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    owners = np.repeat(np.arange(len(alerts)), lengths)
    points = lists.flatten()
    detected = _valid(_field(points, "magpsf", pa.float32()))
    kept = _valid(_field(points, "jd", pa.float64())) & ~(detected & _is_good(points))
    rows = pa.array(np.flatnonzero(kept))
    points, owners, detected = points.take(rows), owners[kept], detected[kept]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(alerts)))]).astype(np.int32)
    columns = {f"i:{name}": _filled(_field(points, name, kind)) for name, kind in KEPT.items()}
    columns[TAG] = pc.if_else(pa.array(detected), BAD_QUALITY, UPPER_LIMIT)
    return pa.table({name: pa.ListArray.from_arrays(pa.array(offsets), values) for name, values in columns.items()})


def has_points(histories: pa.Table) -> np.ndarray:
    """Tell which rows of `history` hold a point."""
    lengths = pc.list_value_length(histories["i:jd"].combine_chunks())
    return np.asarray(lengths.to_numpy(zero_copy_only=False) > 0)


def _is_good(points: pa.StructArray) -> np.ndarray:
    """Tell which points pass the quality cuts; a missing value does not."""
    rb, nbad = _field(points, "rb", pa.float64()), _field(points, "nbad", pa.int32())
    good = pc.and_(pc.greater_equal(rb, _GOOD.rb_min), pc.less_equal(nbad, _GOOD.nbad_max))
    return np.asarray(good.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)


def _valid(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False) == 0)


def _field(points: pa.StructArray, name: str, kind: pa.DataType) -> pa.Array:
    """Return a field of the points, null where they lack it; nulls of the points are nulls of the field."""
    if points.type.get_field_index(name) < 0:
        return pa.nulls(len(points), kind)
    return pc.cast(pc.struct_field(points, name), kind, safe=False)


def _filled(values: pa.Array) -> pa.Array:
    """Return values without nulls: lists are packed as they are, and NaN takes no extra bit."""
    if pa.types.is_floating(values.type):
        return values.fill_null(float("nan"))
    return values.fill_null("" if pa.types.is_string(values.type) else 0)
