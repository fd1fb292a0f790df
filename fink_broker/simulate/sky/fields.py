"""The survey's fields on the sky, and where a pixel of one of its 64 readout channels looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from fink_broker.simulate.sky.units import JD_J2000

#: arcsec of a pixel; a channel has 3072 × 3080 pixels
PIXEL = 1.0125
WIDTH, HEIGHT = 3072, 3080
#: Distance of neighbouring channel centres in the focal plane (deg): 4 × 4 detectors of 2 × 2 channels, with gaps
_PITCH = 0.90
_ROW_STEP = 7.2
_SOUTH, _NORTH = -26.0, 83.0
_PLANE = 8.0  # deg of galactic latitude left out
_PALOMAR_EAST = -116.86


@dataclass(frozen=True)
class Field:
    """One pointing: number and centre (deg)."""

    number: int
    ra: float
    dec: float


@lru_cache(maxsize=1)
def all_fields() -> tuple[Field, ...]:
    """Return all fields: rows 7.2° apart, numbered from the south, from -26° to 83° and off the galactic plane.

    A grid like ZTF's own, not the same: numbers and centres differ.
    """
    fields = []
    number = 245
    row = 0
    while (dec := _SOUTH + row * _ROW_STEP) <= _NORTH:
        columns = max(1, math.ceil(360.0 * math.cos(math.radians(dec)) / _ROW_STEP))
        for column in range(columns):
            number += 1
            ra = (column + 0.5 * (row % 2)) * 360.0 / columns
            if abs(galactic_latitude(ra, dec)) > _PLANE:
                fields.append(Field(number, ra, dec))
        row += 1
    return tuple(fields)


def galactic_latitude(ra: float, dec: float) -> float:
    """Return the galactic latitude (deg) of a J2000 position (deg)."""
    pole_ra, pole_dec = math.radians(192.85948), math.radians(27.12825)
    a, d = math.radians(ra), math.radians(dec)
    sine = math.sin(d) * math.sin(pole_dec) + math.cos(d) * math.cos(pole_dec) * math.cos(a - pole_ra)
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def sidereal_angle(jd: float) -> float:
    """Return the right ascension (deg) on the meridian of Palomar at a time jd (days, UTC; Meeus 1998, eq. 12.4)."""
    return (280.46061837 + 360.98564736629 * (jd - JD_J2000) + _PALOMAR_EAST) % 360.0


def hour_angle(field: Field, jd: float) -> float:
    """Return how far west of the meridian a field is (hours, -12 to 12)."""
    return ((sidereal_angle(jd) - field.ra + 180.0) % 360.0 - 180.0) / 15.0


def sun_elongation(field: Field, jd: float) -> float:
    """Return the angle (deg) between a field and the Sun (low-precision position, Astronomical Almanac)."""
    days = jd - JD_J2000
    anomaly = math.radians(357.528 + 0.9856003 * days)
    longitude = math.radians(280.460 + 0.9856474 * days + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439)
    x, y, z = math.cos(longitude), math.cos(tilt) * math.sin(longitude), math.sin(tilt) * math.sin(longitude)
    a, d = math.radians(field.ra), math.radians(field.dec)
    cosine = x * math.cos(d) * math.cos(a) + y * math.cos(d) * math.sin(a) + z * math.sin(d)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def moon_illumination(jd: float) -> float:
    """Return the lit part of the Moon (0 to 1) from its mean phase at jd (days)."""
    return 0.5 * (1.0 - math.cos(2 * math.pi * (jd - 2451550.1) / 29.530588853))


def pixel_to_sky(field: Field, channel: int, x: float, y: float) -> tuple[float, float]:
    """Return the position (ra, dec in deg) of a pixel of a readout channel, by gnomonic projection.

    Parameters
    ----------
    field : Field
        The pointing.
    channel : int
        Readout channel, 0 to 63: detector = channel // 4, quadrant = channel % 4.
    x, y : float
        Pixel coordinates; x grows to the west, y to the north.
    """
    detector, quadrant = divmod(channel, 4)
    column = 2 * (detector % 4) + (quadrant in (1, 2))
    row = 2 * (detector // 4) + (quadrant in (0, 1))
    west = (column - 3.5) * _PITCH + (x - WIDTH / 2) * PIXEL / 3600.0
    north = (row - 3.5) * _PITCH + (y - HEIGHT / 2) * PIXEL / 3600.0
    xi, eta = math.radians(-west), math.radians(north)
    d = math.radians(field.dec)
    scale = math.cos(d) - eta * math.sin(d)
    ra = math.radians(field.ra) + math.atan2(xi, scale)
    dec = math.atan2(math.sin(d) + eta * math.cos(d), math.hypot(xi, scale))
    return math.degrees(ra) % 360.0, math.degrees(dec)
