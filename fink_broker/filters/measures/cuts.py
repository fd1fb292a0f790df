"""Cuts that functions of several topics share, each one mask over the batch; a missing value never passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.alert.lightcurve import HISTORY, Floats, LightCurves, Mask
from fink_broker.filters.view import CANDIDATE, PAST, AlertView

#: Values of ``roid``: an asteroid candidate of the broker's, a known object of the solar system.
SSO_CANDIDATE, KNOWN_SSO = 2, 3


def is_extragalactic(view: AlertView) -> Mask:
    """Return where the label allows an extragalactic object: such a SIMBAD type, or none."""
    return view.cached("function:is_extragalactic", lambda batch: batch.is_in("cdsxmatch", EXTRAGALACTIC))


def age_days(view: AlertView) -> Floats:
    """Return days since the object was first detected at this position, NaN if unknown."""
    with np.errstate(invalid="ignore"):
        return view.numbers("candidate.jd") - view.numbers("candidate.jdstarthist")


def is_not(numbers: Floats, *values: float) -> Mask:
    """Return where a number is there and none of some values."""
    return ~np.isnan(numbers) & np.logical_and.reduce([numbers != value for value in values])


def narrowed(passed: Mask, *conditions: Callable[[np.ndarray], Mask]) -> Mask:
    """Return which alerts meet further conditions, each asked only about those that met all before it.

    Parameters
    ----------
    passed : Mask
        Those that are asked about at all, shape (n,).
    *conditions : callable
        Get the numbers of m alerts, at least one, and return a mask of shape (m,); the costliest last.
    """
    rows = np.flatnonzero(passed)
    for condition in conditions:
        if not len(rows):
            break
        rows = rows[condition(rows)]
    left = np.zeros(len(passed), dtype=bool)
    left[rows] = True
    return left


def light_curves(view: AlertView, rows: np.ndarray, *fields: str) -> LightCurves:
    """Return the light curves of some of the alerts.

    Parameters
    ----------
    view : AlertView
        The batch.
    rows : numpy.ndarray of int
        Which alerts, shape (m,); alert i of the result is ``rows[i]`` of the batch.
    *fields : str
        What is read of each point.
    """
    columns = {name: view.column(f"{CANDIDATE}.{name}").take(rows) for name in fields}
    past = view.table[PAST]
    lists = past.chunk(0) if past.num_chunks == 1 else past.combine_chunks()
    # only the points and the fields in question are copied: histories are most of a table
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy().astype(np.int64)
    starts = lists.offsets.to_numpy()[:-1].astype(np.int64)[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths[rows])])
    points = pa.array(np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths[rows]))
    for name in fields:
        values = pc.struct_field(lists.values, name).take(points)
        columns[HISTORY + name] = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    return LightCurves(columns, len(rows))


def paths(*fields: str) -> tuple[str, ...]:
    """Return the columns `light_curves` reads for these fields."""
    return tuple(f"{parent}.{name}" for parent in (CANDIDATE, PAST) for name in fields)
