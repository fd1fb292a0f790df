"""Kilonovae: an expanding, cooling black body like AT2017gfo."""

from __future__ import annotations

import numpy as np

from fink_broker.simulate.sky.source import Source, View, random_host
from fink_broker.simulate.sky.units import WAVELENGTHS, Floats, Ints, distance_modulus, flux_of, nearby_redshift

_PARSEC = 3.0857e18  # cm
_STEFAN_BOLTZMANN = 5.6704e-5  # erg/s/cm²/K⁴
_HC_OVER_K = 1.43878e8  # Å K
_RISE_DAYS = 0.15
_FLOOR_KELVIN = 2500.0


def absolute_mag(days: Floats, fid: Ints, luminosity: float = 1.0, slowness: float = 1.0) -> Floats:
    """Return absolute AB magnitudes of a kilonova.

    Bolometric luminosity 5·10⁴¹ erg/s at one day, falling as t⁻¹·¹, and temperature 6600 K at one day, falling as
    t⁻⁰·⁷ down to 2500 K where lanthanides recombine: power laws drawn through the black-body fits of AT2017gfo in
    Drout et al. (2017, Science 358, 1570) and Villar et al. (2017, ApJL 851, L21).

    Parameters
    ----------
    days : array
        Rest-frame days since merger.
    fid : array of int
        Filters.
    luminosity, slowness : float
        Luminosity and time scale relative to AT2017gfo.

    Returns
    -------
    array
        Absolute magnitude, inf before the merger.
    """
    time = np.maximum(days / slowness, 1e-3)
    power = 5.0e41 * luminosity * time**-1.1 * (1.0 - np.exp(-((time / _RISE_DAYS) ** 2)))
    kelvin = np.maximum(6600.0 * time**-0.7, _FLOOR_KELVIN)
    kelvin = np.minimum(kelvin, 25000.0)
    wavelength = WAVELENGTHS[fid - 1]
    # π B_ν R²/d² at d = 10 pc with R² = L / (4π σ T⁴); B_ν = 2hc/λ³ / (exp(hc/λkT) - 1)
    planck = 2 * 6.62607e-27 * 2.99792e10 / (wavelength * 1e-8) ** 3 / np.expm1(_HC_OVER_K / (wavelength * kelvin))
    radius_squared = power / (4 * np.pi * _STEFAN_BOLTZMANN * kelvin**4)
    density = np.pi * planck * radius_squared / (10 * _PARSEC) ** 2  # erg/s/cm²/Hz
    with np.errstate(divide="ignore"):
        return np.where(days > 0, -2.5 * np.log10(density) - 48.6, np.inf)


def draw(rng: np.random.Generator, view: View) -> Source:
    """Draw a kilonova within z < 0.025 (about 105 Mpc), up to five days after the merger."""
    redshift = nearby_redshift(rng, 0.025)
    luminosity = float(10.0 ** rng.normal(0.0, 0.2))
    slowness = float(10.0 ** rng.normal(0.0, 0.08))
    merger_jd = view.jd - float(rng.uniform(0.15, 5.0))
    modulus = distance_modulus(redshift)

    def flux(jd: Floats, fid: Ints) -> Floats:
        days = (jd - merger_jd) / (1 + redshift)
        return flux_of(absolute_mag(days, fid, luminosity, slowness) + modulus)

    parameters = {"redshift": redshift, "luminosity": luminosity, "slowness": slowness, "merger_jd": merger_jd}
    return Source("kilonova", "galaxy", parameters, random_host(rng, redshift, hostless=0.03), flux)
