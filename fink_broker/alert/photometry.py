"""Fluxes and magnitudes in the systems the classifiers were trained in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats, Mask

#: 2.5/ln 10, as production rounds it.
MAG_PER_RELATIVE_ERROR = 1.0857
#: Jansky of AB magnitude 0.
ZERO_POINT_JY = 3631.0


def fluxcal(magnitude: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Return flux and error in the FLUXCAL system from magnitude and error (AB mag).

    F = 10^(−0.4 m)·10¹¹ and σ = 9.21034·10¹⁰·exp(−0.921034 m)·σ_m.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        flux = 10.0 ** (-0.4 * magnitude) * 1e11
        return flux, 9.21034e10 * np.exp(-0.921034 * magnitude) * error


def is_positive(isdiffpos: pa.Array) -> Mask:
    """Tell where the difference image is brighter than the reference (``isdiffpos`` is ``t`` or ``1``)."""
    positive = pc.is_in(isdiffpos, value_set=pa.array(["t", "1"]))
    return positive.fill_null(False).to_numpy(zero_copy_only=False)


def dc_flux(magpsf: Floats, sigmapsf: Floats, magnr: Floats, sigmagnr: Floats, positive: Mask) -> tuple[Floats, Floats]:
    """Return the apparent flux of the source itself and its error, in units of AB magnitude 0.

    The flux of the nearest reference source plus or minus the difference flux (Förster et al. 2021, AJ 161, 242).
    NaN where there is no reference magnitude or a negative one.

    Parameters
    ----------
    magpsf, sigmapsf : numpy.ndarray
        Difference magnitude and its error (AB mag).
    magnr, sigmagnr : numpy.ndarray
        Magnitude of the nearest reference source and its error (AB mag).
    positive : numpy.ndarray of bool
        Where the difference is added.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        difference, reference = 10.0 ** (-0.4 * magpsf), 10.0 ** (-0.4 * magnr)
        flux = reference + np.where(positive, difference, -difference)
        # divided first, as in production: slopes through points minutes apart feel the last bit
        error = np.sqrt(
            (sigmapsf / MAG_PER_RELATIVE_ERROR * difference) ** 2 + (sigmagnr / MAG_PER_RELATIVE_ERROR * reference) ** 2
        )
    unknown = magnr < 0
    return np.where(unknown, np.nan, flux), np.where(unknown, np.nan, error)


def dc_mag(magpsf: Floats, sigmapsf: Floats, magnr: Floats, sigmagnr: Floats, positive: Mask) -> tuple[Floats, Floats]:
    """Return the apparent magnitude of the source itself and its error (AB mag); NaN where the flux is negative.

    Parameters as for :func:`dc_flux`.
    """
    flux, error = dc_flux(magpsf, sigmapsf, magnr, sigmagnr, positive)
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = np.where(flux < 0, np.nan, flux)
        return -2.5 * np.log10(flux), error / flux * MAG_PER_RELATIVE_ERROR
