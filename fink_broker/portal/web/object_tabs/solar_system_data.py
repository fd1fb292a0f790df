"""What is known of the asteroid or comet behind an object: its alerts under all names, and its ephemerides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fink_broker.alert.lightcurve import Floats
from fink_broker.portal.client import ApiError
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.fits.phase_fit import COLUMNS
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.photometry import column

#: how an alert says that it is of no known object
NO_OBJECT = frozenset({"", "null", "nan", "None"})
ASKED = ("i:objectId", "i:candid", "i:jd", "i:fid", "i:magpsf", "i:sigmapsf", "i:ra", "i:dec", "i:ssnamenr")
#: ephemerides: of this column by band, if it is near the V magnitude; g − r of the Sun (Willmer 2018, ApJS 236, 47)
PREDICTED = {1: "SDSS:g", 2: "SDSS:r"}
_NEAR_V, SOLAR_COLOUR = 4.0, 0.46
_SEXAGESIMAL = r"^\s*([+-]?)(\d+)[\s:](\d+)[\s:]([\d.]+)\s*$"
_UNREACHABLE = frozenset({0, 502, 503, 504})


@dataclass(frozen=True)
class SolarSystemData:
    """Alerts of a solar system object.

    Parameters
    ----------
    name : str
        As its alerts name it.
    rows : pandas.DataFrame
        Its alerts by time under all its names, with ephemerides beside them where there are any; not to be changed.
    has_ephemerides : bool
        Whether there are.
    trouble : str
        Why there are none; empty if there are.
    """

    name: str
    rows: pd.DataFrame
    has_ephemerides: bool
    trouble: str = ""

    def official(self, name: str) -> str:
        """Return the official name (``sso_name``) or number (``sso_number``), empty if it is not known."""
        known = [] if name not in self.rows else self.rows[name].dropna().tolist()
        return str(known[0]).removesuffix(".0") if known else ""


def known_name(alerts: pd.DataFrame) -> str:
    """Return the name all alerts of an object agree on, empty if they do not, or name none."""
    if "i:ssnamenr" not in alerts:
        return ""
    names = {str(name).strip() for name in alerts["i:ssnamenr"]}
    return "" if len(names) != 1 or names & NO_OBJECT else names.pop()


def read_solar_system(api: Api, data: ObjectData) -> SolarSystemData:
    """Return all alerts of the asteroid or comet that an object is, with ephemerides where they can be had.

    Raises
    ------
    ApiError
        If the API does not answer. A provider of ephemerides that is away, or a name nobody knows, is no error.
    """
    name = known_name(data.alerts)
    try:
        rows = api.rows("sso", n_or_d=name, withEphem="True", columns=ASKED)
        return SolarSystemData(name, rows.sort_values("i:jd", kind="stable"), has_ephemerides=True)
    except ApiError as error:
        if error.status in _UNREACHABLE:
            raise
        trouble = error.message.strip()
    try:
        rows = api.rows("sso", n_or_d=name, columns=ASKED)
    except ApiError as error:
        if error.status in _UNREACHABLE:
            raise
        rows, trouble = data.alerts, error.message.strip()
    return SolarSystemData(name, rows.sort_values("i:jd", kind="stable"), has_ephemerides=False, trouble=trouble)


def predicted(rows: pd.DataFrame, band: int) -> Floats:
    """Return the magnitudes ephemerides give for a band, those in V where they have no colour."""
    in_v = column(rows, "VMag")
    of_band = column(rows, PREDICTED.get(band, "VMag"))
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(of_band - in_v) < _NEAR_V, of_band, in_v)


def colour(rows: pd.DataFrame) -> Floats:
    """Return g − r (mag) of ephemerides, that of the Sun where they have none."""
    found = predicted(rows, 1) - predicted(rows, 2)
    return np.where(np.isfinite(found) & (found != 0), found, SOLAR_COLOUR)


def offsets(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return observed minus predicted positions: Δα cos δ and Δδ in arcsec, NaN where there is no prediction."""
    ra = degrees(rows["RA"], hours=True) if "RA" in rows else np.full(len(rows), np.nan)
    name = next((name for name in ("Dec", "DEC") if name in rows), None)
    dec = degrees(rows[name]) if name else np.full(len(rows), np.nan)
    turned = (column(rows, "i:ra") - ra + 180.0) % 360.0 - 180.0
    return turned * np.cos(np.deg2rad(dec)) * 3600.0, (column(rows, "i:dec") - dec) * 3600.0


def degrees(angles: pd.Series, *, hours: bool = False) -> Floats:
    """Return angles in degrees; texts are sexagesimal, in hours where that is said.

    Parameters
    ----------
    angles : pandas.Series
        Numbers in degrees, or texts as ``+10 54 17.78``; what is neither becomes NaN.
    hours : bool
        Whether texts are hours, minutes and seconds.
    """
    numbers = pd.to_numeric(angles, errors="coerce").to_numpy(np.float64)
    parts = angles.astype(str).str.extract(_SEXAGESIMAL)
    whole, minutes, seconds = (
        pd.to_numeric(parts[number], errors="coerce").to_numpy(np.float64) for number in (1, 2, 3)
    )
    read = np.where(parts[0] == "-", -1.0, 1.0) * (whole + minutes / 60.0 + seconds / 3600.0) * (15.0 if hours else 1.0)
    return np.where(np.isfinite(numbers), numbers, read)


def phase_points(rows: pd.DataFrame) -> dict[str, list[float]]:
    """Return what a phase curve is fitted to: lists named as `COLUMNS`, of rows that have all of it."""
    columns = ("i:magpsf_red", "i:sigmapsf", "i:fid", "Phase", "i:ra", "i:dec")
    arrays = [*(column(rows, name) for name in columns), colour(rows)]
    good = np.logical_and.reduce([np.isfinite(array) for array in arrays])
    return {name: array[good].tolist() for name, array in zip(COLUMNS, arrays, strict=True)}
