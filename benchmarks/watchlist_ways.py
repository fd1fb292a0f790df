"""Ways to find whether one of many discs on the sky covers a position, to compare with the broker's own."""

from __future__ import annotations

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy_healpix import healpy as healpix
from astropy_healpix import neighbours

from fink_broker.alert.lightcurve import Floats, Ints, Mask
from fink_broker.alert.sky import NO_ROW, SkyIndex, separation_arcsec

#: Cells are at least so many radii wide, so that a disc round a position ends within the cells around its own.
_CELL_RADII = 4.0


class HealpixCells:
    """Sources sorted by HEALPix cell: a position is compared with those of its cell and the eight around.

    Parameters
    ----------
    ra, dec, radius : numpy.ndarray
        Discs: degrees, and arcsec.
    """

    def __init__(self, ra: Floats, dec: Floats, radius: Floats) -> None:
        self.ra, self.dec, self.radius = ra, dec, radius
        self.classes = []
        decade = np.floor(np.log10(radius))
        for value in np.unique(decade):
            rows = np.flatnonzero(decade == value)
            widest = _CELL_RADII * np.radians(radius[rows].max() / 3600)
            nside = 2 ** int(np.clip(np.floor(np.log2(np.sqrt(np.pi / 3) / widest)), 0, 29))
            cells = healpix.ang2pix(nside, ra[rows], dec[rows], nest=True, lonlat=True)
            order = np.argsort(cells)
            self.classes.append((nside, cells[order], rows[order]))

    def cover(self, ra: Floats, dec: Floats) -> Mask:
        """Return which positions (degrees) are covered."""
        covered = np.zeros(len(ra), dtype=bool)
        for nside, cells, rows in self.classes:
            own = healpix.ang2pix(nside, ra, dec, nest=True, lonlat=True)
            with np.errstate(invalid="ignore"):  # eight cells of the sky have seven neighbours
                around = np.vstack([own, neighbours(own, nside, order="nested")]).T
            start = np.searchsorted(cells, around, side="left")
            count = (np.searchsorted(cells, around, side="right") - start) * (around >= 0)
            owner, place = _pairs(start.ravel(), count.ravel())
            owner, row = owner // around.shape[1], rows[place]
            inside = separation_arcsec(ra[owner], dec[owner], self.ra[row], self.dec[row]) <= self.radius[row]
            covered[owner[inside]] = True
        return covered


def _pairs(start: Ints, count: Ints) -> tuple[Ints, Ints]:
    owner = np.repeat(np.arange(len(start)), count)
    return owner, np.arange(len(owner)) + np.repeat(start - (np.cumsum(count) - count), count)


class Strips:
    """The index of the broker's catalogues: strips of declination, one index a radius."""

    def __init__(self, ra: Floats, dec: Floats, radius: Floats) -> None:
        of = {value: radius == value for value in np.unique(radius)}
        self.indexes = [(SkyIndex(ra[rows], dec[rows]), value) for value, rows in of.items()]

    def cover(self, ra: Floats, dec: Floats) -> Mask:
        """Return which positions (degrees) are covered."""
        return np.any([index.nearest(ra, dec, value)[0] != NO_ROW for index, value in self.indexes], axis=0)


class Astropy:
    """``match_to_catalog_sky``, once a radius; its tree is kept from call to call."""

    def __init__(self, ra: Floats, dec: Floats, radius: Floats) -> None:
        of = {value: radius == value for value in np.unique(radius)}
        self.centres = [(SkyCoord(ra[rows], dec[rows], unit="deg"), value) for value, rows in of.items()]

    def cover(self, ra: Floats, dec: Floats) -> Mask:
        """Return which positions (degrees) are covered."""
        asked = SkyCoord(ra, dec, unit="deg")
        return np.any([asked.match_to_catalog_sky(c)[1] <= value * units.arcsec for c, value in self.centres], axis=0)


class BruteForce:
    """The separation of every position from every source."""

    def __init__(self, ra: Floats, dec: Floats, radius: Floats) -> None:
        self.ra, self.dec, self.radius = ra, dec, radius

    def cover(self, ra: Floats, dec: Floats) -> Mask:
        """Return which positions (degrees) are covered."""
        return np.array([
            (separation_arcsec(np.float64(one), np.float64(other), self.ra, self.dec) <= self.radius).any()
            for one, other in zip(ra, dec, strict=True)
        ])  # fmt: skip
