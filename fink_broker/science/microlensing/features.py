"""The 47 numbers of a light curve in one band that the microlensing forest was trained with.

Godines et al. 2019, A&C 28, 100298. Most are plain statistics of the flux relative to the brightest point, in the
order of the packet; times are not used. Each vector needs at least four points.
"""

from __future__ import annotations

import numpy as np

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.science.microlensing.entropy import sample_entropy, shannon_entropy
from fink_broker.science.microlensing.peaks import count_peaks
from fink_broker.science.microlensing.ragged import Ragged, later

#: The features in the order of the forest.
FEATURES = (
    "points_above_1_sigma", "points_above_3_sigma", "points_above_5_sigma", "sum_of_squares", "sum_of_absolute_changes",
    "amplitude", "autocorrelation", "points_below_1_sigma", "points_below_3_sigma", "points_below_5_sigma",
    "mean_product_of_three", "has_repeated_value", "has_repeated_maximum", "has_repeated_minimum",
    "last_place_of_maximum", "last_place_of_minimum", "complexity", "faint_clusters_3_sigma", "faint_clusters_2_sigma",
    "points_above_mean", "points_below_mean", "first_place_of_maximum", "first_place_of_minimum", "integral",
    "kurtosis", "longest_run_above_mean", "longest_run_below_mean", "mean_absolute_change", "mean_change",
    "mean_second_derivative", "median_absolute_deviation", "fraction_near_median", "fraction_far_below_median",
    "peaks", "fraction_of_values_repeated", "absolute_median", "sample_entropy", "shannon_entropy", "skewness",
    "standard_deviation", "standard_deviation_over_median", "stetson_j", "stetson_k", "stetson_l", "sum",
    "time_asymmetry", "von_neumann_ratio",
)  # fmt: skip


class RelativeFluxes:
    """Light curves relative to their brightest point, and the statistics that several features share.

    Parameters
    ----------
    cut : Ragged
        How the points are cut into vectors.
    magnitude, error : numpy.ndarray, shape (points,)
        Apparent magnitudes and errors (AB mag), detections only, in the order of the packet.

    Attributes
    ----------
    flux : numpy.ndarray, shape (points,)
        Flux in units of magnitude 24.
    x, error : numpy.ndarray, shape (points,)
        Flux relative to the brightest point of the vector, and its error.
    ascending_flux, ascending_x : numpy.ndarray, shape (points,)
        The same, sorted in each vector.
    mean, median, deviation : numpy.ndarray, shape (vectors,)
        Mean, median, and standard deviation (normalised by n) of ``x``.
    n : numpy.ndarray, shape (vectors,)
        Points of each vector, as float64.
    """

    def __init__(self, cut: Ragged, magnitude: Floats, error: Floats) -> None:
        self.cut = cut
        self.n: Floats = cut.lengths.astype(np.float64)
        self.flux: Floats = 10.0 ** (-(magnitude - 24.0) / 2.5)
        flux_error = error * self.flux * np.log(10.0) / 2.5
        self.x: Floats = self.flux / cut.largest(self.flux)[cut.owner]
        self.error: Floats = flux_error * self.x / self.flux
        # the division keeps the order: one sort does for both
        order = cut.order(self.flux)
        self.ascending_flux, self.ascending_x = self.flux[order], self.x[order]
        self.mean = cut.mean(self.x)
        self.median = cut.median(self.ascending_x)
        self.deviation: Floats = np.sqrt(cut.mean((self.x - self.mean[cut.owner]) ** 2))
        self.from_median: Floats = self.x - self.median[cut.owner]

    @property
    def usable(self) -> Mask:
        """Vectors of which every flux and error is a finite number."""
        return self.cut.count(~(np.isfinite(self.x) & np.isfinite(self.error))) == 0


