"""In which constellation a position lies, for whole columns of positions.

The answer is that of ``astropy.coordinates.get_constellation``: positions are taken to the geocentric frame of J2000,
precessed to B1875, and looked up among the boundaries of Delporte (1930) as tabulated by Roman (1987, PASP 99, 695).
Astropy builds frames and coordinates at every call; here the same steps work on plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import erfa  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from astropy.utils.data import get_pkg_data_contents

from fink_broker.alert.lightcurve import Floats
from fink_broker.alert.sky import on_sky

_PACKAGE = "astropy.coordinates"
_BESSELIAN_EPOCH = 1875.0
#: Positions compared with all boundaries at once: 357 comparisons each.
_PIECE = 4096


@dataclass(frozen=True)
class _Boundaries:
    """Strips of the sky, from north to south: the first that holds a position tells its constellation.

    Parameters
    ----------
    west, east : numpy.ndarray
        Right ascension of B1875 in hours, shape (k,).
    south : numpy.ndarray
        Declination of B1875 in degrees, shape (k,).
    names : numpy.ndarray of str
        Full names, shape (k,).
    """

    west: Floats
    east: Floats
    south: Floats
    names: npt.NDArray[Any]


def constellation_names(ra_deg: Floats, dec_deg: Floats) -> npt.NDArray[Any]:
    """Return the full IAU name of the constellation of each position, None where there is no such position.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        ICRS positions in degrees, shape (n,).

    Returns
    -------
    numpy.ndarray of object
        Names, shape (n,).
    """
    names = np.full(len(ra_deg), None, dtype=object)
    there = np.flatnonzero(on_sky(ra_deg, dec_deg))
    for start in range(0, len(there), _PIECE):
        rows = there[start : start + _PIECE]
        names[rows] = _look_up(*_of_1875(ra_deg[rows], dec_deg[rows]))
    return names


def _of_1875(ra_deg: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
    """Return right ascension (hours) and declination (degrees) of B1875, geocentric."""
    sun_and_earth, precession = _frames()
    direction = erfa.s2c(np.radians(ra_deg), np.radians(dec_deg))
    bent = erfa.ldsun(direction, sun_and_earth["eh"], sun_and_earth["em"])
    apparent = erfa.ab(bent, sun_and_earth["v"], sun_and_earth["em"], sun_and_earth["bm1"])
    longitude, latitude = erfa.c2s(apparent @ precession.T)
    return np.degrees(erfa.anp(longitude)) / 15.0, np.degrees(latitude)


@cache
def _frames() -> tuple[Any, Floats]:
    """Return where Sun and Earth are at J2000 for star-independent astrometry, and the rotation from J2000 to B1875."""
    observer_at_geocentre = np.zeros((), dtype=erfa.dt_pv)
    astrometry = erfa.apcs13(erfa.DJ00, 0.0, observer_at_geocentre)
    return astrometry, erfa.pmat06(*erfa.epb2jd(_BESSELIAN_EPOCH))


def _look_up(ra_hours: Floats, dec_deg: Floats) -> npt.NDArray[Any]:
    strips = _boundaries()
    ra, dec = ra_hours[:, np.newaxis], dec_deg[:, np.newaxis]
    inside = (strips.west <= ra) & (ra < strips.east) & (dec > strips.south)
    return strips.names[np.argmax(inside, axis=1)]


@cache
def _boundaries() -> _Boundaries:
    """Read the boundaries and names that come with astropy."""
    full = {
        line[:3]: line[4:].strip()
        for line in _lines("data/constellation_names.dat", "UTF8")
        if not line.startswith("#")
    }
    rows = [line.split() for line in _lines("data/constellation_data_roman87.dat", "ascii") if not line.startswith("#")]
    west, east, south = np.array([row[:3] for row in rows], dtype=float).T
    south[-1] = -np.inf  # the last strip is the cap around the south pole, the pole itself included
    return _Boundaries(west, east, south, np.array([full[row[3]] for row in rows], dtype=object))


def _lines(path: str, encoding: str) -> list[str]:
    return [
        line for line in get_pkg_data_contents(path, package=_PACKAGE, encoding=encoding).splitlines() if line.strip()
    ]
