"""Light curves of many alerts at once: flat NumPy arrays and offsets, as an Arrow list column already is.

The light curve of an alert is its history in packet order, then the current measurement. It always has at least one
point. Nothing is sorted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
AnyArray = TypeVar("AnyArray", bound=np.ndarray)

#: A history column of a batch is called ``prv_<field>``, the current value ``<field>``.
HISTORY = "prv_"


def to_floats(column: pa.Array) -> Floats:
    """Return an Arrow column of numbers as float64, null as NaN.

    The numbers of a packet are 32 bit; they are widened first and computed with afterwards.
    """
    return pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def segment_reduce(ufunc: np.ufunc, values: np.ndarray, offsets: Ints, empty: float) -> np.ndarray:
    """Reduce consecutive segments of a flat array, each on its own.

    Parameters
    ----------
    ufunc : numpy.ufunc
        For example ``np.add`` or ``np.minimum``.
    values : numpy.ndarray
        Flat values of all segments.
    offsets : numpy.ndarray
        Segment i is ``values[offsets[i]:offsets[i + 1]]``.
    empty : float
        Result of a segment without values (``reduceat`` alone would give a neighbour's value).
    """
    filled = offsets[1:] > offsets[:-1]
    result = np.full(len(offsets) - 1, empty, dtype=np.result_type(values.dtype, type(empty)))
    if filled.any():
        result[filled] = ufunc.reduceat(values, offsets[:-1][filled])
    return result


class LightCurves:
    """The light curves of a batch of alerts.

    Parameters
    ----------
    columns : mapping of str to pyarrow.Array
        Columns of the batch: the current value ``<field>`` and the list ``prv_<field>`` of each field asked for later.
    length : int
        Alerts in the batch.

    Attributes
    ----------
    offsets : numpy.ndarray
        Alert i owns the points ``offsets[i]`` to ``offsets[i + 1]`` (exclusive) of every flat array.
    """

    def __init__(self, columns: Mapping[str, pa.Array], length: int) -> None:
        self._columns = columns
        self._length = length
        self._numbers: dict[str, Floats] = {}
        histories = [name for name in columns if name.startswith(HISTORY)]
        self._past = _lengths(columns[histories[0]]) if histories else np.zeros(length, dtype=np.int64)
        self.offsets: Ints = _shared(np.concatenate([[0], np.cumsum(self._past + 1)]).astype(np.int64))

    def __len__(self) -> int:
        return self._length

    @property
    def lengths(self) -> Ints:
        """Points of each light curve."""
        return self._past + 1

    @cached_property
    def owner(self) -> Ints:
        """Index of the alert each point belongs to."""
        return _shared(np.repeat(np.arange(self._length), self.lengths))

    @cached_property
    def _is_current(self) -> Mask:
        current = np.zeros(int(self.offsets[-1]), dtype=bool)
        current[self.offsets[1:] - 1] = True
        return _shared(current)

    def numbers(self, field: str) -> Floats:
        """Return a numeric field of all points as float64, null as NaN; the array is kept and shared.

        Raises
        ------
        DataError
            If the history of this field is not as long as that of the others.
        """
        if field not in self._numbers:
            values = np.empty(int(self.offsets[-1]))
            values[~self._is_current] = to_floats(self._history(field))
            values[self._is_current] = to_floats(self._columns[field])
            self._numbers[field] = _shared(values)
        return self._numbers[field]

    def texts(self, field: str) -> pa.Array:
        """Return a text field of all points, null stays null.

        Raises
        ------
        DataError
            If the history of this field is not as long as that of the others.
        """
        history = self._history(field).cast(pa.string())
        current = self._columns[field].cast(pa.string())
        source = np.empty(int(self.offsets[-1]), dtype=np.int64)
        source[~self._is_current] = np.arange(len(history))
        source[self._is_current] = len(history) + np.arange(self._length)
        return pa.concat_arrays([history, current]).take(pa.array(source))

    def _history(self, field: str) -> pa.Array:
        lists = self._columns[HISTORY + field]
        if not np.array_equal(_lengths(lists), self._past):
            raise DataError(f"The history of {field} is not as long as the history of other fields.")
        if pa.types.is_null(lists.type):
            return pa.nulls(0)
        return lists.flatten()

    @cached_property
    def is_detection(self) -> Mask:
        """Points with a magnitude (``magpsf`` not NaN); the others are upper limits."""
        return _shared(~np.isnan(self.numbers("magpsf")))

    @cached_property
    def detections(self) -> Ints:
        """Detections of each light curve, the current one included."""
        return _shared(self.count(self.is_detection))

    def count(self, chosen: Mask) -> Ints:
        """Return how many points of each light curve are chosen."""
        return segment_reduce(np.add, chosen.astype(np.int64), self.offsets, 0)

    def reduce(self, ufunc: np.ufunc, values: np.ndarray, empty: float = np.nan) -> np.ndarray:
        """Reduce flat values to one for each light curve."""
        return segment_reduce(ufunc, values, self.offsets, empty)

    def last(self, field: str) -> Floats:
        """Return the current value of a numeric field."""
        return self.numbers(field)[self.offsets[1:] - 1]

    def before_last(self, field: str) -> Floats:
        """Return the value just before the current one, NaN where there is no history."""
        values = self.numbers(field)
        before = np.maximum(self.offsets[1:] - 2, 0)
        return np.where(self.lengths > 1, values[before], np.nan)


def _shared(array: AnyArray) -> AnyArray:
    """Return an array that cannot be written to: it is kept, and seen by whoever asks next."""
    array.flags.writeable = False
    return array


def _lengths(lists: pa.Array) -> Ints:
    """Return the length of each list, 0 for a null one."""
    if pa.types.is_null(lists.type):
        return np.zeros(len(lists), dtype=np.int64)
    return pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
