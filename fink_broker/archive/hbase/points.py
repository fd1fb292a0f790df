"""Points of light curves that are no alerts, from the histories of many alerts: each once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def flattened(object_ids: Sequence[str], histories: pa.Table) -> pa.Table:
    """Return one row a point.

    Parameters
    ----------
    object_ids : sequence of str
        Whose history each row is; the rows of an object from its first alert to its latest.
    histories : pyarrow.Table
        Rows of lists, all lists of a row equally long, among them ``i:jd`` (days) and ``i:fid``.

    Returns
    -------
    pyarrow.Table
        ``i:objectId`` and the elements of the lists, in the order of objects given and of time. A point that several
        alerts brought is told as the latest of them does.
    """
    lists = [name for name in histories.column_names if pa.types.is_list(histories[name].type)]
    counts = np.asarray(pc.fill_null(pc.list_value_length(histories["i:jd"]), 0)) if "i:jd" in lists else np.zeros(0)
    owner = np.repeat(np.arange(histories.num_rows), counts.astype(np.int64))
    flat = {"i:objectId": pa.array(object_ids, pa.string()).take(pa.array(owner))}
    flat |= {name: pc.list_flatten(histories[name]) for name in lists}
    points = pa.table(flat)
    return points.take(pa.array(_each_once(points))) if points.num_rows else points


def _each_once(points: pa.Table) -> np.ndarray:
    """Return rows in the order of object, time and filter; of repeats the last."""
    objects = np.asarray(points["i:objectId"].combine_chunks().dictionary_encode().indices)
    jd, band = np.asarray(points["i:jd"], dtype=float), np.asarray(points["i:fid"], dtype=float)
    order = np.lexsort((np.arange(len(jd)), band, jd, objects))
    same = np.ones(len(order) - 1, dtype=bool)
    for values in (objects, jd, band):
        same &= values[order][1:] == values[order][:-1]
    return order[~np.append(same, False)]
