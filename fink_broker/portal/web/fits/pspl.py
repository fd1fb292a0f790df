"""A microlensing event: a point source magnified by a point lens (PSPL), fitted by pyLIMA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pyLIMA.event import Event
from pyLIMA.fits.TRF_fit import TRFfit
from pyLIMA.models.PSPL_model import PSPLmodel
from pyLIMA.telescopes import Telescope
from pyLIMA.toolbox.brightness_transformation import flux_to_magnitude

from fink_broker.alert.lightcurve import Floats
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.kinds import Report
from fink_broker.portal.web.fits.search import Magnitudes

MODEL_POINTS = 400
NOT_CONVERGED = "The fitting procedure could not converge."
#: Where fits start besides pyLIMA's own guess, as u0 and tE (days): broad and narrow, strong and weak.
_STARTS = ((0.1, 20.0), (0.4, 40.0), (0.3, 8.0), (0.05, 100.0))
#: share within which χ² of two starts is that of one minimum
_SAME = 1e-6
#: three of the lens, and flux and blend of each telescope
_OF_LENS, _OF_TELESCOPE = 3, 2


def fit_pspl(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return the parameters of a point source and a point lens, and measurements and model on one scale.

    Parameters
    ----------
    inputs : mapping
        As `Magnitudes.of` takes them, and ``ra``, ``dec`` (degrees).
    report : callable
        Is told how far it is.

    Returns
    -------
    dict
        ``t0`` (jd), ``tE`` (days), ``u0`` (≥ 0) and ``<name>_error`` of each; ``chi2``, ``freedom``; ``reference``
        (fid of the band all are aligned to); ``points`` (``jd``, ``fid``, ``mag``, ``error``, ``residual``; mag) and
        ``model`` (``jd``, ``mag``); ``blend``: share of the light at rest that is not the source's, by fid as text;
        None where fewer than three points leave it open.

    Raises
    ------
    FitError
        If there are too few measurements, or no fit converges.
    """
    magnitudes = Magnitudes.of(inputs)
    needed = _OF_LENS + _OF_TELESCOPE * len(magnitudes.bands) + 1
    if len(magnitudes.jd) < needed:
        raise FitError(
            f"The object has {len(magnitudes.jd)} usable measurements: a microlensing model of its bands needs "
            f"{needed} or more."
        )
    model = PSPLmodel(_event(magnitudes, float(inputs["ra"]), float(inputs["dec"])), blend_flux_parameter="fblend")
    best, is_found_twice = None, False
    for number, start in enumerate((None, *_starts(magnitudes))):
        report("Fitting from several starts", number / (len(_STARTS) + 1))
        found = None if is_found_twice else _fitted(model, start)
        if found is None:
            continue
        is_found_twice = best is not None and abs(found[0] - best[0]) < _SAME * best[0]
        if best is None or found[0] < best[0]:
            best = found
    if best is None:
        raise FitError(NOT_CONVERGED)
    return _answer(magnitudes, model, *best)


def _event(magnitudes: Magnitudes, ra: float, dec: float) -> Event:
    """Return an event with one telescope a band."""
    event = Event(ra=ra, dec=dec)
    event.name = "object"
    for band in magnitudes.bands:
        of_band = magnitudes.fid == band
        table = np.column_stack([magnitudes.jd[of_band], magnitudes.mag[of_band], magnitudes.error[of_band]])
        event.telescopes.append(
            Telescope(
                name=str(band),
                camera_filter=str(band),
                lightcurve=table,
                lightcurve_names=["time", "mag", "err_mag"],
                lightcurve_units=["JD", "mag", "mag"],
            )
        )
    event.check_event()
    return event


def _starts(magnitudes: Magnitudes) -> Iterator[list[float]]:
    brightest = float(magnitudes.jd[np.argmin(magnitudes.mag)])
    for u0, t_e in _STARTS:
        yield [brightest, u0, t_e]


