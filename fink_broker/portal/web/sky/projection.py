"""From the sphere to the page.

References
----------
Snyder (1987), Map Projections: A Working Manual, USGS Professional Paper 1395: equations 22-4 and 22-5 (gnomonic), 31-1
to 31-4 (Mollweide).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Right ascension in the middle of an all-sky chart, degrees.
MIDDLE_RA = 180.0
#: Farthest a point may be from the centre of a tangent plane, degrees.
_FARTHEST = 80.0
_STEPS = 12


def mollweide(ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return where points are on an all-sky chart of equal areas, right ascension increasing to the left.

    Parameters
    ----------
    ra, dec : array_like of float
        Degrees; right ascensions outside 0 to 360 stay on the edge, so that outlines that were cut there close.

    Returns
    -------
    x, y : ndarray of float
        ``x`` from -2 (right ascension 360) to 2 (0), ``y`` from -1 to 1.
    """
    longitude = np.radians(np.clip(np.asarray(ra, dtype=float), 0.0, 360.0) - MIDDLE_RA)
    latitude = np.radians(np.clip(np.asarray(dec, dtype=float), -90.0, 90.0))
    longitude, latitude = np.broadcast_arrays(longitude, latitude)
    # θ solves 2θ + sin 2θ = π sin δ; Newton's steps would divide by zero at the poles
    theta = latitude.copy()
    wanted = math.pi * np.sin(latitude)
    for _ in range(_STEPS):
        slope = np.maximum(2 + 2 * np.cos(2 * theta), 1e-9)
        theta = np.clip(theta - (2 * theta + np.sin(2 * theta) - wanted) / slope, -math.pi / 2, math.pi / 2)
    return -2 / math.pi * longitude * np.cos(theta), np.sin(theta)


def tangent(ra: npt.ArrayLike, dec: npt.ArrayLike, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return offsets from a centre in degrees on its tangent plane, positive to the east and to the north.

    Points that are too far away to be on that plane become NaN.

    Parameters
    ----------
    ra, dec : array_like of float
        Degrees.
    centre : tuple of float
        Right ascension and declination of the centre, degrees.
    """
    longitude = np.radians(np.asarray(ra, dtype=float) - centre[0])
    latitude, middle = np.radians(np.asarray(dec, dtype=float)), math.radians(centre[1])
    cosine = math.sin(middle) * np.sin(latitude) + math.cos(middle) * np.cos(latitude) * np.cos(longitude)
    cosine = np.where(cosine > math.cos(math.radians(_FARTHEST)), cosine, np.nan)
    east = np.cos(latitude) * np.sin(longitude) / cosine
    north = (math.cos(middle) * np.sin(latitude) - math.sin(middle) * np.cos(latitude) * np.cos(longitude)) / cosine
    return np.degrees(east), np.degrees(north)


def middle_of(ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[tuple[float, float], float]:
    """Return the middle of points and the largest distance from it, all in degrees; of no points (0, 0) and 0."""
    longitude, latitude = np.radians(np.asarray(ra, dtype=float)), np.radians(np.asarray(dec, dtype=float))
    if not longitude.size:
        return (0.0, 0.0), 0.0
    units = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    mean = units.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:  # all around the sky: no direction is in the middle
        return (0.0, 0.0), 180.0
    mean /= length
    farthest = float(np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(units - mean, axis=1).max() / 2, 0, 1))))
    return (
        math.degrees(math.atan2(mean[1], mean[0])) % 360,
        math.degrees(math.asin(np.clip(mean[2], -1, 1))),
    ), farthest
