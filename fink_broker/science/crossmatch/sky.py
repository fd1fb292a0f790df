"""Nearest neighbours on the sphere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from fink_broker.alert.lightcurve import Floats, Ints, Mask

ARCSEC = np.pi / 648000.0
#: Row index that stands for "none".
NO_ROW = -1


def unit_vectors(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return unit vectors, one row a position (ra and dec in degrees)."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    vectors = np.empty((len(ra), 3))
    vectors[:, 0] = np.cos(dec) * np.cos(ra)
    vectors[:, 1] = np.cos(dec) * np.sin(ra)
    vectors[:, 2] = np.sin(dec)
    return vectors


def on_sky(ra_deg: Floats, dec_deg: Floats) -> Mask:
    """Tell which positions exist: finite, declination within ±90°, right ascension within one turn."""
    with np.errstate(invalid="ignore"):
        return (np.abs(dec_deg) <= 90.0) & (ra_deg >= 0.0) & (ra_deg <= 360.0)


class SkyIndex:
    """Positions that can be searched by nearness.

    Separations come from the chord between unit vectors, 2 arcsin(chord / 2): good to 1e-10″ at every separation that
    matters here.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        Positions in degrees, finite.
    """

    def __init__(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> None:
        vectors = unit_vectors(np.asarray(ra_deg, dtype=float), np.asarray(dec_deg, dtype=float))
        # neither balanced nor compact: half the time to build, the same time to search for nearest neighbours
        self._tree = cKDTree(vectors, leafsize=32, balanced_tree=False, compact_nodes=False)

    def nearest(self, ra_deg: Floats, dec_deg: Floats, radius_arcsec: float) -> tuple[Ints, Floats]:
        """Return the nearest row of each position and its separation.

        Parameters
        ----------
        ra_deg, dec_deg : numpy.ndarray
            Positions in degrees; one that does not exist (NaN, infinite, beyond a pole) has no neighbour.
        radius_arcsec : float
            A neighbour is accepted if its separation is less.

        Returns
        -------
        rows : numpy.ndarray of int
            Row of the nearest source, `NO_ROW` for none.
        separation : numpy.ndarray
            Separation in arcsec, NaN for none.
        """
        rows = np.full(len(ra_deg), NO_ROW, dtype=np.int64)
        separation = np.full(len(ra_deg), np.nan)
        asked = np.flatnonzero(on_sky(ra_deg, dec_deg))
        if not len(asked):
            return rows, separation
        reach = 2.0 * np.sin(radius_arcsec * ARCSEC / 2.0) * (1.0 + 1e-9)
        chord, found = self._tree.query(unit_vectors(ra_deg[asked], dec_deg[asked]), distance_upper_bound=reach)
        near = np.isfinite(chord)
        angle = np.full(len(asked), np.inf)
        angle[near] = 2.0 * np.arcsin(chord[near] / 2.0) / ARCSEC
        accepted = angle < radius_arcsec
        rows[asked[accepted]] = found[accepted]
        separation[asked[accepted]] = angle[accepted]
        return rows, separation
