"""The period of a variable star: multiband Lomb-Scargle."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from astropy.timeseries import LombScargleMultiband
from scipy.special import betainc

from fink_broker.alert.lightcurve import Floats
from fink_broker.portal.web.fits.kinds import Report
from fink_broker.portal.web.fits.multiband import MultibandPeriodogram
from fink_broker.portal.web.fits.search import Magnitudes, PeriodSearch

#: points of the periodogram that are shown: of each bin the highest and the lowest
SHOWN_BINS = 1500
#: points of a model over one period
MODEL_POINTS = 200
_REFINED_PEAKS, _RIVALS = 12, 3
#: trials around a peak, and how much closer they come each time
_CLOSER, _TIMES = 20, 3


def fit_period(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return the best period of measurements, the periodogram, and the model at that period.

    Parameters
    ----------
    inputs : mapping
        As `Magnitudes.of` and `PeriodSearch.of` take them.
    report : callable
        Is told how far it is.

    Returns
    -------
    dict
        ``period`` and ``period_error`` (days), ``score`` (share of the variance the model explains, 0 to 1),
        ``chance`` (that noise alone gives such a score, somewhere in the range if the period was searched for),
        ``trials``, ``span`` (days),
        ``epoch`` (jd of phase 0, the brightest model), ``points`` (``jd``, ``fid``, ``mag``, ``error``,
        ``phase``, 0 to 1), ``periodogram`` (``period``, ``power``, by frequency), ``model`` (``phase``, and ``mag`` of
        each band by its fid as text), ``searched``: whether the period was searched for, ``rivals``: period and score
        of the highest peaks, without that of a period that was searched for.

    Raises
    ------
    FitError
        If the inputs are of no use.
    """
    magnitudes, search = Magnitudes.of(inputs), PeriodSearch.of(inputs)
    search.check(magnitudes)
    periodogram = MultibandPeriodogram(magnitudes, search.nterms_base, search.nterms_band)
    frequency, power = scan(periodogram, search, magnitudes.span, report)
    report("Refining", 0.95)
    peaks = refined(periodogram, search, frequency, power)
    best = 1 / search.period if search.period else peaks[0][1]
    epoch, phase, model = _model(magnitudes, search, best)
    known = [] if search.period else [best]
    score = float(periodogram.power(best, 0.0, 1)[0])
    shown = thinned(power)
    return {
        "period": 1 / best,
        "period_error": _period_error(periodogram, search, magnitudes, best),
        "score": score,
        "chance": chance_of_noise(score, search, magnitudes),
        "rivals": [[1 / other, height] for height, other in _apart(peaks, known, magnitudes.span)],
        "trials": len(frequency),
        "searched": search.period is None,
        "points": {
            "jd": magnitudes.jd.tolist(), "fid": magnitudes.fid.tolist(), "mag": magnitudes.mag.tolist(),
            "error": magnitudes.error.tolist(), "phase": ((magnitudes.jd - epoch) * best % 1).tolist(),
        },
        "span": magnitudes.span,
        "epoch": epoch,
        "periodogram": {"period": (1 / frequency[shown]).tolist(), "power": power[shown].tolist()},
        "model": {"phase": phase.tolist(), "mag": model},
    }  # fmt: skip


def scan(periodogram: MultibandPeriodogram, search: PeriodSearch, span: float, report: Report) -> tuple[Floats, Floats]:
    """Return the frequencies that are tried (1/day, ascending) and the power at each."""
    first, last = 1 / search.longest, 1 / search.shortest
    frequency = np.linspace(first, last, search.trials(span))
    step = (last - first) / (len(frequency) - 1)
    power = np.empty(len(frequency))
    for start in range(0, len(frequency), periodogram.together):
        count = min(periodogram.together, len(frequency) - start)
        power[start : start + count] = periodogram.power(first + start * step, step, count)
        report(f"Tried {start + count:,} of {len(frequency):,} periods", 0.95 * (start + count) / len(frequency))
    return frequency, power


def refined(
    periodogram: MultibandPeriodogram, search: PeriodSearch, frequency: Floats, power: Floats
) -> list[tuple[float, float]]:
    """Return score and frequency (1/day) of the highest peaks of a scan, the highest first, better than its steps."""
    wide = np.concatenate([[-np.inf], power, [-np.inf]])
    peaks = np.flatnonzero((power >= wide[:-2]) & (power >= wide[2:]))
    highest = peaks[np.argsort(power[peaks])[::-1][:_REFINED_PEAKS]]
    found = []
    for peak in highest:
        centre, step = frequency[peak], frequency[1] - frequency[0]
        for _ in range(_TIMES):
            step /= _CLOSER
            first = max(centre - _CLOSER * step, 1 / search.longest)
            close = periodogram.power(first, step, 2 * _CLOSER + 1)
            centre = min(first + int(close.argmax()) * step, 1 / search.shortest)
        found.append((float(close.max()), float(centre)))
    return sorted(found, reverse=True)


