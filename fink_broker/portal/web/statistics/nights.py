"""Counts of alerts by night, as the API gives them: read, checked, summed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from fink_broker.portal.class_names import FINK_CLASSES
from fink_broker.portal.web.api import Api

RAW, SCIENCE = "basic:raw", "basic:sci"
SIMBAD, UNKNOWN = "class:simbad_tot", "class:Unknown"
#: of all nights, for the header, the calendars and the classes over time
OVERVIEW = (RAW, SCIENCE, SIMBAD, UNKNOWN, *(f"class:{name}" for name in FINK_CLASSES))
#: totals are since then
FIRST_NIGHT = date(2019, 11, 1)
KEY = "key:key"
_KEY = re.compile(r"[a-z]+_(\d{8})")
_NIGHT = re.compile(r"\d{4}-?\d{2}-?\d{2}", re.ASCII)
_COLUMN = re.compile(r"(basic|class):[^,\x00-\x1f\x7f]{1,80}")
#: what columns without a class are
MEANINGS = {
    "basic:raw": "Alerts received",
    "basic:sci": "Alerts processed",
    "basic:n_g": "Alerts in g",
    "basic:n_r": "Alerts in r",
    "basic:exposures": "Exposures",
    "basic:fields": "Fields",
    "class:simbad_tot": "At a source of SIMBAD",
    "class:simbad_gal": "At a galaxy of SIMBAD",
}


@dataclass(frozen=True)
class Totals:
    """Sums over nights.

    Parameters
    ----------
    alerts : int
        Processed alerts.
    classified : int
        Those of a class.
    unclassified : int
        Those whose class is unknown.
    """

    alerts: int
    classified: int
    unclassified: int


def read_nights(api: Api, columns: Sequence[str] | None = OVERVIEW, night: date | None = None) -> pd.DataFrame:
    """Return counts of nights.

    Parameters
    ----------
    api : Api
        Who knows.
    columns : sequence of str, optional
        Which counts; None: all.
    night : date, optional
        One night; default: all.

    Returns
    -------
    pandas.DataFrame
        Integers, indexed by the date of the night (``datetime64``), by time.

    Raises
    ------
    ApiError
        If the API does not answer, or nothing is counted under such a name.
    """
    asked = "" if night is None else night.strftime("%Y%m%d")
    rows = api.rows("statistics", date=asked, columns=columns)
    if rows.empty or KEY not in rows:
        return pd.DataFrame(index=pd.DatetimeIndex([]), columns=list(columns or ()), dtype=np.int64)
    texts = rows[KEY].astype(str).str.extract(_KEY)[0]
    dates = pd.to_datetime(texts, format="%Y%m%d", errors="coerce")
    counted = rows[[name for name in rows if str(name).partition(":")[0] in ("basic", "class")]]
    numbers = counted.apply(pd.to_numeric, errors="coerce").fillna(0).astype(np.int64)
    return numbers.set_axis(pd.DatetimeIndex(dates))[dates.notna().to_numpy()].sort_index()


def column_names(api: Api) -> list[str]:
    """Return all that is counted, in any night: the basics first; raises ApiError."""
    rows = api.rows("statistics", date="", schema="True")
    names = [str(name) for name in rows["schema"]] if "schema" in rows else []
    return sorted(filter(is_column, names), key=lambda name: (not name.startswith("basic:"), name.lower()))


def is_column(name: str) -> bool:
    """Tell whether a name can be that of a count."""
    return _COLUMN.fullmatch(name) is not None


def night_of(text: str | None) -> date | None:
    """Return the night that a text names, as 20240901 or 2024-09-01, None if it names none."""
    if text is None or not _NIGHT.fullmatch(text):
        return None
    try:
        return datetime.strptime(text.replace("-", ""), "%Y%m%d").date()
    except ValueError:
        return None


def totals(nights: pd.DataFrame) -> Totals:
    """Return sums since `FIRST_NIGHT`."""
    since = nights[nights.index >= pd.Timestamp(FIRST_NIGHT)]
    alerts, unknown = int(since[SCIENCE].sum()), int(since[UNKNOWN].sum())
    return Totals(alerts, alerts - unknown, unknown)


def years_of(nights: pd.DataFrame | pd.Series) -> npt.NDArray[np.int64]:
    """Return the year of each night."""
    return np.asarray(pd.DatetimeIndex(nights.index).year, dtype=np.int64)


def timeline(nights: pd.DataFrame, column: str, *, cumulative: bool = False, percentage: bool = False) -> pd.Series:
    """Return a count over time.

    Parameters
    ----------
    nights : pandas.DataFrame
        With the column and ``basic:sci``.
    column : str
        What is counted.
    cumulative : bool
        Whether each night has the sum of all until then.
    percentage : bool
        Whether it is in percent of the processed alerts, summed alike; NaN in nights without any.
    """
    counts, processed = nights[column].astype(np.float64), nights[SCIENCE].astype(np.float64)
    if cumulative:
        counts, processed = counts.cumsum(), processed.cumsum()
    return 100.0 * counts / processed.where(processed > 0) if percentage else counts


def classes_over_time(nights: pd.DataFrame, every: str) -> pd.DataFrame:
    """Return processed alerts by class: one column a class of the broker, SIMBAD's together, and Unknown.

    Parameters
    ----------
    nights : pandas.DataFrame
        With the columns of `OVERVIEW`.
    every : {"D", "MS", "YS"}
        What a row is: a night, a month, a year.
    """
    own = [f"class:{name}" for name in FINK_CLASSES if f"class:{name}" in nights]
    found = nights[[*own, UNKNOWN]].rename(columns=lambda name: name.removeprefix("class:"))
    others = (nights[SCIENCE] - nights[[*own, UNKNOWN]].sum(axis=1)).clip(lower=0)
    found.insert(len(own), "SIMBAD", others)
    found = found if every == "D" else found.resample(every).sum()
    return found.loc[:, found.sum() > 0]


def label_of(column: str) -> str:
    """Return a name of a count for visitors."""
    return MEANINGS.get(column, column.removeprefix("class:"))


def read_one_night(api: Api, night: date) -> pd.Series | None:
    """Return all counts of one night, None if there are none; raises ApiError."""
    found = read_nights(api, None, night)
    return None if found.empty else found.iloc[0]
