"""Phase curves of asteroids: four models, least squares within bounds.

HG is Bowell et al. 1989 (Asteroids II, 524), HG1G2 and HG12 are Muinonen et al. 2010 (Icarus 209, 542), all three as
:mod:`sbpy.photometry` has them; SHG1G2 is Carry et al. 2024 (A&A 687, A38), see
:mod:`fink_broker.portal.phase_curves`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sbpy import photometry
from scipy.optimize import OptimizeResult, least_squares

from fink_broker.portal.phase_curves import LEAST_SIGMA, MOST_STEPS, POLES, Floats, Ints, Observations
from fink_broker.portal.phase_curves import model as spinning_magnitudes
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.kinds import Report
from fink_broker.portal.web.fits.phase_fit import (
    COLUMNS,
    COMBINED,
    DEFAULT_MODEL,
    MODELS,
    MOST_POINTS,
    UNITS,
    BandFit,
    Parameter,
    PhaseFit,
)

SPIN = ("R", "α0", "δ0")
#: where a search begins and ends: H (mag), phase parameters; R, right ascension and declination of the axis (rad)
HEIGHT_START, HEIGHT_LIMITS = 15.0, (0.0, 30.0)
PHASE_START, PHASE_LIMITS = 0.15, (0.0, 1.0)
SPIN_START = (0.8, np.pi, 0.0)
SPIN_LIMITS = ((0.1, 1.0), (0.0, 2 * np.pi), (-np.pi / 2, np.pi / 2))
FAILED = "The fitting procedure could not converge."
#: phase angles a curve is drawn at
_DRAWN = 200
_FAINT = 99.0

Curve = Callable[..., Floats]


def _silent(words: str, share: float) -> None:
    """Tell nobody."""


def fit_phase(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return the phase curve of measurements, as `PhaseFit.as_json` gives it.

    Parameters
    ----------
    inputs : mapping
        Lists of one length: ``magnitude`` (reduced), ``sigma`` (mag), ``band`` (fid), ``phase``, ``ra``, ``dec`` (deg),
        ``colour`` (g − r, mag); ``model``; ``bands``: `COMBINED` brings them to V.
    report : callable
        Is told how far it is.

    Raises
    ------
    FitError
        As `fit_phase_curve`.
    """
    columns = {name: np.asarray(inputs[name], dtype=np.float64) for name in COLUMNS}
    colour = columns.pop("colour")
    band = columns.pop("band").astype(np.int64)
    points = Observations(band=band, **columns)
    if inputs["bands"] == COMBINED:
        points = in_v(points, colour)
    return fit_phase_curve(points, str(inputs["model"]), report).as_json()


