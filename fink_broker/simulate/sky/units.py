"""Magnitudes, fluxes, distances and angles of the synthetic sky."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: AB magnitude of a flux of one microjansky
ZERO_POINT = 23.9
#: magnitudes of a relative error of one: 2.5 / ln 10
POGSON = 2.5 / math.log(10.0)
#: filter numbers of ZTF
BAND_G, BAND_R, BAND_I = 1, 2, 3
#: effective wavelengths (Å) of g, r, i of the ZTF filters (SVO Filter Profile Service, rounded), index fid - 1
WAVELENGTHS = np.array([4723.0, 6340.0, 7886.0])
#: jd of the epoch J2000.0 (days)
JD_J2000 = 2451545.0
#: seconds of a day
DAY = 86400.0

_SPEED_OF_LIGHT = 299792.458  # km/s
_HUBBLE = 70.0  # km/s/Mpc
_MATTER = 0.3


def flux_of(mag: Any) -> Any:
    """Return the flux (µJy) of an AB magnitude."""
    return 10.0 ** (-0.4 * (mag - ZERO_POINT))


def mag_of(flux: Any) -> Any:
    """Return the AB magnitude of a flux (µJy) above zero."""
    return ZERO_POINT - 2.5 * np.log10(flux)


def _distance_table() -> tuple[Floats, Floats]:
    """Return redshifts and luminosity distances (Mpc) of a flat ΛCDM universe with H0 = 70 km/s/Mpc, Ωm = 0.3."""
    redshift = np.linspace(0.0, 3.0, 3001)
    inverse_rate = 1.0 / np.sqrt(_MATTER * (1 + redshift) ** 3 + 1 - _MATTER)
    steps = 0.5 * (inverse_rate[1:] + inverse_rate[:-1]) * np.diff(redshift)
    comoving = np.concatenate([[0.0], np.cumsum(steps)]) * _SPEED_OF_LIGHT / _HUBBLE
    return redshift, comoving * (1 + redshift)


_REDSHIFT, _DISTANCE = _distance_table()


def distance_modulus(redshift: float) -> float:
    """Return apparent minus absolute magnitude at a redshift in (0, 3], flat ΛCDM (70 km/s/Mpc, Ωm = 0.3)."""
    return float(5.0 * np.log10(np.interp(redshift, _REDSHIFT, _DISTANCE)) + 25.0)


def nearby_redshift(rng: np.random.Generator, largest: float) -> float:
    """Return a redshift below `largest`, as sources spread evenly in nearby space have."""
    return float(max(largest * rng.random() ** (1.0 / 3.0), 1e-3))


def moved(ra: float, dec: float, east: float, north: float) -> tuple[float, float]:
    """Return a position (deg) shifted by small angles east and north (arcsec); ra stays in [0, 360)."""
    dec_new = min(max(dec + north / 3600.0, -90.0), 90.0)
    ra_new = (ra + east / 3600.0 / max(math.cos(math.radians(dec)), 1e-6)) % 360.0
    return ra_new, dec_new
