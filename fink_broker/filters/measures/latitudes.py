"""Galactic and ecliptic latitude of positions: how far from the crowded planes of stars and of asteroids.

Both are the arcsine of one scalar product with a pole. Constants are those of the transformations of astropy 8
(ERFA), of which the galactic latitude is equal to rounding; the ecliptic latitude is equal within 0.1″ beyond 5° from
the place of the Sun at J2000, whose bending of light is left out.
"""

from __future__ import annotations

import numpy as np

from fink_broker.alert.lightcurve import Floats

#: Unit vector to the north galactic pole, ICRS (ra 192.85947789°, dec 27.12825241°).
_GALACTIC_POLE = np.array([-0.8676661375596585, -0.1980763372730006, 0.4559838136873021])
#: Unit vector to the pole of the mean ecliptic of J2000.0 in the GCRS: ERFA ``ecm06`` (Capitaine & Wallace 2006, A&A
#: 450, 855), third row.
_ECLIPTIC_POLE = np.array([-1.0207044725484355e-07, -0.39777699944404304, 0.91748212991495559])
#: Velocity of the Earth at J2000.0 in units of that of light: ERFA ``epv00``. Geocentric directions are aberrated by
#: it, up to 20″.
_EARTH_VELOCITY = np.array([-9.9351888883049365e-05, -1.6777453017769987e-05, -7.2738467875739607e-06])


def galactic_latitude(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return the galactic latitude b (degrees) of ICRS positions (degrees), shape (n,); NaN of NaN."""
    return _latitude(_directions(ra_deg, dec_deg), _GALACTIC_POLE)


def ecliptic_latitude(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return the geocentric mean ecliptic latitude β at J2000.0 (degrees) of ICRS positions (degrees), shape (n,)."""
    seen = _directions(ra_deg, dec_deg) + _EARTH_VELOCITY
    return _latitude(seen / np.linalg.norm(seen, axis=1)[:, np.newaxis], _ECLIPTIC_POLE)


def _latitude(directions: Floats, pole: Floats) -> Floats:
    return np.degrees(np.arcsin(np.clip(directions @ pole, -1.0, 1.0)))


def _directions(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return unit vectors, shape (n, 3); NaN for a position that is not finite."""
    with np.errstate(invalid="ignore"):
        ra, dec = np.radians(ra_deg), np.radians(dec_deg)
        return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