def _apart(peaks: list[tuple[float, float]], known: list[float], span: float) -> list[tuple[float, float]]:
    """Return the highest peaks that are further from each other, and from those known, than a peak is wide."""
    kept: list[tuple[float, float]] = []
    for height, frequency in peaks:
        others = [*known, *(each for _, each in kept)]
        if len(kept) < _RIVALS and all(abs(frequency - other) > 1 / span for other in others):
            kept.append((height, frequency))
    return kept


def chance_of_noise(score: float, search: PeriodSearch, magnitudes: Magnitudes) -> float:
    """Return about how likely noise alone gives a score, at the given period or at some of the range, 0 to 1.

    For Gaussian noise of unknown size the score z of one frequency is distributed as Beta(p/2, d/2), p terms, d degrees
    of freedom. The highest of a range is as that of B √(4π Var t) √(n z / 2) independent ones, B the bandwidth (Baluev
    2008, MNRAS 385, 1279, for one sinusoid); harmonics get out of step sooner, by the root mean square of their order.
    """
    bands = len(magnitudes.bands)
    terms = search.coefficients(bands) - bands
    freedom = len(magnitudes.jd) - bands - terms
    score = min(1.0, max(0.0, score))
    single = float(betainc(freedom / 2, terms / 2, 1 - score))
    if search.period is not None:
        return single
    bandwidth = 1 / search.shortest - 1 / search.longest
    sooner = np.sqrt((search.harmonics + 1) * (2 * search.harmonics + 1) / 6)
    width = bandwidth * sooner * np.sqrt(4 * np.pi * np.var(magnitudes.jd))
    independent = max(1.0, width * max(1.0, np.sqrt((freedom + terms) * score / 2)))
    return float(-np.expm1(independent * np.log1p(-min(single, 1 - 1e-16))))


def thinned(power: Floats, bins: int = SHOWN_BINS) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return which points of a periodogram are shown: the highest and the lowest of each bin, so no peak is lost."""
    if len(power) <= 2 * bins:
        return np.arange(len(power))
    edges = np.linspace(0, len(power), bins + 1).astype(np.int64)
    kept = [edge + part(power[edge:end]) for edge, end in pairwise(edges) for part in (np.argmax, np.argmin)]
    return np.unique(np.asarray(kept, dtype=np.int64))


def _model(
    magnitudes: Magnitudes, search: PeriodSearch, frequency: float
) -> tuple[float, Floats, dict[str, list[float]]]:
    """Return the jd of phase 0, phases and the magnitudes of each band at them."""
    start = float(magnitudes.jd[0])
    bands = np.asarray(magnitudes.bands)
    fitted = LombScargleMultiband(
        magnitudes.jd - start, magnitudes.mag, magnitudes.fid, magnitudes.error,
        nterms_base=search.nterms_base, nterms_band=search.nterms_band,
    )  # fmt: skip
    phase = np.linspace(0, 1, MODEL_POINTS, endpoint=False)
    curves = np.asarray(fitted.model(phase / frequency, frequency, bands_fit=bands), dtype=np.float64)
    most = int(np.argmax([(magnitudes.fid == band).sum() for band in bands]))
    brightest = int(curves[most].argmin())
    curves = np.roll(curves, -brightest, axis=1)
    model = {str(band): curve.tolist() for band, curve in zip(bands, curves, strict=True)}
    return start + phase[brightest] / frequency, phase, model


def _period_error(
    periodogram: MultibandPeriodogram, search: PeriodSearch, magnitudes: Magnitudes, frequency: float
) -> float | None:
    """Return the error of a period (days), from how sharp its peak is; None where there is no peak.

    χ² = χ₀² (1 − P), and with errors scaled so that χ² is one a degree of freedom it rises by one within
    σ_f = √(2 (1 − P) / (d |P″|)).
    """
    step = 0.02 / magnitudes.span / search.harmonics
    below, here, above = periodogram.power(frequency - step, step, 3)
    curvature = (below - 2 * here + above) / step**2
    freedom = len(magnitudes.jd) - search.coefficients(len(magnitudes.bands)) - 1
    if curvature >= 0 or search.period is not None:
        return None
    return float(np.sqrt(2 * max(0.0, 1 - here) / (freedom * -curvature)) / frequency**2)
