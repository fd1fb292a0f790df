"""Regions of the sky as ranges of HEALPix cells (Górski et al. 2005, ApJ 622, 759), nested, of the finest order."""

from __future__ import annotations

import numpy as np
from astropy_healpix import healpy as healpix

from fink_broker.alert.lightcurve import Floats, Ints, Mask
from fink_broker.alert.sky import on_sky

#: Finest order of HEALPix in 64 bits: cells of 0.4 milliarcsec.
FINEST = 29
#: Cells of the whole sky at that order.
WHOLE_SKY = 12 * 4**FINEST
#: Names headers give to equatorial frames; a file that names none is equatorial.
EQUATORIAL = frozenset({"", "C", "CEL", "CELESTIAL", "EQU", "EQUATORIAL", "ICRS", "FK5", "J2000"})


class SkyRegion:
    """A part of the sky.

    Parameters
    ----------
    first, end : numpy.ndarray of int64
        Ranges of nested cells of order 29, shape (k,), in any order; they may touch and overlap. ``end`` is the first
        cell behind.
    """

    def __init__(self, first: Ints, end: Ints) -> None:
        by_first = np.argsort(first, kind="stable")
        first, reach = first[by_first], np.maximum.accumulate(end[by_first])
        begins = np.append(True, first[1:] > reach[:-1]) if len(first) else np.zeros(0, dtype=bool)
        self.first: Ints = first[begins]
        self.end: Ints = reach[np.append(begins[1:], True)] if len(first) else reach

    def contains(self, ra_deg: Floats, dec_deg: Floats) -> Mask:
        """Return which positions (degrees, shape (n,)) lie in it; one that does not exist does not."""
        inside = np.zeros(len(ra_deg), dtype=bool)
        asked = np.flatnonzero(on_sky(ra_deg, dec_deg))
        if len(asked) and len(self.first):
            cells = cells_of(ra_deg[asked], dec_deg[asked])
            place = np.searchsorted(self.first, cells, side="right") - 1
            inside[asked] = (place >= 0) & (cells < self.end[place])
        return inside

    @property
    def share(self) -> float:
        """Share of the whole sky, 0 to 1."""
        return float(np.sum(self.end - self.first)) / WHOLE_SKY


def cells_of(ra_deg: Floats, dec_deg: Floats) -> Ints:
    """Return the nested cells of order 29 that hold some positions (degrees, on the sky)."""
    return np.asarray(healpix.ang2pix(2**FINEST, ra_deg, dec_deg, nest=True, lonlat=True), dtype=np.int64)


def cell_ranges(order: Ints, cell: Ints) -> tuple[Ints, Ints]:
    """Return the ranges of order 29 (first, end) of nested cells of other orders, shape (k,) each."""
    shift = 2 * (FINEST - order)
    return cell << shift, (cell + 1) << shift


def split_uniq(uniq: Ints) -> tuple[Ints, Ints]:
    """Return order and nested cell of numbers that hold both (NUNIQ: cell + 4 · 4^order; MOC 2.0, section 4.3.1).

    Numbers that stand for no cell come out with an order below 0 or beyond 29.
    """
    powers = 4 ** np.arange(1, 32, dtype=np.int64)
    order = np.searchsorted(powers, uniq, side="right") - 1
    cell = uniq - powers[np.maximum(order, 0)]
    beyond = (order >= 0) & (cell >= 12 * 4 ** np.clip(order, 0, FINEST))
    return np.where(beyond, FINEST + 1, order), cell
