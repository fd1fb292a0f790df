"""Reading tables by time until an answer is full: limits count rows of the answer, not rows that were looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.portal.alert_rows import united
from fink_broker.portal.dates import START_OF_DATA, now
from fink_broker.portal.route import Argument, Query, RequestError

#: Rows of a scan fetched at once, at least and at most.
LEAST_PAGE, LARGEST_PAGE = 25, 1000

START = Argument("startdate", "first date, UTC: ISO, JD or MJD", "date", example="2019-11-01 00:00:00")
STOP = Argument("stopdate", "last date, UTC: ISO, JD or MJD; now where absent", "date")
WINDOW = Argument("window", "days from `startdate` on, in place of `stopdate`", "number", least=0, most=100_000)


@dataclass(frozen=True)
class Dates:
    """A span of time, both ends included.

    Parameters
    ----------
    first, last : float
        jd in days (UTC).
    """

    first: float
    last: float

    @classmethod
    def of(cls, query: Query, start: str = "startdate", stop: str = "stopdate", window: str | None = None) -> Dates:
        """Return the span a request names: from the start of data until now where it names none.

        Parameters
        ----------
        query : Query
            The request.
        start, stop : str
            Arguments of the first and last date.
        window : str, optional
            Argument of the days from the first date on; it outdoes the last date.

        Raises
        ------
        RequestError
            If there are such days, but no date they begin at.
        """
        if window is not None and query[window] is not None and query[start] is None:
            raise RequestError(f"`{window}` counts days from `{start}` on. Give `{start}` as well.\n")
        first = START_OF_DATA if query[start] is None else float(query[start])
        if window is not None and query[window] is not None:
            return cls(first, first + float(query[window]))
        return cls(first, now() if query[stop] is None else float(query[stop]))

    def hold(self, jd: np.ndarray) -> Mask:
        """Tell which times lie in the span."""
        with np.errstate(invalid="ignore"):
            held: Mask = (jd >= self.first) & (jd <= self.last)
        return held


def first_rows(
    pages: Iterator[pa.Table],
    most: int,
    keep: Callable[[pa.Table], Mask] | None = None,
    one_of_each_object: bool = False,
) -> tuple[pa.Table, bool]:
    """Read pages until there are enough rows.

    Parameters
    ----------
    pages : iterator of pyarrow.Table
        Rows in order; closed early where they are enough.
    most : int
        Rows wanted.
    keep : callable, optional
        Tells which rows of a page count.
    one_of_each_object : bool
        Whether only the first row of each object counts.

    Returns
    -------
    rows : pyarrow.Table
        No more than `most`, without columns if there are none.
    has_more : bool
        Whether there are more.
    """
    found: list[pa.Table] = []
    count = 0
    seen: set[str] = set()
    for page in pages:
        rows = page if keep is None else page.filter(pa.array(keep(page)))
        if one_of_each_object:
            rows = rows.take(pa.array(_unseen(rows, seen), pa.int64()))
        if len(rows):
            found.append(rows)
            count += len(rows)
        if count > most:
            break
    close = getattr(pages, "close", None)
    if close:
        close()
    rows = united(found)
    return (rows.slice(0, most) if count > most else rows), count > most


def page_for(rows: int, *, all_count: bool = True) -> int:
    """Return how many rows to fetch at once where so many are wanted; many if not all that are read count."""
    return min(max(rows + 1, LEAST_PAGE), LARGEST_PAGE) if all_count else LARGEST_PAGE


def numbers(rows: pa.Table, name: str) -> np.ndarray:
    """Return a column of numbers as float64, null as NaN; NaN everywhere if it is not there."""
    if name not in rows.column_names:
        return np.full(len(rows), np.nan)
    return np.asarray(rows[name].cast(pa.float64(), safe=False).to_numpy(), dtype=float)


def _unseen(rows: pa.Table, seen: set[str]) -> list[int]:
    fresh = []
    for number, name in enumerate(rows["i:objectId"].to_pylist()):
        if name not in seen:
            seen.add(name)
            fresh.append(number)
    return fresh
