"""Photometry of an object as plots and fits take it: of the difference image, or of the source itself.

A difference image shows what was added to, or is missing from, the source of the reference image. Where there is such a
source within `BEHIND_ARCSEC`, its magnitude makes the difference an apparent magnitude (Förster et al. 2021,
AJ 161, 242); where there is none, the difference is all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from fink_broker.alert import photometry
from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.alert.photometry import MAG_PER_RELATIVE_ERROR, ZERO_POINT_JY

if TYPE_CHECKING:
    from fink_broker.portal.web.object_data import ObjectData

#: A source of the reference image nearer than this is the one that varies (arcsec).
BEHIND_ARCSEC = 1.5
#: Apparent magnitudes that are no better known than this say nothing (mag).
LARGEST_ERROR = 1.0
#: of a Jansky
MILLIJANSKY = 1e3


def is_source_behind(alerts: pd.DataFrame) -> bool:
    """Tell whether the reference image has a source at the place of an object.

    Parameters
    ----------
    alerts : pandas.DataFrame
        Alerts by time, with ``i:distnr`` (arcsec); the latest one that knows the distance decides.
    """
    distance = column(alerts, "i:distnr")
    known = distance[np.isfinite(distance) & (distance >= 0)]
    return bool(len(known) and known[-1] < BEHIND_ARCSEC)


def difference_magnitudes(alerts: pd.DataFrame) -> pd.DataFrame:
    """Return magnitudes in the difference image, with the index of the alerts.

    Returns
    -------
    pandas.DataFrame
        Columns jd (days), fid, mag and error (AB mag); rows without a magnitude are left out.
    """
    return _frame(alerts, mag=column(alerts, "i:magpsf"), error=column(alerts, "i:sigmapsf"))


def difference_flux(alerts: pd.DataFrame) -> pd.DataFrame:
    """Return the flux in the difference image, negative where the source was fainter than in the reference.

    Returns
    -------
    pandas.DataFrame
        Columns jd (days), fid, flux and error (mJy), with the index of the alerts.
    """
    size = 10.0 ** (-0.4 * column(alerts, "i:magpsf")) * ZERO_POINT_JY * MILLIJANSKY
    error = column(alerts, "i:sigmapsf") / MAG_PER_RELATIVE_ERROR * size
    return _frame(alerts, flux=np.where(is_positive(alerts), size, -size), error=error)


def apparent_magnitudes(alerts: pd.DataFrame) -> pd.DataFrame:
    """Return apparent magnitudes (`fink_broker.alert.photometry.dc_mag`), with the index of the alerts.

    Parameters
    ----------
    alerts : pandas.DataFrame
        Columns ``i:jd``, ``i:fid``, ``i:magpsf``, ``i:sigmapsf``, ``i:magnr``, ``i:sigmagnr``, ``i:isdiffpos``.

    Returns
    -------
    pandas.DataFrame
        Columns jd (days), fid, mag and error (AB mag); rows with an error of `LARGEST_ERROR` or more, or without a
        magnitude, are left out.
    """
    magnitude, error = photometry.dc_mag(*_measured(alerts))
    found = _frame(alerts, mag=magnitude, error=error)
    return found[found["error"] < LARGEST_ERROR]


def apparent_flux(alerts: pd.DataFrame) -> pd.DataFrame:
    """Return the apparent flux (`fink_broker.alert.photometry.dc_flux`), with the index of the alerts.

    Parameters
    ----------
    alerts : pandas.DataFrame
        As for :func:`apparent_magnitudes`.

    Returns
    -------
    pandas.DataFrame
        Columns jd (days), fid, flux and error (mJy); rows without a flux are left out.
    """
    flux, error = photometry.dc_flux(*_measured(alerts))
    return _frame(alerts, flux=flux * ZERO_POINT_JY * MILLIJANSKY, error=error * ZERO_POINT_JY * MILLIJANSKY)


def magnitudes_for_fit(data: ObjectData) -> tuple[pd.DataFrame, bool]:
    """Return the magnitudes fits use, and whether they are apparent ones.

    Returns
    -------
    pandas.DataFrame
        Columns jd (days), fid, mag and error (AB mag): apparent magnitudes where a source is behind, else those of the
        difference image.
    bool
        Whether a source is behind.
    """
    is_behind = is_source_behind(data.alerts)
    found = apparent_magnitudes(data.alerts) if is_behind else difference_magnitudes(data.alerts)
    return found.reset_index(drop=True), is_behind


def is_positive(alerts: pd.DataFrame) -> Mask:
    """Tell for each alert whether it is brighter than the reference image; one that does not say counts as brighter."""
    if "i:isdiffpos" not in alerts:
        return np.ones(len(alerts), dtype=bool)
    stated = alerts["i:isdiffpos"]
    known = stated.notna().to_numpy() & (stated.to_numpy() != "")
    return photometry.is_positive(pa.array(stated.astype(str).to_numpy(), pa.string())) | ~known


def column(rows: pd.DataFrame, name: str) -> Floats:
    """Return a column as float64, NaN where it is missing; NaN everywhere if there is no such column."""
    if name not in rows:
        return np.full(len(rows), np.nan)
    return np.asarray(pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def _measured(alerts: pd.DataFrame) -> tuple[Floats, Floats, Floats, Floats, Mask]:
    names = ("i:magpsf", "i:sigmapsf", "i:magnr", "i:sigmagnr")
    magpsf, sigmapsf, magnr, sigmagnr = (column(alerts, name) for name in names)
    return magpsf, sigmapsf, magnr, sigmagnr, is_positive(alerts)


def _frame(alerts: pd.DataFrame, **values: Floats) -> pd.DataFrame:
    """Return columns jd, fid and others, without the rows that have no value."""
    fid = np.nan_to_num(column(alerts, "i:fid")).astype(np.int64)
    found = pd.DataFrame({"jd": column(alerts, "i:jd"), "fid": fid, **values}, index=alerts.index)
    return found.dropna()
