"""Ten numbers of a light curve: in each of two bands, how much of three principal components is in it.

A band is divided by its brightest point and described by c₁P₁ + c₂P₂ + c₃P₃, where the components P are templates on a
grid of a quarter of a day around the brightest point (Biswas et al. 2023, A&A 677, A77). The coefficients minimise a
convex function, so they are found in closed form, for all bands of a batch at once.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats, Ints, Mask, segment_reduce

#: Numbers of a band: three coefficients, root mean square of the residuals in units of the errors, largest flux.
BAND_FEATURES = 5
COMPONENTS = 3
#: Days between two values of a component, how many there are, and which of them is the brightest point's.
STEP_DAYS = 0.25
GRID = 401
BRIGHTEST = 200
#: Farthest from the brightest point, in days.
REACH_DAYS = 50.0
#: A band must be brighter (FLUXCAL) than this somewhere, and have so many points, to be described.
MIN_FLUX = 200.0
MIN_POINTS = 2
#: Largest absolute value of a coefficient.
LARGEST = 2.0

#: For each coefficient: free, or held at its lower or upper bound. One row for each of the 27 ways.
_FREE = -1
_STATES: npt.NDArray[np.int64] = np.array(list(product((_FREE, 0, 1), repeat=COMPONENTS)))
#: The six different products of two out of three rows, and where they stand in the symmetric matrix.
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def band_features(band: Ints, bands: int, points: Floats, components: Floats) -> Floats:
    """Return the five numbers of each band of each light curve; zeros where it is too faint or too short.

    Parameters
    ----------
    band : numpy.ndarray of int
        Which band of which light curve a point belongs to, from 0, in ascending order; inside a band the points keep
        the order of the packet.
    bands : int
        How many bands there are.
    points : numpy.ndarray, shape (3, points)
        Times (days), fluxes and their errors (FLUXCAL); all finite, errors above zero.
    components : numpy.ndarray, shape (3, 401)
        The principal components.

    Returns
    -------
    numpy.ndarray, shape (bands, 5)
        c₁, c₂, c₃, residuo, maxflux; NaN where the numbers overflow.
    """
    found = np.zeros((bands, BAND_FEATURES))
    if len(band) == 0:
        return found
    jd, flux, error = points
    with np.errstate(all="ignore"):
        brightest = _brightest(band, bands, flux)
        used, described = _near_brightest(band, bands, jd, flux, brightest)
        if described.any():
            numbers = np.cumsum(described) - 1  # the described bands, counted anew
            top = brightest[described]
            own = numbers[band[used]]
            maximum, days = flux[top], jd[used] - jd[top][own]
            index = np.rint(days / STEP_DAYS + BRIGHTEST).astype(np.int64)
            relative, weight = flux[used] / maximum[own], maximum[own] / error[used]
            penalty = (maximum / error[top]) ** 2
            coefficients, residual = _describe(own, components[:, index], relative, weight, penalty)
            found[described] = np.column_stack([coefficients.T, residual, maximum])
    return found


def _brightest(band: Ints, bands: int, flux: Floats) -> Ints:
    """Return the position of the brightest point of each band, the first of equals; 0 for a band without points."""
    offsets = np.searchsorted(band, np.arange(bands + 1))
    maximum = segment_reduce(np.maximum, flux, offsets, -np.inf)
    positions = np.where(flux == maximum[band], np.arange(len(flux)), len(flux))
    return segment_reduce(np.minimum, positions, offsets, 0)


def _near_brightest(band: Ints, bands: int, jd: Floats, flux: Floats, brightest: Ints) -> tuple[Mask, Mask]:
    """Return which points are used, and which bands have enough of them."""
    middle = jd[brightest][band]
    near = (jd > middle - REACH_DAYS) & (jd < middle + REACH_DAYS)
    described = (np.bincount(band[near], minlength=bands) >= MIN_POINTS) & (flux[brightest] > MIN_FLUX)
    return near & described[band], described


def _describe(own: Ints, templates: Floats, flux: Floats, weight: Floats, penalty: Floats) -> tuple[Floats, Floats]:
    """Fit each band and return its coefficients (3, bands) and the root mean square of its weighted residuals.

    Minimised is Σ((Σ cₖPₖ − y)·weight)² + penalty·(c₂² + c₃²), and penalty·c₁² more if c₁ is negative, with
    −2 ≤ c ≤ 2. On either side of c₁ = 0 it is a linear least-squares problem; the lower of the two is the answer.

    Parameters
    ----------
    own : numpy.ndarray of int
        Band of each point.
    templates : numpy.ndarray, shape (3, points)
        Components at the times of the points.
    flux, weight : numpy.ndarray
        Relative fluxes y and one over their errors.
    penalty : numpy.ndarray
        Weight of the penalty, one a band.
    """
    weighted, target = templates * weight, flux * weight
    # one after the other along a band, so that the sums do not depend on the other bands
    matrix = np.stack([_sums(own, weighted[i] * weighted[j], len(penalty)) for i, j in _PAIRS])
    vector = np.stack([_sums(own, row * target, len(penalty)) for row in weighted])
    matrix[[3, 5]] += penalty  # the squares of c₂ and c₃
    negative = matrix.copy()
    negative[0] += penalty  # that of c₁
    upper, lower = np.full(COMPONENTS, LARGEST), np.full(COMPONENTS, -LARGEST)
    at_zero = np.array([0.0, 1.0, 1.0])
    above, above_value = bounded_minimum(matrix, vector, lower * at_zero, upper)
    below, below_value = bounded_minimum(negative, vector, lower, upper * at_zero)
    coefficients = np.where(below_value < above_value, below, above)
    coefficients[:, np.isnan(above_value) | np.isnan(below_value)] = np.nan
    first, second, third = coefficients[:, own] * weighted
    squares = _sums(own, (first + second + third - target) ** 2, len(penalty))
    return coefficients, np.sqrt(squares / np.bincount(own, minlength=len(penalty)))


def _sums(own: Ints, values: Floats, bands: int) -> Floats:
    """Return the sum of the values of each band, added one after the other."""
    return np.asarray(np.bincount(own, weights=values, minlength=bands), dtype=np.float64)


def bounded_minimum(matrix: Floats, vector: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Minimise c·Mc/2 − v·c for three numbers c between bounds, for many problems at once.

    In the minimum each number is free or at one of its bounds. All 27 ways are solved; of those inside the
    bounds the lowest is the minimum, because the function is convex.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (6, problems)
        M₁₁, M₁₂, M₁₃, M₂₂, M₂₃, M₃₃ of the symmetric matrix.
    vector : numpy.ndarray, shape (3, problems)
    lower, upper : numpy.ndarray, shape (3,)
        Bounds, the same for all problems.

    Returns
    -------
    tuple of numpy.ndarray
        c, of shape (3, problems), and the value of the function there; both NaN where the numbers overflow.
    """
    full = np.empty((COMPONENTS, COMPONENTS, matrix.shape[1]))
    for row, (i, j) in zip(matrix, _PAIRS, strict=True):
        full[i, j] = full[j, i] = row
    candidates = _stationary(full, vector, lower, upper)
    value = _value(full, vector, candidates)
    inside = (candidates >= lower[:, None, None]) & (candidates <= upper[:, None, None])
    value = np.where(inside.all(axis=0) & np.isfinite(value), value, np.inf)
    best = np.argmin(value, axis=0)
    problems = np.arange(len(best))
    lowest = value[best, problems]
    solved = np.isfinite(lowest)
    return np.where(solved, candidates[:, best, problems], np.nan), np.where(solved, lowest, np.nan)


