"""Nearest neighbours on the sphere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats, Ints, Mask

ARCSEC = np.pi / 648000.0
#: Row index that stands for "none".
NO_ROW = -1
#: Windows are opened this much wider than the radius, so that rounding never loses a neighbour; the radius itself is
#: tested on the separation.
_SLACK = 1.0 + 1e-9


def on_sky(ra_deg: Floats, dec_deg: Floats) -> Mask:
    """Tell which positions exist: finite, declination within ±90°, right ascension within one turn."""
    with np.errstate(invalid="ignore"):
        return (np.abs(dec_deg) <= 90.0) & (ra_deg >= 0.0) & (ra_deg <= 360.0)


class SkyIndex:
    """Positions that can be searched by nearness.

    Positions are sorted by declination: neighbours stand in a strip as high as two radii, in which right ascension
    leaves a few. The separation is computed for those alone, by the haversine formula (Sinnott 1984, S&T 68, 159),
    which is exact to 1e-9″ at small separations. For the radii in use (1″ to 60″) strips are short: 9 of the 1.9
    million stars of the VSX, 50 of 300,000 galaxies. A tree of unit vectors answers in the same time, but takes a
    second to build.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        Positions in degrees, finite.
    """

    def __init__(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> None:
        ra, dec = np.asarray(ra_deg, dtype=float), np.asarray(dec_deg, dtype=float)
        self._rows = np.argsort(dec, kind="stable")  # of two sources at one place the first wins
        self._dec = dec[self._rows]
        self._ra = np.mod(ra, 360.0)[self._rows]

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
        owner, source = self._near(ra_deg[asked], dec_deg[asked], radius_arcsec)
        owner = asked[owner]
        angle = separation_arcsec(ra_deg[owner], dec_deg[owner], self._ra[source], self._dec[source])
        inside = angle < radius_arcsec
        owner, source, angle = owner[inside], source[inside], angle[inside]
        nearest_first = np.lexsort((self._rows[source], angle, owner))
        owner, first = np.unique(owner[nearest_first], return_index=True)
        chosen = nearest_first[first]
        rows[owner], separation[owner] = self._rows[source[chosen]], angle[chosen]
        return rows, separation

    def _near(self, ra_deg: Floats, dec_deg: Floats, radius_arcsec: float) -> tuple[Ints, Ints]:
        """Return pairs of position and source (its place in the sorted arrays) no farther apart in either coordinate.

        They hold every pair closer than the radius.
        """
        radius = radius_arcsec / 3600.0 * _SLACK
        start = np.searchsorted(self._dec, dec_deg - radius, side="left")
        count = np.searchsorted(self._dec, dec_deg + radius, side="right") - start
        owner = np.repeat(np.arange(len(ra_deg)), count)
        before = np.cumsum(count) - count
        source = np.arange(len(owner)) + np.repeat(start - before, count)
        turn = np.abs(self._ra[source] - ra_deg[owner])
        near = np.minimum(turn, 360.0 - turn) <= _window(dec_deg, radius)[owner]
        return owner[near], source[near]


def _window(dec_deg: Floats, radius_deg: float) -> Floats:
    """Return the largest difference of right ascension (degrees) within a radius: half a turn if a pole is inside."""
    narrowest = np.cos(np.radians(np.minimum(np.abs(dec_deg) + radius_deg, 90.0)))
    with np.errstate(divide="ignore"):
        sine = np.sin(np.radians(radius_deg / 2.0)) / narrowest
    return np.degrees(2.0 * np.arcsin(np.minimum(sine, 1.0))) * _SLACK


def separation_arcsec(ra1_deg: Floats, dec1_deg: Floats, ra2_deg: Floats, dec2_deg: Floats) -> Floats:
    """Return the separation of pairs of positions (degrees) in arcsec."""
    dec1, dec2 = np.radians(dec1_deg), np.radians(dec2_deg)
    # differences in degrees first: two large angles in radians would each be rounded
    north = np.sin(np.radians(dec2_deg - dec1_deg) / 2.0) ** 2
    east = np.sin(np.radians(ra2_deg - ra1_deg) / 2.0) ** 2
    return 2.0 * np.arcsin(np.sqrt(np.minimum(north + np.cos(dec1) * np.cos(dec2) * east, 1.0))) / ARCSEC
