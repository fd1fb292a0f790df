"""Functions of lists, above all of the history of an alert: ``size(prv_candidates.magpsf)``.

Lists come from :class:`~fink_broker.filters.view.AlertView`, of which a null one is empty underneath.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Ints, segment_reduce
from fink_broker.filters.sql.node import Value


def size(lists: pa.ListArray) -> Value:
    """Return how many values each list has, null ones included; null for a null list."""
    return pc.list_value_length(lists).cast(pa.int64())


def least(lists: pa.ListArray) -> Value:
    """Return the least value of each list; null if it has none."""
    return _extreme(lists, np.minimum, _greatest_of(lists.type.value_type))


def greatest(lists: pa.ListArray) -> Value:
    """Return the greatest value of each list; null if it has none."""
    return _extreme(lists, np.maximum, -_greatest_of(lists.type.value_type))


def contains(lists: pa.ListArray, value: Value) -> Value:
    """Tell whether each list has a value; null if it has not, but has null, which might be it, and for null."""
    values, offsets = lists.flatten(), _offsets(lists)
    if isinstance(value, pa.Array):
        asked, value = _truth(value.is_valid()), value.take(pc.list_parent_indices(lists))
    else:
        asked = np.full(len(lists), value.is_valid)
    equal = pc.equal(values, value)
    found = segment_reduce(np.logical_or, _truth(equal), offsets, empty=False)
    unsure = segment_reduce(np.logical_or, _truth(equal.is_null()), offsets, empty=False)
    return pa.array(found, mask=~_truth(lists.is_valid()) | ~asked | (unsure & ~found))


def element(lists: pa.ListArray, place: int) -> Value:
    """Return the value at a place of each list: 0 the first, -1 the last; null where the list is too short.

    Parameters
    ----------
    lists : pyarrow.ListArray
        One list for each alert.
    place : int
        Counted from the start, or from the end if negative.
    """
    offsets = _offsets(lists)
    lengths = np.diff(offsets)
    there = lengths > place if place >= 0 else lengths >= -place
    rows = (offsets[:-1] if place >= 0 else offsets[1:]) + place
    return lists.flatten().take(pa.array(np.where(there, rows, 0), mask=~there))


def _extreme(lists: pa.ListArray, ufunc: np.ufunc, beyond: float) -> Value:
    """Reduce each list; ``beyond`` stands for null, and is no candidate."""
    values, offsets = lists.flatten(), _offsets(lists)
    numbers = values.fill_null(beyond).to_numpy(zero_copy_only=False)
    found = segment_reduce(ufunc, numbers, offsets, empty=beyond)
    some = segment_reduce(np.logical_or, _truth(values.is_valid()), offsets, empty=False)
    return pa.array(found, lists.type.value_type, mask=~some)


def _greatest_of(kind: pa.DataType) -> float:
    return float("inf") if pa.types.is_floating(kind) else np.iinfo(np.int64).max


def _offsets(lists: pa.ListArray) -> Ints:
    """Return where each list starts in the flattened values, and where the last one ends."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _truth(values: pa.Array) -> np.ndarray:
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
