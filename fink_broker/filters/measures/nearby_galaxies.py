"""Galaxies close enough that a kilonova in them could be seen, and which positions lie near one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow.csv as pacsv

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.alert.sky import ARCSEC, on_sky, separation_arcsec
from fink_broker.filters.measures.package_data import GALAXIES, checked_file

#: Largest distance from the galaxy in Mpc, at its angular diameter distance; and its limit on the sky in arcsec.
LARGEST_SEPARATION_MPC, LARGEST_SEPARATION_ARCSEC = 0.01, 2.0 * 3600.0
#: Absolute magnitudes of a kilonova, exclusive.
BRIGHTEST, FAINTEST = -17.0, -15.0

#: Galaxies with a circle larger than this (arcsec), the 1356 closest, are compared with every position; the others
#: only with those of nearly their declination.
_LARGE_ARCSEC = 200.0


class Galaxies:
    """Galaxies, each with its circle on the sky.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        Positions (degrees), shape (n,).
    luminosity_distance_mpc, angular_distance_mpc : numpy.ndarray
        Distances (Mpc), shape (n,).
    """

    def __init__(
        self, ra_deg: Floats, dec_deg: Floats, luminosity_distance_mpc: Floats, angular_distance_mpc: Floats
    ) -> None:
        radius = np.minimum(LARGEST_SEPARATION_MPC / angular_distance_mpc / ARCSEC, LARGEST_SEPARATION_ARCSEC)
        # large circles first, then by declination
        is_small = radius <= _LARGE_ARCSEC
        order = np.lexsort((dec_deg, is_small))
        self._ra, self._dec, self._radius = ra_deg[order], dec_deg[order], radius[order]
        self._modulus = 25.0 + 5.0 * np.log10(luminosity_distance_mpc[order])
        self._large = int((~is_small).sum())

    def may_host(self, ra_deg: Floats, dec_deg: Floats, magnitude: Floats) -> Mask:
        """Return which positions lie within 10 kpc of a galaxy in which they would be as bright as a kilonova.

        Parameters
        ----------
        ra_deg, dec_deg : numpy.ndarray
            Positions (degrees), shape (m,); one that does not exist is near none.
        magnitude : numpy.ndarray
            Apparent magnitude, shape (m,).
        """
        found = np.zeros(len(ra_deg), dtype=bool)
        small_dec = self._dec[self._large :]
        height = _LARGE_ARCSEC / 3600.0 * (1.0 + 1e-9)
        for position in np.flatnonzero(on_sky(ra_deg, dec_deg)):
            # few positions come this far: a loop over them, arrays over galaxies
            start, stop = self._large + np.searchsorted(small_dec, dec_deg[position] + np.array([-height, height]))
            found[position] = any(
                self._hosts(some, ra_deg[position], dec_deg[position], magnitude[position])
                for some in (slice(0, self._large), slice(start, stop))
            )
        return found

    def _hosts(self, some: slice, ra_deg: float, dec_deg: float, magnitude: float) -> bool:
        absolute = magnitude - self._modulus[some]
        bright = np.flatnonzero((absolute > BRIGHTEST) & (absolute < FAINTEST)) + some.start
        ra, dec = np.full(len(bright), ra_deg), np.full(len(bright), dec_deg)
        return bool((separation_arcsec(ra, dec, self._ra[bright], self._dec[bright]) < self._radius[bright]).any())


@lru_cache(maxsize=1)
def nearby_galaxies() -> Galaxies:
    """Return the 295,341 galaxies of Mangrove within 230 Mpc; read once, in 0.3 s.

    Raises
    ------
    DataError
        If the catalogue is not there or not the pinned one.
    """
    columns = ["ra", "dec", "lum_dist", "ang_dist"]
    table = pacsv.read_csv(
        checked_file(GALAXIES), convert_options=pacsv.ConvertOptions(include_columns=columns)
    ).combine_chunks()
    return Galaxies(*(table[name].to_numpy() for name in columns))
