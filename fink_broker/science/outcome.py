"""What became of each alert in each module: raised, skipped by the module's own rule, found nothing, or found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Mask
from fink_broker.science.module import Column

NAMES = pa.list_(pa.string())
#: Columns that name the modules that raised on the alert, left it out by their own rule, or looked and found nothing.
FAILED, SKIPPED, NOTHING = "science_failed", "science_skipped", "science_found_nothing"
#: Column that says with what the science columns were made: module to version and digests of its files.
MADE_WITH = "science_made_with"
#: All of them, in the order in which they follow the science columns.
OUTCOMES: dict[str, pa.DataType] = {
    FAILED: NAMES,
    SKIPPED: NAMES,
    NOTHING: NAMES,
    MADE_WITH: pa.map_(pa.string(), pa.string()),
}
#: Hexadecimal digits of a digest that are written beside a version.
DIGEST_DIGITS = 12


def names_where(names: Sequence[str], marked: Mask) -> pa.ListArray:
    """Return for each alert the names whose mark is set.

    Parameters
    ----------
    names : sequence of str
        One a row of ``marked``.
    marked : numpy.ndarray of bool, shape (names, alerts)
    """
    by_alert = marked.T
    offsets = np.concatenate([[0], np.cumsum(by_alert.sum(axis=1))]).astype(np.int32)
    values = pa.array(list(names), pa.string()).take(pa.array(np.nonzero(by_alert)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def repeated_map(entries: Mapping[str, str], length: int) -> pa.MapArray:
    """Return one map as often as there are alerts."""
    offsets = pa.array(np.arange(length + 1, dtype=np.int32) * len(entries))
    again = pa.array(np.tile(np.arange(len(entries)), length))
    keys, values = (pa.array(list(side), pa.string()).take(again) for side in (entries.keys(), entries.values()))
    return pa.MapArray.from_arrays(offsets, keys, values)


def version_text(version: str, digests: Sequence[str]) -> str:
    """Return a module's version and the first digits of the digests of its files, as one text."""
    return " ".join([version, *(digest[:DIGEST_DIGITS] for digest in digests)])


def has_nothing(columns: Mapping[str, pa.Array], declared: Sequence[Column], length: int) -> Mask:
    """Tell for which alerts every column of a module holds the value it has where there is nothing to say."""
    nothing = np.ones(length, dtype=bool)
    for column in declared:
        nothing &= _is_absent(columns[column.name], column.absent)
    return nothing


def _is_absent(array: pa.Array, absent: Any) -> Mask:
    missing = _mask(pc.is_null(array, nan_is_null=pa.types.is_floating(array.type)))
    if absent is None or missing.all():
        return missing
    if pa.types.is_map(array.type):
        return missing | _maps_equal(array, absent)
    if pa.types.is_nested(array.type):  # rare, and Arrow does not compare these
        return missing | np.array([value == absent for value in array.to_pylist()], dtype=bool)
    return missing | _mask(pc.equal(array, pa.scalar(absent, array.type)))


def _maps_equal(array: pa.MapArray, absent: Mapping[str, Any]) -> Mask:
    """Tell which maps have the given values, in the given order."""
    wanted = pa.array(list(absent.values()), array.type.item_type)
    size = len(wanted)
    if array.null_count or not np.array_equal(np.diff(array.offsets), np.full(len(array), size)):
        return np.array([entry is not None and dict(entry) == dict(absent) for entry in array.to_pylist()], dtype=bool)
    first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
    same = pc.equal(array.items[first:last], wanted.take(pa.array(np.tile(np.arange(size), len(array)))))
    return np.asarray(_mask(same).reshape(len(array), size).all(axis=1))


def _mask(array: pa.Array) -> Mask:
    return array.fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
