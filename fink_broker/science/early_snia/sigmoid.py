"""A sigmoid fitted to a rising light curve, F(t) = c / (1 + exp(−a (t − b)))."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from fink_broker.alert.lightcurve import Floats

#: a, b, c, signal-to-noise ratio, mean squared error and nights of a band that does not rise.
EMPTY_BAND = (0.0, 0.0, 0.0, 0.1, 1e8, 0.0)
#: What cannot be computed.
_UNKNOWN = (np.nan,) * len(EMPTY_BAND)
#: Decimals to which the fitted fluxes are rounded before they are compared, and what stands for zero then.
DECIMALS, ZERO_FLUX = 4, 1e-5
#: Relative step of the numerical derivatives.
STEP = np.finfo(np.float64).eps ** 0.5


def band_features(time: Floats, flux: Floats, error: Floats) -> tuple[float, ...]:
    """Return the six features of a rising band.

    Parameters
    ----------
    time : numpy.ndarray
        Days since the first night.
    flux, error : numpy.ndarray
        Mean of each night (FLUXCAL).

    Returns
    -------
    tuple of float
        a (1/day), b (days), c (FLUXCAL), mean signal-to-noise ratio, mean squared error of the fit with both curves
        scaled to a sum of one, number of nights. All NaN where the numbers overflow 32 bits, which is what the forest
        reads, or the fit does not work out.
    """
    with np.errstate(all="ignore"):
        if not (np.isfinite(time).all() and flux.max() <= np.finfo(np.float32).max):
            return _UNKNOWN
        try:
            rate, middle, height = fit(time, flux)
        except (ValueError, np.linalg.LinAlgError):  # numbers overflowed on the way
            return _UNKNOWN
        fitted = np.round(_sigmoid(rate, middle, height, time), DECIMALS)
        fitted[fitted == 0] = ZERO_FLUX
        scaled_error = np.mean((flux / np.sum(flux) - fitted / np.sum(fitted)) ** 2)
        return rate, middle, height, float(np.mean(flux / error)), float(scaled_error), float(len(flux))


def fit(time: Floats, flux: Floats) -> tuple[float, float, float]:
    """Return the parameters a (1/day), b (days), c (unit of flux) that minimise the sum of squares |F − model|².

    As production: `scipy.optimize.least_squares` as it comes, with the absolute residual. Its own derivatives, forward
    differences, are computed here in one go: the same to the last bit, in two thirds of the time. Analytic ones stop
    elsewhere in the flat valley of an ill-conditioned fit, 6 % away at worst.

    Raises
    ------
    ValueError, numpy.linalg.LinAlgError
        If numbers overflow.
    """

    def residuals(parameters: Floats) -> Floats:
        return np.abs(flux - _sigmoid(parameters[0], parameters[1], parameters[2], time))

    def derivatives(parameters: Floats) -> Floats:
        step = STEP * np.where(parameters >= 0, 1.0, -1.0) * np.maximum(1.0, np.abs(parameters))
        moved = parameters + np.diag(step)
        around = np.abs(flux - _sigmoid(moved[:, 0:1], moved[:, 1:2], moved[:, 2:3], time))
        taken = (parameters + step) - parameters
        return ((around - residuals(parameters)) / taken[:, None]).T

    rate, middle, height = least_squares(residuals, _start(time, flux), jac=derivatives).x.tolist()
    return rate, middle, height


def _sigmoid(rate: Floats | float, middle: Floats | float, height: Floats | float, time: Floats) -> Floats:
    model: Floats = height / (1.0 + np.exp(-rate * (time - middle)))
    return model


def _start(time: Floats, flux: Floats) -> tuple[float, float, float]:
    """Return where the fit starts: the slope is one of positions in the light curve, as the forest was trained."""
    highest, lowest = int(np.argmax(flux)), int(np.argmin(flux))
    rate = (highest - lowest) / (time[highest] - time[lowest]) if time[highest] > 0 else 1.0
    height, first = flux[highest], max(flux[0], 0.0)
    middle = np.log(height / first - 1.0) / rate if first not in (0.0, height) else 1.0
    return float(rate), float(middle), float(height)
