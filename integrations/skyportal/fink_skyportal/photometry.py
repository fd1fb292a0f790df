"""The light curve of an alert as SkyPortal takes it: fluxes in µJy, which may be negative, and upper limits.

Fluxes and not magnitudes are posted, because a source fainter than its reference image has no magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .alerts.light_curve import Point, points

#: AB magnitude of 1 µJy: that of 3631 Jy is 0 (Oke & Gunn 1983, ApJ 266, 713), to one decimal as SkyPortal uses it
ZERO_POINT = 23.9
#: ``fid`` of a packet and the names of the bands
FILTERS = {1: "ztfg", 2: "ztfr", 3: "ztfi"}
_FILTER_OF_BAND = {"g": "ztfg", "r": "ztfr", "i": "ztfi"}
_MJD_ZERO = 2400000.5
#: decimals of a modified Julian date: 1 ms; the last digits of the difference of two doubles mean nothing
_MJD_DECIMALS = 8
#: significance at which the limiting magnitude of a ZTF packet is given
_LIMIT_SIGMA = 5.0


@dataclass(frozen=True)
class PhotometryRow:
    """One point of a light curve.

    Parameters
    ----------
    mjd : float
        Time of the exposure, modified Julian date in days (UTC).
    filter : str
        ``ztfg``, ``ztfr`` or ``ztfi``.
    mag, magerr : float or None
        Magnitude of the difference image (AB) and its error; None for an upper limit.
    limiting_mag : float
        Magnitude (AB) of a source of 5 σ.
    ra, dec : float or None
        Position in degrees; None for an upper limit.
    flux : float or None
        Flux of the difference image, negative if it lies below the reference; None for an upper limit.
    fluxerr : float
        Its error; for an upper limit that of the exposure.
    zp : float
        AB magnitude of a flux of 1; 23.9 makes it µJy.
    """

    mjd: float
    filter: str
    mag: float | None
    magerr: float | None
    limiting_mag: float
    ra: float | None
    dec: float | None
    flux: float | None
    fluxerr: float
    zp: float = ZERO_POINT


def photometry(alert: Mapping[str, Any]) -> tuple[PhotometryRow, ...]:
    """Return the light curve of an alert, its history included, by time.

    Rows of the same time and magnitude are one (a history may repeat the alert itself), and what was measured in an
    exposure of no limiting magnitude is left out.

    Parameters
    ----------
    alert : mapping
        The decoded message.
    """
    rows: dict[tuple[float, float | None], PhotometryRow] = {}
    for point in points(alert):
        row = _row(point)
        if row is not None:
            rows.setdefault((row.mjd, row.mag), row)
    return tuple(sorted(rows.values(), key=lambda row: row.mjd))


def flux_of(magnitude: float, is_positive: bool) -> float:
    """Return the flux (µJy) of an AB magnitude, negative if the source is fainter than the reference image."""
    flux = 10.0 ** (-0.4 * (magnitude - ZERO_POINT))
    return flux if is_positive else -flux


def flux_error_of(magnitude_error: float, flux: float) -> float:
    """Return the error of a flux (in its unit) from that of its magnitude: σ_m |f| ln 10 / 2.5, to first order."""
    return magnitude_error * abs(flux) * math.log(10.0) / 2.5


def limit_error_of(limiting_magnitude: float) -> float:
    """Return the error (µJy) of a flux in an exposure that shows sources of 5 σ down to an AB magnitude."""
    return flux_of(limiting_magnitude, True) / _LIMIT_SIGMA


def _row(point: Point) -> PhotometryRow | None:
    mjd, band = round(point.jd - _MJD_ZERO, _MJD_DECIMALS), _FILTER_OF_BAND[point.band]
    try:
        if point.limit is None:
            return None
        if point.magnitude is None or point.error is None:
            error = limit_error_of(point.limit)
            row = PhotometryRow(mjd, band, None, None, point.limit, None, None, None, error)
        else:
            flux = flux_of(point.magnitude, point.is_positive)
            error = flux_error_of(point.error, flux)
            row = PhotometryRow(mjd, band, point.magnitude, point.error, point.limit, point.ra, point.dec, flux, error)
    except OverflowError:  # a magnitude of some hundreds below 0
        return None
    return row if math.isfinite(row.fluxerr) and row.fluxerr > 0 else None
