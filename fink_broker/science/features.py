"""Light-curve features: 26 numbers that describe the shape of the light curve in each band."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Ints, LightCurves, Mask
from fink_broker.alert.photometry import dc_mag, is_positive
from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs

log = logging.getLogger(__name__)

#: Number of the filter (``fid``) of each band with features.
BANDS = {"g": 1, "r": 2}
#: Columns, in the order of `BANDS`.
COLUMNS = tuple(f"lc_features_{band}" for band in BANDS)
#: Names of the features, in the order of the struct.
FEATURES = (
    "mean", "weighted_mean", "standard_deviation", "median", "amplitude", "beyond_1_std", "cusum",
    "inter_percentile_range_10", "kurtosis", "linear_trend", "linear_trend_sigma", "linear_trend_noise",
    "linear_fit_slope", "linear_fit_slope_sigma", "linear_fit_reduced_chi2", "magnitude_percentage_ratio_40_5",
    "magnitude_percentage_ratio_20_10", "maximum_slope", "median_absolute_deviation",
    "median_buffer_range_percentage_10", "percent_amplitude", "mean_variance", "anderson_darling_normal", "chi2",
    "skew", "stetson_K",
)  # fmt: skip
#: Type of a column.
FEATURES_TYPE = pa.struct([pa.field(name, pa.float64()) for name in FEATURES])

#: Distance (arcsec) up to which the nearest reference source is the object itself: a variable source, whose apparent
#: magnitude is described, and not that of the difference.
SAME_SOURCE_ARCSEC = 1.5
#: What the extractor can take: beyond, sums over a curve overflow, or its times coincide in the precision of the fit.
MAX_TIME_DAYS, MIN_GAP_DAYS, MAX_MAG = 1e9, 1e-12, 1e100


def build(_config: Config) -> Module:
    """Return the module."""
    return Module(
        name="features",
        version="1",
        reference="Malanchev et al. 2021, MNRAS 502, 5147 (package light-curve)",
        needs=Needs(
            history=("jd", "fid", "magpsf", "sigmapsf", "distnr", "magnr", "sigmagnr", "isdiffpos"),
        ),
        outputs=tuple(
            Column(name, FEATURES_TYPE, "", f"features of the {band}-band light curve; magnitudes and days", None)
            for name, band in zip(COLUMNS, BANDS, strict=True)
        ),
        compute=_compute,
        prepare=_prepare,
    )


@dataclass(frozen=True)
class BandCurves:
    """Light curves in one band each, sorted by time, no time twice, as flat arrays.

    Parameters
    ----------
    curve : numpy.ndarray of int, shape (points,)
        The light curve each point belongs to, ascending.
    jd : numpy.ndarray, shape (points,)
        Time (days).
    mag, error : numpy.ndarray, shape (points,)
        Magnitude and its error (AB mag).
    """

    curve: Ints
    jd: Floats
    mag: Floats
    error: Floats

    def take(self, chosen: Ints | Mask) -> BandCurves:
        """Return some of the points, in the order given."""
        return BandCurves(self.curve[chosen], self.jd[chosen], self.mag[chosen], self.error[chosen])


def band_curves(curves: LightCurves) -> BandCurves:
    """Return the light curves of the g band, then those of the r band; curve ``b * alerts + i`` is alert i in band b.

    Points are detections with a finite magnitude and error. Where any of an alert, in any band, lies within 1.5″ of
    a reference source, all its magnitudes are apparent ones, and points without are dropped.
    """
    fid, magpsf, sigmapsf = (curves.numbers(field) for field in ("fid", "magpsf", "sigmapsf"))
    kept = np.isfinite(magpsf) & np.isfinite(sigmapsf)
    # the points are in the order of the alerts: one band after the other they are in the order of the curves
    of_band = [np.flatnonzero(kept & (fid == number)) for number in BANDS.values()]
    index = np.concatenate(of_band)
    curve = np.concatenate([band * len(curves) + curves.owner[points] for band, points in enumerate(of_band)])
    points = BandCurves(curve, curves.numbers("jd")[index], *_magnitudes(curves, kept, index))
    points = points.take(~(np.isnan(points.mag) | np.isnan(points.error)))
    return _first_of_each_time(_by_time(points))


def _magnitudes(curves: LightCurves, kept: Mask, index: Ints) -> tuple[Floats, Floats]:
    """Return magnitudes and errors (AB mag) of some points: apparent ones where the alert is a reference source."""
    distance = curves.numbers("distnr")
    variable = np.zeros(len(curves), dtype=bool)
    variable[curves.owner[kept & (distance >= 0) & (distance <= SAME_SOURCE_ARCSEC)]] = True
    mag, error = curves.numbers("magpsf")[index], curves.numbers("sigmapsf")[index]
    apparent = variable[curves.owner[index]]
    if apparent.any():
        chosen = index[apparent]
        mag[apparent], error[apparent] = dc_mag(
            mag[apparent],
            error[apparent],
            curves.numbers("magnr")[chosen],
            curves.numbers("sigmagnr")[chosen],
            is_positive(curves.texts("isdiffpos"))[chosen],
        )
    return mag, error


def _by_time(points: BandCurves) -> BandCurves:
    """Sort the points of each curve by time; equal times stay in packet order."""
    with np.errstate(invalid="ignore"):
        backwards = (points.curve[1:] == points.curve[:-1]) & (points.jd[1:] < points.jd[:-1])
    # histories come in the order of time as a rule: most batches need no sort
    return points.take(np.lexsort((points.jd, points.curve))) if backwards.any() else points


def _first_of_each_time(points: BandCurves) -> BandCurves:
    """Keep the first of the points of a curve that have the same time."""
    first = np.ones(len(points.jd), dtype=bool)
    first[1:] = (points.curve[1:] != points.curve[:-1]) | (points.jd[1:] != points.jd[:-1])
    return points.take(first)


def unusable(points: BandCurves, curves: int) -> Mask:
    """Tell which curves no features can be computed of, shape (curves,): values out of any physical range."""
    bad = np.zeros(curves, dtype=bool)
    fine = (np.abs(points.jd) <= MAX_TIME_DAYS) & (np.abs(points.mag) <= MAX_MAG) & (np.abs(points.error) <= MAX_MAG)
    bad[points.curve[~fine]] = True
    with np.errstate(invalid="ignore", over="ignore"):
        gap = points.jd[1:] - points.jd[:-1]
    # times are sorted and differ; closer than this they can only be where they are no days of the calendar at all
    close = (points.curve[1:] == points.curve[:-1]) & (gap < MIN_GAP_DAYS)
    bad[points.curve[1:][close]] = True
    return bad


def extract(points: BandCurves, curves: int) -> tuple[Floats, Mask]:
    """Return the features of each curve, and of which there can be none.

    Parameters
    ----------
    points : BandCurves
        Light curves, sorted.
    curves : int
        How many there are; some may have no point.

    Returns
    -------
    features : numpy.ndarray, shape (26, curves)
        NaN where a curve is too short for a feature.
    failed : numpy.ndarray of bool, shape (curves,)
        Curves of unphysical values, and those the extractor raises on.
    """
    features = np.full((len(FEATURES), curves), np.nan)
    failed = unusable(points, curves)
    if failed.any():
        points = points.take(~failed[points.curve])
    lengths = np.bincount(points.curve, minlength=curves)
    rows = np.flatnonzero(lengths)
    if len(rows):
        offsets = np.concatenate([[0], np.cumsum(lengths[rows])]).astype(np.int32)
        struct = pa.StructArray.from_arrays([points.jd, points.mag, points.error], names=["t", "m", "sigma"])
        values, raised = _evaluate(pa.ListArray.from_arrays(offsets, struct))
        features[:, rows] = values.T
        failed[rows[raised]] = True
    return features, failed


def _evaluate(curves: pa.ListArray) -> tuple[Floats, Mask]:
    """Return features, shape (curves, 26), and which curves the extractor raises on: halve until only they are left."""
    try:
        values = _extractor().many(
            curves,
            arrow_fields={"t": "t", "m": "m", "sigma": "sigma"},
            sorted=True,
            check=False,
            fill_value=np.nan,
            n_jobs=1,
        )
        return values, np.zeros(len(curves), dtype=bool)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the Rust code is no Exception
        if len(curves) == 1:
            log.debug("no light-curve features: %s", error)
            return np.full((1, len(FEATURES)), np.nan), np.ones(1, dtype=bool)
    middle = len(curves) // 2
    halves = [_evaluate(curves.slice(0, middle)), _evaluate(curves.slice(middle))]
    return np.concatenate([half[0] for half in halves]), np.concatenate([half[1] for half in halves])


def _prepare() -> None:
    """Load the extractor."""
    _extractor()


@lru_cache(maxsize=1)
def _extractor() -> Any:
    """Return the extractor of all features.

    Raises
    ------
    DataError
        If the package is missing or names its features otherwise.
    """
    try:
        import light_curve as lc  # noqa: PLC0415 - takes a tenth of a second, which commands without science save
    except ImportError as error:
        raise DataError("The package light-curve is not installed.", _INSTALL) from error
    extractor = lc.Extractor(
        lc.Mean(),
        lc.WeightedMean(),
        lc.StandardDeviation(),
        lc.Median(),
        lc.Amplitude(),
        lc.BeyondNStd(nstd=1),
        lc.Cusum(),
        lc.InterPercentileRange(quantile=0.1),
        lc.Kurtosis(),
        lc.LinearTrend(),
        lc.LinearFit(),
        lc.MagnitudePercentageRatio(quantile_numerator=0.4, quantile_denominator=0.05),
        lc.MagnitudePercentageRatio(quantile_numerator=0.2, quantile_denominator=0.1),
        lc.MaximumSlope(),
        lc.MedianAbsoluteDeviation(),
        lc.MedianBufferRangePercentage(quantile=0.1),
        lc.PercentAmplitude(),
        lc.MeanVariance(),
        lc.AndersonDarlingNormal(),
        lc.ReducedChi2(),
        lc.Skew(),
        lc.StetsonK(),
    )
    if tuple(extractor.names) != FEATURES:
        raise DataError("The installed package light-curve gives other features than 0.13.3.", _INSTALL)
    return extractor


_INSTALL = "Install it with: pip install light-curve==0.13.3."


def _compute(batch: AlertBatch) -> Outputs:
    alerts, curves = len(batch), batch.curves
    fid = curves.numbers("fid")
    present = np.zeros((len(BANDS), alerts), dtype=bool)  # by upper limits, too
    for band, number in enumerate(BANDS.values()):
        present[band, curves.owner[fid == number]] = True
    features, failed = extract(band_curves(curves), len(BANDS) * alerts)
    if failed.any():
        log.info("%d light curves have no features: their values are out of range", failed.sum())
    missing = ~present | failed.reshape(present.shape)
    outputs: dict[str, Any] = {
        name: _structs(features[:, band * alerts : (band + 1) * alerts], missing[band])
        for band, name in enumerate(COLUMNS)
    }
    return outputs | {SKIPPED: ~present.any(axis=0)}


def _structs(features: Floats, missing: Mask) -> pa.StructArray:
    """Return features, shape (26, alerts), as one struct an alert."""
    return pa.StructArray.from_arrays(
        [pa.array(row) for row in features], fields=list(FEATURES_TYPE), mask=pa.array(missing)
    )
