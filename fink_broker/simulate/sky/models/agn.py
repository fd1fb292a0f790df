"""Active galactic nuclei: a damped random walk in magnitude."""

from __future__ import annotations

import numpy as np

from fink_broker.simulate.sky.source import Reference, Source, View
from fink_broker.simulate.sky.units import Floats, Ints, flux_of

#: Days before the alert for which the walk is drawn, one step a day
_SPAN = 130
#: Variation in g, r, i relative to g: bluer varies more
_BANDS = np.array([1.0, 0.82, 0.7])


def damped_walk(rng: np.random.Generator, steps: int, tau: float, sf_infinity: float) -> Floats:
    """Return a damped random walk of magnitude with one step a day.

    Structure function SF(Δt) = SF∞ √(1 - exp(-Δt/τ)), the description of quasars of MacLeod et al. (2010, ApJ 721,
    1014). The first value is drawn from the stationary distribution.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    steps : int
        Number of days.
    tau, sf_infinity : float
        Damping time (days, observer's frame) and long-term structure function (mag).
    """
    deviation = sf_infinity / np.sqrt(2.0)
    keep = np.exp(-1.0 / tau)
    kicks = (deviation * np.sqrt(1.0 - keep**2) * rng.standard_normal(steps)).tolist()
    value = deviation * float(rng.standard_normal())
    walk = []
    for kick in kicks:
        walk.append(value)
        value = keep * value + kick
    return np.array(walk)


def draw(rng: np.random.Generator, view: View) -> Source:
    """Draw a nucleus of r 16 to 19.5 with τ around 250 days and SF∞ around 0.25 mag."""
    redshift = float(rng.uniform(0.05, 1.8))
    tau = float(10.0 ** rng.normal(2.4, 0.25)) * (1 + redshift)
    sf_infinity = float(10.0 ** rng.normal(-0.6, 0.15))
    red = float(16.0 + 3.5 * np.sqrt(rng.random()))
    mean = np.array([red + 0.25, red, red - 0.15])
    # drawn backwards from tomorrow; a stationary walk looks the same in both directions
    walk = damped_walk(rng, _SPAN, tau, sf_infinity)
    last = view.jd + 1.0
    days = np.arange(_SPAN, dtype=float)

    def flux(jd: Floats, fid: Ints) -> Floats:
        level = mean[fid - 1]
        change = np.interp(last - jd, days, walk) * _BANDS[fid - 1]
        return flux_of(level + change) - flux_of(level)

    parameters = {"redshift": redshift, "tau": tau, "sf_infinity": sf_infinity, "mean_r": red}
    extended = redshift < 0.3
    reference = Reference(
        "galaxy" if extended else "star",
        (mean[0], mean[1], mean[2]),
        offset=float(rng.rayleigh(0.15)),
        size=float(rng.uniform(0.6, 1.8)) if extended else 0.0,
    )
    return Source(
        "AGN", "galaxy" if extended else "star", parameters, reference, flux, age=float(rng.uniform(300, 2300))
    )