def features_of(curves: RelativeFluxes) -> Floats:
    """Return the features of light curves, shape (vectors, 47); 0 where one is not finite."""
    with np.errstate(all="ignore"):
        found = (
            _outliers(curves)
            | _around_mean(curves)
            | _percentiles(curves)
            | _moments(curves)
            | _changes(curves)
            | _three_in_a_row(curves)
            | _repeated_values(curves)
            | _places_of_extremes(curves)
            | _stetson(curves)
        )
        found["peaks"] = count_peaks(curves.cut, np.abs(curves.from_median))
        found["sample_entropy"] = sample_entropy(curves.cut, curves.x, curves.deviation)
        found["shannon_entropy"] = shannon_entropy(curves.cut, curves.x, curves.error, curves.median)
    table = np.column_stack([found[name] for name in FEATURES]).astype(np.float64)
    table[~np.isfinite(table)] = 0.0
    return table


Found = dict[str, np.ndarray]


def _outliers(curves: RelativeFluxes) -> Found:
    """Count points and clusters of points far from the median, in standard deviations."""
    cut, x, median, deviation = curves.cut, curves.x, curves.median, curves.deviation
    found: Found = {}
    for k in (1, 3, 5):
        found[f"points_above_{k}_sigma"] = cut.count(x > (median + k * deviation)[cut.owner])
        found[f"points_below_{k}_sigma"] = cut.count(x < (median - k * deviation)[cut.owner])
    for k in (2, 3):
        # the forest was trained with clusters on the faint side, and half of the triples for their number
        limit = (median - k * deviation)[cut.owner]
        low = x <= limit
        triples = cut.count(low & later(low, 1) & later(low, 2) & cut.has_next(2))
        found[f"faint_clusters_{k}_sigma"] = np.where(cut.count(x < limit) < 3, 0, (triples + 1) // 2)
    return found


def _around_mean(curves: RelativeFluxes) -> Found:
    """Count points, and points in a row, on each side of the mean."""
    cut = curves.cut
    mean = curves.mean[cut.owner]
    above, below = curves.x > mean, curves.x < mean
    return {
        "points_above_mean": cut.count(above),
        "points_below_mean": cut.count(below),
        "longest_run_above_mean": cut.longest_run(above),
        "longest_run_below_mean": cut.longest_run(below),
    }


def _percentiles(curves: RelativeFluxes) -> Found:
    """Measure the range of the flux, and how it lies around the median."""
    cut, flux = curves.cut, curves.flux
    amplitude = cut.percentile(curves.ascending_flux, 0.98) - cut.percentile(curves.ascending_flux, 0.02)
    median = cut.median(curves.ascending_flux)
    low, high = (median - amplitude / 10.0)[cut.owner], (median + amplitude / 10.0)[cut.owner]
    deviations = np.abs(curves.from_median)
    return {
        "amplitude": amplitude,
        "fraction_near_median": cut.count((flux > low) & (flux < high)) / curves.n,
        "fraction_far_below_median": cut.count(flux < (median - amplitude / 5.0)[cut.owner]) / curves.n,
        "median_absolute_deviation": cut.median(deviations[cut.order(deviations)]),
        "absolute_median": np.abs(curves.median),
    }


def _moments(curves: RelativeFluxes) -> Found:
    """Compute sums of powers; skewness and kurtosis are taken around the median."""
    cut, n, deviation = curves.cut, curves.n, curves.deviation
    cubes = curves.from_median * curves.from_median * curves.from_median
    scaled = curves.from_median / deviation[cut.owner]
    quartic = cut.total(scaled * scaled * scaled * scaled)
    total = cut.total(curves.x)
    unbiased = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0))
    return {
        "sum": total,
        "sum_of_squares": cut.total(curves.x * curves.x),
        "integral": total - (curves.x[cut.starts] + curves.x[cut.ends]) / 2.0,
        "standard_deviation": deviation,
        "standard_deviation_over_median": deviation / curves.median,
        "skewness": cut.mean(cubes) / deviation**3,
        "kurtosis": unbiased * quartic - 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0)),
    }


