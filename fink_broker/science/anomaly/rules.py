"""How the scores of the two forests of a model become one: a rule for models of 18 features, another for those of 25.

Both apply the forest named "r" to the features of the g band and the forest named "g" to those of the r band: exchanged
in training, so exchanged here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.science.features import FEATURES
from fink_broker.science.files import ANOMALY, checked_file

#: Files of the feature means that stand in for missing values.
MEANS_G, MEANS_R = ANOMALY + "g_means.csv", ANOMALY + "r_means.csv"

#: Inputs of a model of 18 features, in order; the first inputs of one of 25.
FEATURES_18 = (
    "amplitude", "anderson_darling_normal", "beyond_1_std", "chi2", "cusum", "kurtosis", "linear_fit_slope",
    "linear_fit_slope_sigma", "linear_trend_noise", "linear_trend_sigma", "magnitude_percentage_ratio_20_10",
    "magnitude_percentage_ratio_40_5", "maximum_slope", "median", "median_absolute_deviation",
    "median_buffer_range_percentage_10", "skew", "stetson_K",
)  # fmt: skip
#: Inputs of a model of 25 features, in order.
FEATURES_25 = (
    *FEATURES_18, "percent_amplitude", "linear_fit_reduced_chi2", "inter_percentile_range_10", "linear_trend",
    "standard_deviation", "weighted_mean", "mean",
)  # fmt: skip


class Forest(Protocol):
    """What a rule asks of a forest."""

    def scores(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the score of each row of features; that of a row depends on nothing but the row."""


@dataclass(frozen=True)
class BandFeatures:
    """Features of the alerts of a batch.

    Parameters
    ----------
    g, r : numpy.ndarray, shape (alerts, 26)
        Features in the order of :data:`~fink_broker.science.features.FEATURES`, NaN where unknown.
    has_g, has_r : numpy.ndarray of bool, shape (alerts,)
        Alerts with the band, be it without any feature.
    """

    g: Floats
    has_g: Mask
    r: Floats
    has_r: Mask


Scored = tuple[Floats, Mask]


@dataclass(frozen=True)
class Rule:
    """A rule for models with a certain number of inputs.

    Parameters
    ----------
    features : tuple of str
        The inputs, in order.
    score : callable
        From the forests named "g" and "r" and the features of a batch to the score of each alert (lower is stranger)
        and whether there is one; where not, the score is the value that stands for none.
    """

    features: tuple[str, ...]
    score: Callable[[Forest, Forest, BandFeatures], Scored]


def mean_of_both(forest_g: Forest, forest_r: Forest, features: BandFeatures) -> Scored:
    """Return the mean score of the two bands, an unknown feature replaced by its mean (models of 18 features).

    0 without both bands, and where no feature is known in either.
    """
    g, r = _inputs(features.g, FEATURES_18), _inputs(features.r, FEATURES_18)
    known = ~(np.isnan(g).all(axis=1) & np.isnan(r).all(axis=1))
    rows = np.flatnonzero(features.has_g & features.has_r & known)
    scores = np.zeros(len(g))
    if len(rows):
        of_g = forest_r.scores(_narrow(_imputed(g[rows], MEANS_R)))
        of_r = forest_g.scores(_narrow(_imputed(r[rows], MEANS_G)))
        scores[rows] = (of_r + of_g).astype(np.float64) / 2  # the sum is one of 32-bit numbers in production
    scored = np.zeros(len(g), dtype=bool)
    scored[rows] = True
    return scores, scored


def smallest_of_complete(forest_g: Forest, forest_r: Forest, features: BandFeatures) -> Scored:
    """Return the smaller score of the bands in which all features are known (models of 25 features); NaN without."""
    scores = np.full(len(features.g), np.nan)
    for forest, matrix in ((forest_r, features.g), (forest_g, features.r)):
        inputs = _inputs(matrix, FEATURES_25)
        rows = np.flatnonzero(~np.isnan(inputs).any(axis=1))
        if len(rows):
            scores[rows] = np.fmin(scores[rows], forest.scores(_narrow(inputs[rows])))
    return scores, ~np.isnan(scores)


#: The rule by the number of inputs of a model.
RULES = {
    len(FEATURES_18): Rule(FEATURES_18, mean_of_both),
    len(FEATURES_25): Rule(FEATURES_25, smallest_of_complete),
}


@lru_cache(maxsize=2)
def read_means(name: str) -> Floats:
    """Return the means of the 18 features of a shipped file with a line ``name,value`` each.

    Raises
    ------
    DataError
        If the file is missing or not the pinned one.
    """
    lines = checked_file(name).read_text().split()
    value_of = dict(line.split(",") for line in lines)
    return np.array([float(value_of[feature]) for feature in FEATURES_18])


def _inputs(matrix: Floats, names: tuple[str, ...]) -> Floats:
    """Return the columns of some features."""
    return matrix[:, [FEATURES.index(name) for name in names]]


def _imputed(inputs: Floats, means: str) -> Floats:
    return np.where(np.isnan(inputs), read_means(means), inputs)


def _narrow(inputs: Floats) -> npt.NDArray[np.float32]:
    """Return the inputs as 32-bit numbers, in rows; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(inputs, dtype=np.float32)
