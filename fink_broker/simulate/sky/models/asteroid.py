"""Main-belt asteroids: brightness by H and G, apparent motion by circular orbits."""

from __future__ import annotations

import math

import numpy as np

from fink_broker.simulate.sky.source import KnownObject, Source, View, random_field
from fink_broker.simulate.sky.units import Floats, Ints, flux_of

#: V minus g, r, i of a mean asteroid (between classes S and C)
_COLOURS = np.array([-0.28, 0.2, 0.38])
_KNOWN_SHARE = 0.85
_GAUSS = 0.01720209895  # rad/day at 1 au
_NUMBERED = 700_000


def hg_magnitude(absolute: float, slope: float, sun: float, earth: float, phase: float) -> float:
    """Return the V magnitude of a minor planet (Bowell et al. 1989, Asteroids II, the IAU's H, G system).

    Parameters
    ----------
    absolute, slope : float
        H (mag) and G.
    sun, earth : float
        Distances from Sun and Earth (au).
    phase : float
        Angle Sun - object - Earth (rad).
    """
    half = math.tan(0.5 * phase)
    light = (1 - slope) * math.exp(-3.33 * half**0.63) + slope * math.exp(-1.87 * half**1.22)
    return absolute + 5.0 * math.log10(sun * earth) - 2.5 * math.log10(light)


def geometry(sun: float, elongation: float) -> tuple[float, float]:
    """Return distance from Earth (au) and phase angle (rad) of an object outside Earth's orbit.

    Parameters
    ----------
    sun : float
        Distance from the Sun (au), above 1.
    elongation : float
        Angle between object and Sun seen from Earth (rad).
    """
    earth = math.cos(elongation) + math.sqrt(sun**2 - math.sin(elongation) ** 2)
    return earth, math.asin(math.sin(elongation) / sun)


def motion(sun: float, earth: float, elongation: float, phase: float) -> float:
    """Return the apparent motion (arcsec/min; negative: westward) of a circular orbit in Earth's plane."""
    rate = _GAUSS * (math.cos(phase) / math.sqrt(sun) + math.cos(elongation)) / earth
    return math.degrees(rate) * 3600.0 / 1440.0


def draw(rng: np.random.Generator, view: View) -> Source:
    """Draw a main-belt asteroid bright enough for the view; most are catalogued. Never seen here before."""
    elongation = math.radians(view.elongation)
    sun = float(rng.uniform(2.0, 3.3))
    earth, phase = geometry(sun, elongation)
    slope = float(np.clip(rng.normal(0.15, 0.05), 0.0, 0.4))
    # counts grow as 10^(0.4 H): draw backwards from the limit
    dimmest = view.limit - 0.1 - hg_magnitude(0.0, slope, sun, earth, phase) + _COLOURS[view.fid - 1]
    absolute = dimmest - float(rng.exponential(1.0 / (0.4 * math.log(10.0))))
    visual = hg_magnitude(absolute, slope, sun, earth, phase)
    inclination = float(rng.normal(0.0, 0.25))
    rate = motion(sun, earth, elongation, phase)
    known = None
    number = 0.0
    if rng.random() < _KNOWN_SHARE:
        number = float(int(_NUMBERED * rng.random() ** 2) + 1)
        known = KnownObject(str(int(number)), round(visual + float(rng.normal(0.0, 0.15)), 1), _ephemeris_error(rng))
    bands = flux_of(visual - _COLOURS)

    def flux(jd: Floats, fid: Ints) -> Floats:
        return bands[fid - 1]

    parameters = {
        "h": absolute,
        "g": slope,
        "sun_au": sun,
        "earth_au": earth,
        "phase_deg": math.degrees(phase),
        "number": number,
        "rate": rate,
    }
    return Source(
        "asteroid",
        "moving",
        parameters,
        random_field(rng),
        flux,
        fixed=False,
        known=known,
        motion=(rate * math.cos(inclination), rate * math.sin(inclination) * 0.5),
    )


def _ephemeris_error(rng: np.random.Generator) -> float:
    """Return the distance (arcsec, whole) of the predicted position: nearly always 0, as the packets give it."""
    return float(rng.integers(1, 5)) if rng.random() < 0.08 else 0.0
