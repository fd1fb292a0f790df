"""How much a selection is, from the counts of alerts by night and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fink_broker.portal.class_names import SIMBAD_PREFIX, TNS_PREFIX
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.transfer.selection import CONTENTS, MOST_ALERTS, Selection

#: Alerts from which on a selection is large.
LARGE = 250_000
KEY, ALL = "key:key", "basic:sci"


@dataclass(frozen=True)
class Estimate:
    """How much a selection is.

    Parameters
    ----------
    nights : tuple of str
        Observing nights of the range that have alerts, ``YYYY-MM-DD``, in order.
    archived : ndarray of int64, shape (n,)
        Alerts of each night.
    selected : ndarray of int64, shape (n,)
        Of these, alerts of the classes asked for.
    alert_bytes : int
        Mean size of an alert.
    is_most : bool
        Whether fewer may be sent: conditions, and types of the TNS, are not counted by night.
    """

    nights: tuple[str, ...]
    archived: npt.NDArray[np.int64]
    selected: npt.NDArray[np.int64]
    alert_bytes: int
    is_most: bool

    @property
    def alerts(self) -> int:
        """Alerts in all."""
        return int(self.selected.sum())

    @property
    def percent(self) -> float:
        """Share of the alerts of these nights."""
        return 100.0 * self.alerts / max(int(self.archived.sum()), 1)

    @property
    def gigabytes(self) -> float:
        """Size in GB (1e9 bytes)."""
        return self.alerts * self.alert_bytes / 1e9

    @property
    def colour(self) -> str:
        """Green: fine. Orange: large. Red: refused, or nothing at all."""
        if self.alerts == 0 or self.alerts > MOST_ALERTS:
            return "red"
        return "orange" if self.alerts >= LARGE else "green"


def night_range(api: Api) -> list[str]:
    """Return the nights that have alerts, ``YYYY-MM-DD``, in order.

    Raises
    ------
    ApiError
        If the API does not answer.
    """
    counts = _counts(api, ())
    return [night for night, number in zip(_nights(counts), _numbers(counts, [ALL]), strict=True) if number]


def estimate(api: Api, selection: Selection) -> Estimate:
    """Return how much a selection with both nights chosen is.

    Raises
    ------
    ApiError
        If the API does not answer.
    """
    columns = counted_columns(selection.classes)
    counts = _counts(api, columns or ())
    nights = _nights(counts)
    inside = np.array([selection.start <= night <= selection.stop for night in nights], dtype=bool)
    archived = _numbers(counts, [ALL])
    selected = archived if columns is None else np.minimum(_numbers(counts, columns), archived)
    there = inside & (archived > 0)
    return Estimate(
        tuple(np.array(nights, dtype=object)[there]),
        archived[there],
        selected[there],
        CONTENTS[selection.content or "full"].bytes,
        is_most=bool(selection.where) or any(name.startswith(TNS_PREFIX) for name in selection.classes),
    )


def counted_columns(classes: Sequence[str]) -> list[str] | None:
    """Return the columns of the statistics that count classes; None where only all alerts together are counted."""
    if not classes or any(name.startswith(TNS_PREFIX) for name in classes):
        return None
    return list(dict.fromkeys(f"class:{name.removeprefix(SIMBAD_PREFIX)}" for name in classes))


def _counts(api: Api, columns: Sequence[str]) -> pd.DataFrame:
    return api.rows("statistics", date="", columns=[KEY, ALL, *columns])


def _nights(counts: pd.DataFrame) -> list[str]:
    if counts.empty:
        return []
    days = counts[KEY].str.rpartition("_")[2]
    return [f"{day[:4]}-{day[4:6]}-{day[6:8]}" for day in days]


def _numbers(counts: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the sum of some counts for each night."""
    total = np.zeros(len(counts), dtype=np.int64)
    for name in columns:
        if name in counts:
            total += pd.to_numeric(counts[name], errors="coerce").fillna(0).to_numpy().astype(np.int64)
    return total
