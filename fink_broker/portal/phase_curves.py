"""How bright an asteroid appears at a phase angle and seen from a direction: the model sHG1G2, and its fit.

Muinonen et al. 2010 (Icarus 209, 542) give the H, G1, G2 phase function, Penttilä et al. 2016 (P&SS 123, 117) the
splines of its basis functions; Carry et al. 2024 (A&A 687, A38) add the spin and the oblateness:

    m − 5 log10(r Δ) = H − 2.5 log10[G1 φ1(α) + G2 φ2(α) + (1 − G1 − G2) φ3(α)] + 2.5 log10[1 − (1 − R) |cos Λ|]

with r and Δ the distances to the Sun and the observer in au, α the phase angle, R the oblateness, and Λ the angle
between the line of sight and the spin axis. H, G1 and G2 are of each filter band, R and the axis of the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.optimize import OptimizeResult, least_squares

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: fewest points of a band that is fitted: it has three parameters of its own
LEAST_POINTS = 4
#: limits of H (mag), G1, G2 of each band, and of R, right ascension and declination (rad) of the axis
BAND_LIMITS = np.array([(-5.0, 30.0), (0.0, 1.0), (0.0, 1.0)])
SPIN_LIMITS = np.array([(0.3, 1.0), (0.0, 2 * np.pi), (-np.pi / 2, np.pi / 2)])
#: where the search of the axis begins (rad): half of the sky, the other half gives the same brightness
POLES = ((0.5, 0.0), (1.5, 0.0), (2.6, 0.0), (0.5, 1.0), (3.6, 1.0), (1.5, -1.0))
#: steps of a search, in evaluations of the model
MOST_STEPS = 200
#: points with which the axis is searched for
SEARCHED = 200
#: smallest uncertainty of a magnitude that counts (mag)
LEAST_SIGMA = 1e-3
_FAINT = 1e-10

_WIDE = np.deg2rad([7.5, 30.0, 60.0, 90.0, 120.0, 150.0])
_NARROW = np.deg2rad([0.0, 0.3, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0, 30.0])


def _spline(nodes: Floats, values: list[float], first: float, last: float) -> CubicSpline:
    return CubicSpline(nodes, values, bc_type=((1, first), (1, last)))


_PHI1 = _spline(_WIDE, [0.75, 0.33486016, 0.1341056, 0.051104756, 0.021465687, 0.0036396989], -1.9098593, -0.091328612)
_PHI2 = _spline(
    _WIDE, [0.925, 0.62884169, 0.31755495, 0.12716367, 0.022373903, 0.00016505689], -0.5729578, -8.6573138e-8
)
_PHI3 = _spline(
    _NARROW,
    [1.0, 0.83381185, 0.57735424, 0.42144772, 0.2317423, 0.10348178, 0.061733473, 0.016107006, 0.0],
    -0.10630097,
    0.0,
)


def basis(phase: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the basis functions φ1, φ2, φ3 of phase angles in radians."""
    wide = np.minimum(phase, _WIDE[-1])
    phi1 = np.where(phase < _WIDE[0], 1.0 - 6.0 * phase / np.pi, _PHI1(np.maximum(wide, _WIDE[0])))
    phi2 = np.where(phase < _WIDE[0], 1.0 - 9.0 * phase / (5.0 * np.pi), _PHI2(np.maximum(wide, _WIDE[0])))
    phi3 = _PHI3(np.minimum(phase, _NARROW[-1]))
    return np.maximum(phi1, 0.0), np.maximum(phi2, 0.0), np.maximum(phi3, 0.0)


