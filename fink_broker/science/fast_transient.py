"""How fast an object rises or fades: the change of magnitude since its previous point in the same band."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Ints, LightCurves, Mask
from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Column, Module, Needs, Outputs

#: Seed and number of the draws. All alerts share them ("common random numbers"): a rate depends on its alert alone,
#: is the same at every run, and differences between alerts carry no noise of their own.
SEED, DRAWS = 2023, 10_000
#: Magnitude of flux 1.
ZERO_POINT = 27.5
#: Magnitudes in a factor e of flux: 2.5/ln 10.
MAG_PER_E = 2.5 / np.log(10.0)
#: The rates that bound the middle 90 %.
PERCENTILES = (5.0, 95.0)
#: Bands beyond g and r end the search for a previous point.
LAST_BAND = 2
#: Alerts computed together: enough to forget the cost of a call, few enough for the draws to stay in the cache.
BLOCK = 4

RATES = ("mag_rate", "sigma_rate", "lower_rate", "upper_rate")


def build(_config: Config) -> Module:
    """Return the module."""
    rates = {
        "mag_rate": "mean change of magnitude since the previous point of the band; negative: brightening",
        "sigma_rate": "standard deviation of the rate over draws of both fluxes",
        "lower_rate": "5th percentile of the rate",
        "upper_rate": "95th percentile of the rate",
    }
    return Module(
        name="fast_transient",
        version="1",
        reference="Fink: fast transient rate; flux draws with common random numbers",
        needs=Needs(candidate=("jdstarthist",), history=("jd", "fid", "magpsf", "sigmapsf", "diffmaglim")),
        outputs=(
            Column("jd_first_real_det", pa.float64(), "d", "Julian date of the first detection in the packet", None),
            Column("jdstarthist_dt", pa.float64(), "d", "jd_first_real_det − jdstarthist; unreliable above 30", None),
            *(Column(name, pa.float64(), "mag/d", meaning, None) for name, meaning in rates.items()),
            Column("delta_time", pa.float64(), "d", "time since the previous point of the band", None),
            Column("from_upper", pa.bool_(), "", "the previous point of the band is an upper limit", False),
        ),
        compute=_compute,
        prepare=_prepare,
    )


@dataclass(frozen=True)
class Draws:
    """Random numbers shared by all alerts, each of shape (`DRAWS`,).

    Parameters
    ----------
    now, previous : numpy.ndarray
        Standard normal deviates of the current and of the previous flux.
    uniform : numpy.ndarray
        Fraction of the flux of an upper limit, in (0, 1).
    """

    now: Floats
    previous: Floats
    uniform: Floats


@lru_cache(maxsize=1)
def draws() -> Draws:
    """Return the shared random numbers, made once a process from a generator of their own."""
    random = np.random.default_rng(SEED)
    return Draws(random.standard_normal(DRAWS), random.standard_normal(DRAWS), random.random(DRAWS))


def _prepare() -> None:
    draws()


def previous_points(curves: LightCurves) -> Ints:
    """Return where in the flat arrays the previous point in the alert's band is, −1 where there is none.

    The search goes back from the last history point and ends at the first one in a band other than g and r.
    """
    fid = curves.numbers("fid")
    current = curves.offsets[1:] - 1
    index = np.arange(len(fid))
    history = np.ones(len(fid), dtype=bool)
    history[current] = False
    same = history & (fid == np.repeat(fid[current], curves.lengths))
    previous = curves.reduce(np.maximum, np.where(same, index, -1), -1)
    stop = curves.reduce(np.maximum, np.where(history & (fid > LAST_BAND), index, -1), -1)
    return np.where(previous > stop, previous, -1)


def first_detections(curves: LightCurves) -> Floats:
    """Return the jd of the first detection in the order of the packet, NaN where there is none."""
    jd = curves.numbers("jd")
    first = curves.reduce(np.minimum, np.where(curves.is_detection, np.arange(len(jd)), len(jd)), len(jd))
    return np.append(jd, np.nan)[first]


def magnitude_rates(
    magnitude: Floats, error: Floats, previous_magnitude: Floats, previous_error: Floats, days: Floats
) -> Floats:
    """Return the change of magnitude a day, over draws of the two fluxes.

    With F = 10^(0.4 (27.5 − m)) and relative error ρ = s·ln 10/2.5, the draws are F_now (1 + ρ_now z₁), and
    F_prev (1 + ρ_prev z₂) for a detection or F_limit·u for an upper limit; a draw counts if both are positive. The
    ratio of the two magnitudes' fluxes is taken out of the logarithm: it only shifts the rate.

    Parameters
    ----------
    magnitude, error : numpy.ndarray, shape (alerts,)
        Current magnitude and its error (mag).
    previous_magnitude : numpy.ndarray, shape (alerts,)
        Magnitude of the previous point, or its limit (mag).
    previous_error : numpy.ndarray, shape (alerts,)
        Its error (mag), NaN for an upper limit.
    days : numpy.ndarray, shape (alerts,)
        Time between the two.

    Returns
    -------
    numpy.ndarray, shape (4, alerts)
        Mean, standard deviation, 5th and 95th percentile (mag/d); NaN where a number overflows.
    """
    shared = draws()
    limit = np.isnan(previous_error)
    now, then = error / MAG_PER_E, np.where(limit, 0.0, previous_error) / MAG_PER_E
    cut = ~(_all_positive(now, shared.now) & _all_positive(then, shared.previous))
    statistics = np.full((4, len(days)), np.nan)
    scratch = np.empty((2, min(BLOCK, len(days)), DRAWS))  # one allocation for all blocks: fresh memory is slow
    for kind in (~cut & ~limit, ~cut & limit):
        rows = np.flatnonzero(kind)
        for start in range(0, len(rows), BLOCK):
            # rows are computed along the draws only: which ones share a block does not change a bit of any
            block = rows[start : start + BLOCK]
            ratios, spare = scratch[:, : len(block)]
            below = shared.uniform if limit[block[0]] else _scaled(then[block], shared.previous, spare)
            _scaled(now[block], shared.now, ratios)
            ratios /= below
            statistics[:, block] = _statistics_of_logarithms(ratios, spare)
    # Draws of poor photometry (errors above 0.27 mag, 2 % of alerts) are cut to lengths of their own: one by one.
    # Enough are always left: a flux is positive in half of the draws at least, two are in a quarter.
    for row in np.flatnonzero(cut):
        above = _scaled(now[[row]], shared.now)
        below = shared.uniform[None] if limit[row] else _scaled(then[[row]], shared.previous)
        counts = (above > 0) & (below > 0)
        ratios = (above[counts] / below[counts])[None]
        statistics[:, [row]] = _statistics_of_logarithms(ratios, np.empty_like(ratios))
    return _to_rates(statistics, magnitude - previous_magnitude, days)


def _scaled(relative_error: Floats, deviates: Floats, out: Floats | None = None) -> Floats:
    """Return draws of the fluxes of some alerts in units of the measured flux, of shape (alerts, draws)."""
    fluxes = np.multiply(relative_error[:, None], deviates, out=out)
    fluxes += 1.0
    return fluxes


def _all_positive(relative_error: Floats, deviates: Floats) -> Mask:
    """Tell where every draw of the flux is positive."""
    lowest = np.minimum(relative_error * deviates.min(), relative_error * deviates.max())
    return 1.0 + lowest > 0


def _statistics_of_logarithms(ratios: Floats, spare: Floats) -> Floats:
    """Return mean, standard deviation and the two percentiles of the natural logarithm of each row.

    Both arrays, of shape (alerts, draws), are overwritten.
    """
    values = np.log(ratios, out=ratios)
    count = values.shape[1]
    mean = values.sum(axis=1) / count
    deviation = np.subtract(values, mean[:, None], out=spare)
    variance = np.multiply(deviation, deviation, out=deviation).sum(axis=1) / count
    statistics = [mean, np.sqrt(variance)]
    begin = 0
    for percentile in PERCENTILES:
        place = percentile / 100.0 * (count - 1)
        rank = int(place)
        # One rank at a time, each in what the one before left above itself: NumPy finds a single rank with vector
        # instructions, several ranks in one call five times slower.
        rest = values[:, begin:]
        rest.partition(rank - begin, axis=1)
        here, above = values[:, rank], values[:, rank + 1 :].min(axis=1)
        statistics.append(here + (place - rank) * (above - here))
        begin = rank + 1
    return np.stack(statistics)


def _to_rates(statistics: Floats, magnitudes: Floats, days: Floats) -> Floats:
    """Turn statistics of the logarithm of the flux ratio into rates (mag/d)."""
    mean, spread, low, high = statistics
    ends = [(magnitudes - MAG_PER_E * end) / days for end in (low, high)]
    rates = np.stack(
        [
            (magnitudes - MAG_PER_E * mean) / days,
            MAG_PER_E * spread / np.abs(days),
            np.minimum(*ends),  # a brighter flux is a smaller magnitude; where times run backwards it is not
            np.maximum(*ends),
        ]
    )
    return np.where(np.isfinite(rates).all(axis=0), rates, np.nan)


def _has_flux(magnitude: Floats) -> Mask:
    """Tell which magnitudes are those of a positive number of flux: neither missing nor beyond what a float holds."""
    flux = 10.0 ** (0.4 * (ZERO_POINT - magnitude))
    return np.isfinite(flux) & (flux > 0)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _compute(batch: AlertBatch) -> Outputs:
    with np.errstate(all="ignore"):
        curves = batch.curves
        previous = previous_points(curves)
        found = previous >= 0
        jd, magnitude, limit = (curves.numbers(name)[previous] for name in ("jd", "magpsf", "diffmaglim"))
        delta_time = _finite(np.where(found, curves.last("jd") - jd, np.nan))
        from_upper = found & np.isnan(magnitude) & np.isfinite(limit)
        before = np.where(from_upper, limit, magnitude)
        error = np.where(from_upper, np.nan, curves.numbers("sigmapsf")[previous])
        now, now_error = curves.last("magpsf"), curves.last("sigmapsf")
        known = _has_flux(now) & np.isfinite(now_error) & _has_flux(before) & (from_upper | np.isfinite(error))
        rows = np.flatnonzero(known & (np.abs(delta_time) > 0))
        rates = np.full((4, len(batch)), np.nan)
        rates[:, rows] = magnitude_rates(now[rows], now_error[rows], before[rows], error[rows], delta_time[rows])
        first = first_detections(curves)
        return {
            "jd_first_real_det": _finite(first),
            "jdstarthist_dt": _finite(first - batch.numbers("jdstarthist")),
            **dict(zip(RATES, rates, strict=True)),
            "delta_time": delta_time,
            "from_upper": from_upper,
        }