def _changes(curves: RelativeFluxes) -> Found:
    """Compare each point with the next one."""
    cut, x, n = curves.cut, curves.x, curves.n
    following = later(x, 1)
    change = following - x
    total_change = cut.total_of_neighbours(np.abs(change), 1)
    total_square = cut.total_of_neighbours(change * change, 1)
    first, last = x[cut.starts], x[cut.ends]
    total = cut.total(x)
    # Pearson's coefficient of all points but the last with all but the first
    here = x - ((total - last) / (n - 1.0))[cut.owner]
    there = following - ((total - first) / (n - 1.0))[cut.owner]
    covariance = cut.total_of_neighbours(here * there, 1)
    variances = cut.total_of_neighbours(here * here, 1) * cut.total_of_neighbours(there * there, 1)
    return {
        "sum_of_absolute_changes": total_change,
        "mean_absolute_change": total_change / (n - 1.0),
        "mean_change": (last - first) / (n - 1.0),
        "mean_second_derivative": (last - x[cut.ends - 1] - x[cut.starts + 1] + first) / (2.0 * (n - 2.0)),
        "autocorrelation": covariance / np.sqrt(variances),
        "complexity": np.sqrt(total_square) / curves.deviation,
        "von_neumann_ratio": total_square / (n - 1.0) / curves.deviation**2,
    }


def _three_in_a_row(curves: RelativeFluxes) -> Found:
    """Compute means over three consecutive points."""
    cut, n, first = curves.cut, curves.n, curves.x
    second, third = later(first, 1), later(first, 2)
    return {
        "mean_product_of_three": cut.total_of_neighbours(first * second * third, 2) / (n - 2.0),
        "time_asymmetry": cut.total_of_neighbours(third * third * second - second * first * first, 2) / (n - 2.0),
    }


def _repeated_values(curves: RelativeFluxes) -> Found:
    """Look for values that occur more than once."""
    cut, ascending = curves.cut, curves.ascending_x
    repeated = np.zeros(len(ascending), dtype=bool)
    repeated[1:] = ascending[1:] == ascending[:-1]
    repeated[cut.starts] = False
    again = later(repeated, 1) & cut.has_next(1)
    repetitions = cut.count(repeated)
    return {
        "has_repeated_value": repetitions > 0,
        "has_repeated_maximum": repeated[cut.ends],
        "has_repeated_minimum": again[cut.starts],
        "fraction_of_values_repeated": cut.count(again & ~repeated) / (cut.lengths - repetitions),
    }


def _places_of_extremes(curves: RelativeFluxes) -> Found:
    """Find the first and the last place of the brightest and the faintest point, relative to the length.

    A last place counts from the end: 1 for the last point of all.
    """
    cut, n = curves.cut, curves.n
    found: Found = {}
    for name, value in (
        ("maximum", curves.ascending_x[cut.ends]),
        ("minimum", curves.ascending_x[cut.starts]),
    ):
        there = curves.x == value[cut.owner]
        found[f"first_place_of_{name}"] = cut.smallest(np.where(there, cut.position, cut.lengths[cut.owner])) / n
        from_end = n - 1.0 - cut.largest(np.where(there, cut.position, -1))
        found[f"last_place_of_{name}"] = 1.0 - from_end / n
    return found


def _stetson(curves: RelativeFluxes) -> Found:
    """Compute the variability indices J, K and L (Stetson 1996, PASP 108, 851), around the median.

    J is a sum over pairs of neighbours, not their mean: so the forest was trained.
    """
    cut, n = curves.cut, curves.n
    residual = np.sqrt(n / (n - 1.0))[cut.owner] * curves.from_median / curves.error
    product = residual * later(residual, 1)
    j = cut.total_of_neighbours(np.sign(product) * np.sqrt(np.abs(product)), 1)
    k = cut.mean(np.abs(residual)) / np.sqrt(cut.mean(residual * residual))
    return {"stetson_j": j, "stetson_k": k, "stetson_l": j * k / 0.798}