@dataclass(frozen=True)
class Observations:
    """Points of the light curve of one object.

    Parameters
    ----------
    magnitude : numpy.ndarray
        Reduced to distances of 1 au (mag).
    sigma : numpy.ndarray
        Uncertainties (mag).
    band : numpy.ndarray of int
        Filter of each.
    phase : numpy.ndarray
        Phase angles (deg).
    ra, dec : numpy.ndarray
        Positions (deg).
    """

    magnitude: Floats
    sigma: Floats
    band: Ints
    phase: Floats
    ra: Floats
    dec: Floats

    def only(self, mask: npt.NDArray[np.bool_]) -> Observations:
        """Return some of the points."""
        return Observations(
            self.magnitude[mask], self.sigma[mask], self.band[mask], self.phase[mask], self.ra[mask], self.dec[mask]
        )

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which points have all that the model needs."""
        parts = (self.magnitude, self.sigma, self.phase, self.ra, self.dec)
        return np.logical_and.reduce([np.isfinite(part) for part in parts])


def residuals(points: Observations) -> Floats:
    """Return observed minus modelled magnitudes, of the model that fits best; NaN where there is no fit.

    Parameters
    ----------
    points : Observations
        The light curve; what is NaN has no part in the fit.

    Returns
    -------
    numpy.ndarray
        Residuals in magnitudes. Points of a band with fewer than `LEAST_POINTS` are NaN, and all are if the points are
        not more than the parameters or no search converges.
    """
    found = np.full(len(points.magnitude), np.nan)
    good = points.usable
    for band in np.unique(points.band[good]):
        if np.count_nonzero(good & (points.band == band)) < LEAST_POINTS:
            good &= points.band != band
    fitted = points.only(good)
    bands = np.unique(fitted.band)
    if len(bands) and len(fitted.magnitude) > 3 * len(bands) + 3:
        found[good] = _best_fit(fitted, bands)
    return found


def model(parameters: Floats, points: Observations, bands: Ints) -> Floats:
    """Return modelled magnitudes.

    Parameters
    ----------
    parameters : numpy.ndarray
        R, right ascension and declination of the axis (rad), then H, G1, G2 of each band.
    points : Observations
        Where and how the object was seen.
    bands : numpy.ndarray of int
        The bands, in the order of their parameters.
    """
    return _Geometry(points, bands).magnitudes(parameters)


class _Geometry:
    """What the model needs of the points whatever its parameters are, computed once."""

    def __init__(self, points: Observations, bands: Ints) -> None:
        self._band = np.searchsorted(bands, points.band)
        self._phi1, self._phi2, self._phi3 = basis(np.deg2rad(points.phase))
        ra, dec = np.deg2rad(points.ra), np.deg2rad(points.dec)
        self._towards = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])

    def magnitudes(self, parameters: Floats) -> Floats:
        oblateness, pole_ra, pole_dec = parameters[:3]
        height, g1, g2 = parameters[3:].reshape(-1, 3)[self._band].T
        brightness = g1 * self._phi1 + g2 * self._phi2 + (1.0 - g1 - g2) * self._phi3
        axis = [np.cos(pole_dec) * np.cos(pole_ra), np.cos(pole_dec) * np.sin(pole_ra), np.sin(pole_dec)]
        flattened = 1.0 - (1.0 - oblateness) * np.abs(np.asarray(axis) @ self._towards)
        magnitudes: Floats = height + 2.5 * np.log10(flattened / np.maximum(brightness, _FAINT))
        return magnitudes


def _best_fit(points: Observations, bands: Ints) -> Floats | float:
    """Return the residuals of the best fit, searched for with some of the points and finished with all."""
    some = points.only(np.arange(len(points.magnitude)) % max(1, len(points.magnitude) // SEARCHED) == 0)
    heights = [np.median(points.magnitude[points.band == band]) - 0.5 for band in bands]
    begins = [np.array([0.8, *pole, *(value for height in heights for value in (height, 0.3, 0.3))]) for pole in POLES]
    searched = [found for begin in begins if (found := _fit(some, bands, begin)) is not None]
    if not searched:
        return np.nan
    best = _fit(points, bands, min(searched, key=lambda found: float(found.cost)).x)
    return np.nan if best is None else points.magnitude - model(best.x, points, bands)


def _fit(points: Observations, bands: Ints, begin: Floats) -> OptimizeResult | None:
    """Return the parameters that fit best near some, None if the search does not end."""
    limits = np.vstack([SPIN_LIMITS, *[BAND_LIMITS] * len(bands)]).T
    sigma, geometry = np.maximum(points.sigma, LEAST_SIGMA), _Geometry(points, bands)
    try:
        found = least_squares(
            lambda parameters: (points.magnitude - geometry.magnitudes(parameters)) / sigma,
            np.clip(begin, limits[0] + 1e-6, limits[1] - 1e-6),
            bounds=limits,
            x_scale="jac",
            max_nfev=MOST_STEPS,
        )
    except (ValueError, np.linalg.LinAlgError):
        return None
    return found if found.success else None
