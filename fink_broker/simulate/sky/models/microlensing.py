"""Gravitational microlensing of one point source by one point lens."""

from __future__ import annotations

import numpy as np

from fink_broker.simulate.sky.source import Source, View, constant_star
from fink_broker.simulate.sky.units import Floats, Ints, flux_of


def magnification(jd: Floats, peak_jd: float, crossing: float, impact: float) -> Floats:
    """Return A = (u² + 2) / (u √(u² + 4)) with u² = u₀² + ((t - t₀)/t_E)² (Paczyński 1986, ApJ 304, 1).

    Parameters
    ----------
    jd : array
        Times (days).
    peak_jd, crossing, impact : float
        Time of closest approach, Einstein crossing time (days), least distance in Einstein radii.
    """
    squared = impact**2 + ((jd - peak_jd) / crossing) ** 2
    return (squared + 2.0) / np.sqrt(squared * (squared + 4.0))


def draw(rng: np.random.Generator, view: View) -> Source:
    """Draw an event with t_E around 25 days, from 0.8 t_E before its peak to 1.2 t_E after."""
    crossing = float(np.exp(rng.normal(np.log(25.0), 0.6)))
    impact = float(rng.uniform(0.02, 0.8))
    peak_jd = view.jd - float(rng.uniform(-0.8, 1.2)) * crossing
    red = float(16.0 + 4.5 * np.sqrt(rng.random()))
    colour = float(rng.uniform(0.4, 1.3))
    base = np.array([red + colour, red, red - 0.4 * colour])
    blend = float(rng.uniform(0.6, 1.0))
    light = flux_of(base) * blend

    def flux(jd: Floats, fid: Ints) -> Floats:
        return light[fid - 1] * (magnification(jd, peak_jd, crossing, impact) - 1.0)

    parameters = {
        "crossing_days": crossing,
        "impact": impact,
        "peak_jd": peak_jd,
        "source_share": blend,
        "base_r": red,
    }
    return Source("microlensing", "star", parameters, constant_star((base[0], base[1], base[2]), rng), flux)
