"""Discs and pixels on the sky as ranges of keys.

The table of positions is sorted by nested HEALPix pixels of order 12 (Górski et al. 2005, ApJ 622, 759). A pixel of a
lower order is a run of these, and so is the part of a disc in a run of neighbours: a disc of any size is a few ranges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from astropy_healpix import healpy as healpix
from astropy_healpix import neighbours

from fink_broker.alert.lightcurve import Floats
from fink_broker.alert.sky import ARCSEC, on_sky, separation_arcsec
from fink_broker.archive.hbase.keys import PIXEL_DIGITS, PIXEL_ORDER
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.errors import DataError

Pixels = npt.NDArray[np.int64]

#: Scans a disc may cost: more ranges would follow its edge more closely, but each is a request.
MOST_RANGES = 16
#: Pixels beyond which a disc is followed no closer: the whole sky is one range at any order.
_MOST_PIXELS = 1024
#: Points a side of a pixel is sampled at where it is decided whether it meets a disc.
_SIDE_POINTS = 16
#: Rounding of positions of pixels, arcsec; generous.
_ROUNDING = 1e-3


def pixels_of(ra_deg: Floats, dec_deg: Floats) -> Pixels:
    """Return the nested pixels of order `PIXEL_ORDER` positions (degrees) are filed under.

    Raises
    ------
    DataError
        If one is not on the sky; see ``alert.sky.on_sky``.
    """
    ra, dec = np.asarray(ra_deg, dtype=float), np.asarray(dec_deg, dtype=float)
    if not on_sky(ra, dec).all():
        raise DataError("A position is not on the sky.", "ra is 0 to 360 degrees, dec -90 to 90.")
    return _pixels(PIXEL_ORDER, ra, dec)


def _pixels(order: int, ra: Floats, dec: Floats) -> Pixels:
    return np.asarray(healpix.ang2pix(2**order, np.mod(ra, 360.0), dec, nest=True, lonlat=True), dtype=np.int64)


def pixel_ranges(order: int, pixels: Sequence[int] | Pixels) -> list[KeyRange]:
    """Return ranges of keys that hold exactly some nested pixels of an order up to `PIXEL_ORDER`; neighbours joined.

    Raises
    ------
    DataError
        If there is no such pixel.
    """
    wanted = np.unique(np.asarray(pixels, dtype=np.int64))
    if not 0 <= order <= PIXEL_ORDER or (len(wanted) and not 0 <= wanted[0] <= wanted[-1] < 12 * 4**order):
        raise DataError(f"There is no such pixel of order {order}.", f"Orders are 0 to {PIXEL_ORDER}, pixels nested.")
    gaps = np.flatnonzero(np.diff(wanted) > 1)
    starts, stops = (np.append(0, gaps + 1), np.append(gaps, len(wanted) - 1)) if len(wanted) else (gaps, gaps)
    scale = 4 ** (PIXEL_ORDER - order)
    return [
        KeyRange(_digits(int(wanted[first]) * scale), _digits((int(wanted[last]) + 1) * scale))
        for first, last in zip(starts, stops, strict=True)
    ]


def _digits(pixel: int) -> bytes:
    return f"{pixel:0{PIXEL_DIGITS}d}".encode()


def cone_ranges(ra_deg: float, dec_deg: float, radius_arcsec: float) -> list[KeyRange]:
    """Return at most `MOST_RANGES` ranges of keys that hold every position in a disc, and some outside.

    Pixels are divided, and those that miss the disc dropped, for as long as the rest are few enough ranges.

    Parameters
    ----------
    ra_deg, dec_deg : float
        Centre, degrees.
    radius_arcsec : float
        Radius, up to 180 degrees; the edge included.

    Raises
    ------
    DataError
        If the centre is not on the sky or the radius is no angle.
    """
    if not bool(on_sky(np.array([ra_deg]), np.array([dec_deg]))[0]) or not 0 <= radius_arcsec <= 648_000:
        raise DataError("This is no disc on the sky.", "ra is 0 to 360 degrees, dec -90 to 90, a radius 0 to 180.")
    radius = radius_arcsec * (1 + 1e-9) + _ROUNDING
    order, pixels = _around_centre(ra_deg, dec_deg, radius)
    pixels = pixels[_meets(order, pixels, ra_deg, dec_deg, radius)]
    while order < PIXEL_ORDER and len(pixels) <= _MOST_PIXELS:
        children = (4 * pixels[:, None] + np.arange(4)).reshape(-1)
        children = children[_meets(order + 1, children, ra_deg, dec_deg, radius)]
        if 1 + np.count_nonzero(np.diff(children) > 1) > MOST_RANGES:
            break
        order, pixels = order + 1, children
    return pixel_ranges(order, pixels)


def _around_centre(ra: float, dec: float, radius: float) -> tuple[int, Pixels]:
    """Return pixels that cover a disc: that of its centre and its neighbours, as small as may be, or all there are."""
    for order in range(PIXEL_ORDER, 1, -1):
        # the narrowest pixel is wider than a third of the mean side, and the disc reaches one pixel far at most
        if radius * ARCSEC < np.sqrt(np.pi / 3.0) / 2**order / 3.0:
            own = _pixels(order, np.array([ra]), np.array([dec]))
            with np.errstate(invalid="ignore"):  # a pixel where three base pixels meet has seven neighbours
                around = np.asarray(neighbours(own, 2**order, order="nested"), dtype=np.int64).reshape(-1)
            return order, np.unique(np.concatenate((own, around[around >= 0])))
    return 0, np.arange(12)


def _meets(order: int, pixels: Pixels, ra: float, dec: float, radius: float) -> npt.NDArray[np.bool_]:
    """Tell which pixels share a point with a disc; some that only come close are told too, never one too few."""
    own = _pixels(order, np.array([ra]), np.array([dec]))[0]
    middle_ra, middle_dec = healpix.pix2ang(2**order, pixels, nest=True, lonlat=True)
    to_centre = _distance(middle_ra, middle_dec, ra, dec)
    inside = (to_centre <= radius) | (pixels == own)
    open_ = np.flatnonzero(~inside & (to_centre <= radius + pixel_radius(order)))
    if len(open_):
        edges = healpix.boundaries(2**order, pixels[open_], step=_SIDE_POINTS, nest=True)  # unit vectors
        edges = np.moveaxis(np.reshape(edges, (len(open_), 3, -1)), 1, 2)
        edge_ra = np.degrees(np.arctan2(edges[..., 1], edges[..., 0]))
        edge_dec = np.degrees(np.arctan2(edges[..., 2], np.hypot(edges[..., 0], edges[..., 1])))
        # no point of an edge is farther than half a step from a sample; edges bend, so a bit more
        steps = np.linalg.norm(edges - np.roll(edges, 1, axis=1), axis=2).max(axis=1) / ARCSEC
        inside[open_] = _distance(edge_ra, edge_dec, ra, dec).min(axis=1) <= radius + 0.6 * steps
    return inside


def _distance(ra: Floats, dec: Floats, centre_ra: float, centre_dec: float) -> Floats:
    return separation_arcsec(ra, dec, np.full_like(ra, centre_ra), np.full_like(dec, centre_dec))


def pixel_radius(order: int) -> float:
    """Return the largest distance of a pixel's corner from its centre (arcsec), over all pixels of an order.

    It is that of the pixels beside the corner of polar caps and equatorial belt at z = 2/3 (Górski et al. 2005).
    """
    nside = 2**order
    z1, phi = 2.0 / 3.0, np.pi / (4 * nside)
    z2 = 1.0 - (1.0 - 1.0 / nside) ** 2 / 3.0
    first = np.array([np.sqrt(1 - z1**2) * np.cos(phi), np.sqrt(1 - z1**2) * np.sin(phi), z1])
    second = np.array([np.sqrt(1 - z2**2), 0.0, z2])
    angle = 2.0 * np.arcsin(np.linalg.norm(first - second) / 2.0)
    return float(1.01 * angle / ARCSEC)