def _stationary(full: Floats, vector: Floats, lower: Floats, upper: Floats) -> Floats:
    """Return the stationary point of each of the 27 ways, by Cramer's rule; shape (3, 27, problems).

    A number that is held makes its row of the system trivial, and moves its column to the right-hand side.
    """
    free = (_STATES == _FREE).T[:, :, None]  # (3, 27, 1)
    held = np.where(free[..., 0], 0.0, np.where(_STATES.T == 0, lower[:, None], upper[:, None]))[..., None]
    system = np.empty((COMPONENTS, COMPONENTS, len(_STATES), vector.shape[1]))
    right = np.empty((COMPONENTS, len(_STATES), vector.shape[1]))
    for i in range(COMPONENTS):
        for j in range(COMPONENTS):
            system[i, j] = np.where(free[i] & free[j], full[i, j], float(i == j))
        moved = full[i, 0] * held[0] + full[i, 1] * held[1] + full[i, 2] * held[2]
        right[i] = np.where(free[i], vector[i] - moved, held[i])
        system[i, i] = np.where(free[i], full[i, i], 1.0)
    a, b, c, d, e, f = (system[i, j] for i, j in _PAIRS)
    # the symmetric matrix (a b c; b d e; c e f) and its adjugate
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    dd, de, ff = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * aa + b * ab + c * ac
    solution = np.stack(
        [
            aa * right[0] + ab * right[1] + ac * right[2],
            ab * right[0] + dd * right[1] + de * right[2],
            ac * right[0] + de * right[1] + ff * right[2],
        ]
    )
    return np.where(free, solution / determinant, held)


def _value(full: Floats, vector: Floats, candidates: Floats) -> Floats:
    """Return c·Mc/2 − v·c of each candidate; shape (27, problems)."""
    x, y, z = candidates
    quadratic = full[0, 0] * x * x + full[1, 1] * y * y + full[2, 2] * z * z
    mixed = full[0, 1] * x * y + full[0, 2] * x * z + full[1, 2] * y * z
    return 0.5 * quadratic + mixed - (vector[0] * x + vector[1] * y + vector[2] * z)