def fit_phase_curve(points: Observations, model: str = DEFAULT_MODEL, report: Report = _silent) -> PhaseFit:
    """Fit a phase curve to each band; a band with too few points is left out where another has enough.

    Parameters
    ----------
    points : Observations
        Reduced magnitudes; those that are not finite have no part.
    model : str
        A name of `MODELS`.
    report : callable
        Is told how far it is.

    Raises
    ------
    FitError
        If the model is not known, the points are too few, or no search converges.
    """
    if model not in MODELS:
        raise FitError(f"Choose one of the models {', '.join(MODELS)}.")
    points = points.only(points.usable)
    if len(points.magnitude) > MOST_POINTS:
        points = points.only(np.arange(len(points.magnitude)) % (len(points.magnitude) // MOST_POINTS + 1) == 0)
    given, numbers = np.unique(points.band, return_counts=True)
    bands = given[numbers > len(MODELS[model])]
    if not len(bands):
        raise FitError(_too_few(given, numbers, model))
    points = points.only(np.isin(points.band, bands))
    _check_enough(points, bands, model)
    found = _spinning(points, bands, report) if model == "SHG1G2" else _resting(points, bands, model, report)
    return replace(found, left_out=tuple(int(band) for band in np.setdiff1d(given, bands)))


def in_v(points: Observations, colour: Floats) -> Observations:
    """Return points of g and r brought to Johnson's V, all as band 0.

    Parameters
    ----------
    points : Observations
        In g (1) and r (2); others are left out.
    colour : numpy.ndarray, shape (points,)
        g − r (mag) of the object.

    Notes
    -----
    V = g − 0.59 (g − r) − 0.01, Jester et al. 2005 (AJ 130, 873), all stars with R − I < 1.15.
    """
    offset = np.where(points.band == 1, -0.59 * colour, 0.41 * colour) - 0.01
    shifted = Observations(
        points.magnitude + offset, points.sigma, np.zeros_like(points.band), points.phase, points.ra, points.dec
    )
    return shifted.only(np.isin(points.band, (1, 2)))


def _too_few(bands: Ints, numbers: Ints, model: str) -> str:
    """Return how many points each band has, and how many a model needs."""
    least = len(MODELS[model]) + 1
    if not len(bands):
        return f"There is no point to fit: {model} needs at least {least} of a band."
    names = ("of all bands together", "in g", "in r", "in i")
    counts = ", ".join(
        f"{names[band] if 0 <= band < len(names) else 'in another band'} there {'is' if count == 1 else 'are'} {count}"
        for band, count in zip(bands, numbers, strict=True)
    )
    return f"{model} needs at least {least} points of a band; {counts}."


def _check_enough(points: Observations, bands: Ints, model: str) -> None:
    """Refuse points that are fewer than the parameters all bands have together."""
    if model == "SHG1G2" and len(points.magnitude) <= 3 * len(bands) + len(SPIN):
        needed = 3 * len(bands) + len(SPIN) + 1
        raise FitError(f"SHG1G2 needs at least {needed} points of these bands; there are {len(points.magnitude)}.")


def _resting(points: Observations, bands: Ints, model: str, report: Report) -> PhaseFit:
    """Fit each band by itself: nothing but the phase angle counts."""
    curve, names = _curve(model), MODELS[model]
    limits = np.array([HEIGHT_LIMITS, *[PHASE_LIMITS] * (len(names) - 1)]).T
    start = np.array([HEIGHT_START, *[PHASE_START] * (len(names) - 1)])
    fits, chi2 = [], 0.0
    for number, band in enumerate(bands):
        report("Fitting band by band", number / len(bands))
        mine = points.only(points.band == band)
        angle = np.deg2rad(mine.phase)
        found = _search([start], limits, mine, partial(_of_values, curve, angle), _silent)
        drawn = _drawn(mine.phase)
        parameters = _parameters(names, found, limits)
        drawn_curve = curve(np.deg2rad(drawn), *found.x)
        fits.append(_band_fit(mine, curve(angle, *found.x), drawn, drawn_curve, parameters))
        chi2 += 2 * float(found.cost)
    return PhaseFit(model, tuple(fits), (), chi2 / (len(points.magnitude) - len(names) * len(bands)))


def _spinning(points: Observations, bands: Ints, report: Report) -> PhaseFit:
    """Fit all bands at once, since they share the spin axis."""
    names = (*SPIN, *(name for _ in bands for name in MODELS["SHG1G2"]))
    limits = np.array([*SPIN_LIMITS, *(each for _ in bands for each in (HEIGHT_LIMITS, PHASE_LIMITS, PHASE_LIMITS))]).T
    height = [value for _ in bands for value in (HEIGHT_START, PHASE_START, PHASE_START)]
    starts = [np.array([*spin, *height]) for spin in (SPIN_START, *((SPIN_START[0], *pole) for pole in POLES))]
    found = _search(starts, limits, points, lambda values: spinning_magnitudes(values, points, bands), report)
    modelled = spinning_magnitudes(found.x, points, bands)
    parameters = _parameters(names, found, limits)
    fits = []
    for at, band in enumerate(bands):
        mine = points.band == band
        own = points.only(mine)
        drawn = _drawn(own.phase)
        flat = _without_spin(found.x, drawn, int(band), at)
        aspect = float(np.mean(modelled[mine] - _without_spin(found.x, own.phase, int(band), at)))
        of_band = parameters[3 + 3 * at : 6 + 3 * at]
        fits.append(_band_fit(own, modelled[mine], drawn, flat + aspect, of_band))
    chi2 = 2 * float(found.cost) / (len(points.magnitude) - len(names))
    return PhaseFit("SHG1G2", tuple(fits), tuple(map(_in_degrees, parameters[:3])), chi2)


def _without_spin(values: Floats, phase: Floats, band: int, at: int) -> Floats:
    """Return the curve of a band if the object were a sphere: R = 1."""
    zeros = np.zeros_like(phase)
    points = Observations(zeros, zeros, np.full(len(phase), band), phase, zeros, zeros)
    sphere = np.array([1.0, 0.0, 0.0, *values[3 + 3 * at : 6 + 3 * at]])
    return spinning_magnitudes(sphere, points, np.array([band]))


def _curve(model: str) -> Curve:
    """Return sbpy's formula: from phase angles (rad) and parameters to magnitudes."""
    found: Curve = getattr(photometry, model).evaluate
    return found


def _of_values(curve: Curve, angle: Floats, values: Floats) -> Floats:
    return curve(angle, *values)


def _search(
    starts: list[Floats], limits: Floats, points: Observations, curve: Callable[[Floats], Floats], report: Report
) -> OptimizeResult:
    """Return the best of the searches that converge."""
    sigma = np.maximum(points.sigma, LEAST_SIGMA)

    def deviations(values: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            modelled = np.nan_to_num(curve(values), nan=_FAINT, posinf=_FAINT, neginf=-_FAINT)
        return (points.magnitude - modelled) / sigma

    found = list(_converged(starts, limits, deviations, report))
    if not found:
        raise FitError(FAILED)
    best = min(found, key=lambda each: float(each.cost))
    if not np.isfinite(best.cost):
        raise FitError(FAILED)
    return best


def _converged(
    starts: list[Floats], limits: Floats, deviations: Callable[[Floats], Floats], report: Report
) -> Iterator[OptimizeResult]:
    for number, start in enumerate(starts):
        report("Fitting from several starts", number / len(starts))
        try:
            found = least_squares(deviations, start, bounds=limits, x_scale="jac", max_nfev=MOST_STEPS)
        except (ValueError, np.linalg.LinAlgError):
            continue
        if found.success:
            yield found


def _parameters(names: tuple[str, ...], found: OptimizeResult, limits: Floats) -> tuple[Parameter, ...]:
    """Return values and errors; what the data do not tell has no error."""
    normal = found.jac.T @ found.jac
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.diag(normal))
        scale = np.where(scale > 0, scale, np.nan)
        try:
            errors = np.sqrt(np.diag(np.linalg.inv(normal / np.outer(scale, scale)))) / scale
        except np.linalg.LinAlgError:
            errors = np.full(len(names), np.nan)
    at_limit = np.isclose(found.x, limits[0], atol=1e-4) | np.isclose(found.x, limits[1], atol=1e-4)
    return tuple(
        Parameter(name, float(value), float(error), bool(ended))
        for name, value, error, ended in zip(names, found.x, errors, at_limit, strict=True)
    )


def _in_degrees(parameter: Parameter) -> Parameter:
    if UNITS.get(parameter.name) != "deg":
        return parameter
    value, error = np.rad2deg([parameter.value, parameter.error])
    return Parameter(parameter.name, float(value), float(error), parameter.at_limit)


def _drawn(phase: Floats) -> Floats:
    return np.linspace(0.0, float(np.max(phase)) * 1.05 + 0.1, _DRAWN)


def _band_fit(
    points: Observations, modelled: Floats, drawn: Floats, curve: Floats, parameters: tuple[Parameter, ...]
) -> BandFit:
    order = np.argsort(points.phase, kind="stable")
    return BandFit(
        band=int(points.band[0]),
        phase=points.phase[order],
        magnitude=points.magnitude[order],
        sigma=points.sigma[order],
        residuals=(points.magnitude - modelled)[order],
        curve_phase=drawn,
        curve_magnitude=np.asarray(curve, dtype=np.float64),
        parameters=parameters,
    )
