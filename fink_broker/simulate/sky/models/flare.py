"""Flares of M dwarfs."""

from __future__ import annotations

import numpy as np

from fink_broker.simulate.sky.source import Source, View, constant_star
from fink_broker.simulate.sky.units import Floats, Ints, flux_of

_RISE = (1.0, 1.941, -0.175, -2.246, -1.125)
_DECAY = ((0.6890, 1.600), (0.3030, 0.2783))
#: Flux of a black body of 10,000 K in g, r, i relative to g (f_nu)
_HOT = np.array([1.0, 0.86, 0.72])


def profile(time: Floats) -> Floats:
    """Return the flux of a flare relative to its peak (Davenport et al. 2014, ApJ 797, 122, eqs 1 and 4).

    Parameters
    ----------
    time : array
        Time since the peak in units of the full width at half maximum.
    """
    rise = sum(c * np.clip(time, -1.0, 0.0) ** k for k, c in enumerate(_RISE))
    after = np.maximum(time, 0.0)
    decay = sum(weight * np.exp(-rate * after) for weight, rate in _DECAY)
    return np.where(time < -1.0, 0.0, np.where(time < 0.0, np.maximum(rise, 0.0), decay))


def draw(rng: np.random.Generator, view: View) -> Source:
    """Draw an M dwarf (r 15.5 to 20) within minutes of the peak of a flare, quiet otherwise."""
    red = float(15.5 + 4.5 * np.sqrt(rng.random()))
    g_minus_r, r_minus_i = float(rng.normal(1.45, 0.1)), float(rng.uniform(0.8, 2.0))
    quiet = np.array([red + g_minus_r, red, red - r_minus_i])
    width = float(np.exp(rng.normal(np.log(6.0), 0.6)) / 1440.0)
    amplitude = float(0.3 * rng.pareto(0.9) + 0.3)
    amplitude = min(amplitude, 60.0)
    peak_jd = view.jd - float(rng.uniform(-0.4, 3.5)) * width
    peak_flux = flux_of(quiet[0]) * amplitude * _HOT

    def flux(jd: Floats, fid: Ints) -> Floats:
        return peak_flux[fid - 1] * profile((jd - peak_jd) / width)

    parameters = {"amplitude": amplitude, "width_days": width, "peak_jd": peak_jd, "quiet_r": red}
    return Source("flare", "star", parameters, constant_star((quiet[0], quiet[1], quiet[2]), rng), flux)