def _fitted(model: PSPLmodel, start: list[float] | None) -> tuple[float, Floats, Floats] | None:
    """Return χ², parameters and their covariance of a fit from a start; None if it fails."""
    fit = TRFfit(model)
    if start is not None:
        fit.model_parameters_guess = start
    try:
        with np.errstate(all="ignore"):
            fit.fit()
    except Exception:  # pyLIMA raises of many kinds where it cannot guess or the matrix is singular
        return None
    if not getattr(fit, "fit_results", None):
        return None
    values, chi2 = np.asarray(fit.fit_results["best_model"]), float(fit.fit_results["chi2"])
    covariance = np.asarray(fit.fit_results["covariance_matrix"])
    if not (np.isfinite(chi2) and np.isfinite(values).all() and np.isfinite(covariance).all()):
        return None
    return chi2, values, covariance


def _answer(
    magnitudes: Magnitudes, model: PSPLmodel, chi2: float, values: Floats, covariance: Floats
) -> dict[str, Any]:
    fitted = model.compute_pyLIMA_parameters(values)
    errors = np.sqrt(np.clip(np.diag(covariance), 0, None))
    freedom = len(magnitudes.jd) - len(values)
    reference = max(magnitudes.bands, key=lambda band: int((magnitudes.fid == band).sum()))
    source, blend = (float(fitted[f"{name}_{reference}"]) for name in ("fsource", "fblend"))
    aligned, residual = np.empty(len(magnitudes.jd)), np.empty(len(magnitudes.jd))
    for telescope in model.event.telescopes:
        of_band = magnitudes.fid == int(telescope.name)
        expected = np.asarray(model.compute_the_microlensing_model(telescope, fitted)["photometry"])
        residual[of_band] = magnitudes.mag[of_band] - flux_to_magnitude(expected)
    magnification = _magnification(magnitudes.jd, fitted)
    # on one scale the model of all bands is that of one, and a residual stays what it was
    aligned = flux_to_magnitude(source * magnification + blend) + residual
    jd = np.linspace(magnitudes.jd[0], magnitudes.jd[-1], MODEL_POINTS)
    near = float(fitted["t0"]) + np.linspace(-2, 2, MODEL_POINTS // 2) * float(fitted["tE"])
    jd = np.sort(np.concatenate([jd, near[(near > jd[0]) & (near < jd[-1])]]))
    names = ("t0", "u0", "tE")
    return {
        **{name: float(fitted[name]) for name in names},
        "u0": abs(float(fitted["u0"])),
        **{f"{name}_error": float(errors[model.model_dictionnary[name]]) for name in names},
        "chi2": chi2,
        "freedom": freedom,
        "reference": reference,
        "points": {
            "jd": magnitudes.jd.tolist(), "fid": magnitudes.fid.tolist(), "mag": aligned.tolist(),
            "error": magnitudes.error.tolist(), "residual": residual.tolist(),
        },
        "model": {"jd": jd.tolist(), "mag": flux_to_magnitude(source * _magnification(jd, fitted) + blend).tolist()},
        "blend": {str(band): _blended(fitted, band, magnitudes) for band in magnitudes.bands},
    }  # fmt: skip


def _magnification(jd: Floats, fitted: Mapping[str, Any]) -> Floats:
    """Return A(u) = (u² + 2) / (u √(u² + 4)), u² = u0² + ((t − t0)/tE)² (Paczyński 1986, ApJ 304, 1)."""
    u2 = float(fitted["u0"]) ** 2 + ((jd - float(fitted["t0"])) / float(fitted["tE"])) ** 2
    magnification: Floats = (u2 + 2) / np.sqrt(u2 * (u2 + 4))
    return magnification


def _blended(fitted: Mapping[str, Any], band: int, magnitudes: Magnitudes) -> float | None:
    if np.count_nonzero(magnitudes.fid == band) <= _OF_TELESCOPE:  # source and blend fit them whatever the lens
        return None
    source, blend = float(fitted[f"fsource_{band}"]), float(fitted[f"fblend_{band}"])
    return blend / (source + blend) if source + blend else 0.0
