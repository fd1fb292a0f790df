"""What a science module sees: the columns of a batch of alerts, and what earlier modules found."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, LightCurves, to_floats


class AlertBatch:
    """A batch of alerts, as columns.

    Parameters
    ----------
    columns : mapping of str to pyarrow.Array
        Root fields and candidate fields by name, history arrays as ``prv_<field>``, outputs of modules by name. It
        cannot be changed, nor can the arrays: all modules see the same.
    length : int
        Alerts in the batch.
    """

    def __init__(self, columns: Mapping[str, pa.Array], length: int) -> None:
        self.columns: Mapping[str, pa.Array] = MappingProxyType(dict(columns))
        self._length = length

    @classmethod
    def from_struct(cls, batch: pa.StructArray) -> AlertBatch:
        """Take the columns out of a struct array."""
        return cls(dict(zip(batch.type.names, batch.flatten(), strict=True)), len(batch))

    def __len__(self) -> int:
        return self._length

    def slice(self, start: int, stop: int) -> AlertBatch:
        """Return some of the alerts, without a copy."""
        return AlertBatch(
            {name: column.slice(start, stop - start) for name, column in self.columns.items()}, stop - start
        )

    def take(self, rows: npt.NDArray[np.int64]) -> AlertBatch:
        """Return the alerts of these rows."""
        chosen = pa.array(rows)
        return AlertBatch({name: column.take(chosen) for name, column in self.columns.items()}, len(rows))

    def with_columns(self, columns: Mapping[str, pa.Array]) -> AlertBatch:
        """Return the batch with outputs of a module added."""
        more = AlertBatch({**self.columns, **columns}, self._length)
        if "curves" in self.__dict__:  # outputs do not change light curves: keep what is converted already
            more.__dict__["curves"] = self.curves
        return more

    @cached_property
    def curves(self) -> LightCurves:
        """Light curves of the alerts."""
        return LightCurves(self.columns, self._length)

    def numbers(self, name: str) -> Floats:
        """Return a numeric field or output as float64, null as NaN."""
        return to_floats(self.columns[name])

    def floats(self, name: str) -> npt.NDArray[np.float32]:
        """Return a numeric field as float32, the precision of the packet, null as NaN."""
        with np.errstate(over="ignore"):
            return self.numbers(name).astype(np.float32)
