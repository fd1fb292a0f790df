"""Straight lines through the points of many light curves at once."""

from __future__ import annotations

import numpy as np

from fink_broker.alert.lightcurve import Floats, Ints


def fit_lines(owner: Ints, count: int, x: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return slope and R² of the weighted least-squares line of each group of points.

    With sums over the deviations from the weighted means: slope = S_xy/S_xx, R² = S_xy²/(S_xx S_yy), the share of the
    scatter of y that the line explains (Bevington & Robinson 2003, Data Reduction and Error Analysis, §6 and §11).

    Parameters
    ----------
    owner : numpy.ndarray of int
        Group of each point, 0 to count − 1, shape (p,).
    count : int
        Groups.
    x, y, weight : numpy.ndarray
        Points and their weights, 1/σ² or ones; shape (p,).

    Returns
    -------
    slope, r_squared : numpy.ndarray
        Shape (count,); NaN where the line is not defined: fewer than two different x, no scatter (R²), or a value
        that is not finite.
    """

    def total(values: Floats) -> Floats:
        return np.bincount(owner, values, minlength=count).astype(np.float64)

    with np.errstate(all="ignore"):
        weights = total(weight)
        dx = x - (total(weight * x) / weights)[owner]
        dy = y - (total(weight * y) / weights)[owner]
        sxx, sxy, syy = total(weight * dx * dx), total(weight * dx * dy), total(weight * dy * dy)
        slope, r_squared = sxy / sxx, sxy * sxy / (sxx * syy)
    return np.where(np.isfinite(slope), slope, np.nan), np.where(np.isfinite(r_squared), r_squared, np.nan)
