"""The outline of a set of HEALPix pixels."""

from __future__ import annotations

from collections import defaultdict

import astropy.units as u
import numpy as np
from astropy_healpix import HEALPix

from fink_broker.alert.lightcurve import Ints

_FULL_TURN = 360.0
#: corners closer than this, as parts of a unit vector, are one (0.2″)
_SAME = 1e-6


def outline(pixels: Ints, order: int) -> list[list[tuple[float, float]]]:
    """Return the rings around pixels: borders two of them share are inside, and not drawn.

    Parameters
    ----------
    pixels : numpy.ndarray of int64
        Nested pixels.
    order : int
        Their order: nside is 2^order.

    Returns
    -------
    list of rings
        Corners (ra, dec) in degrees; holes are rings, too.
    """
    if not len(pixels):
        return []
    grid = HEALPix(nside=2**order, order="nested")
    lon, lat = (np.asarray(each.to_value(u.deg)) for each in grid.boundaries_lonlat(pixels, step=1))
    vectors = _vectors(lon, lat)
    _, first, corner = np.unique(
        np.round(vectors / _SAME).reshape(-1, 3), axis=0, return_index=True, return_inverse=True
    )
    corners = corner.reshape(lon.shape)
    begins, ends = corners.ravel(), np.roll(corners, -1, axis=1).ravel()
    edges = set(zip(begins.tolist(), ends.tolist(), strict=True))
    leads: dict[int, list[int]] = defaultdict(list)
    for begin, end in edges:
        if (end, begin) not in edges and begin != end:
            leads[begin].append(end)
    place = np.stack([lon.ravel()[first], lat.ravel()[first]], axis=1)
    return [[(float(ra) % _FULL_TURN, float(dec)) for ra, dec in place[ring]] for ring in _rings(leads)]


def area(pixels: Ints, order: int) -> float:
    """Return the area of pixels in square degrees."""
    return float(len(pixels) * HEALPix(nside=2**order, order="nested").pixel_area.to_value(u.deg**2))


def _vectors(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    across, up = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(up) * np.cos(across), np.cos(up) * np.sin(across), np.sin(up)], axis=-1)


def _rings(leads: dict[int, list[int]]) -> list[list[int]]:
    """Return the closed ways along edges; each edge is gone once."""
    rings = []
    while leads:
        start = next(iter(leads))
        ring = [start]
        at = start
        while at in leads:
            after = leads[at].pop()
            if not leads[at]:
                del leads[at]
            at = after
            if at == start:
                break
            ring.append(at)
        rings.append(ring)
    return rings
