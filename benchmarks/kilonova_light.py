"""Light curves that the synthetic sky has not and the kilonova classifier must know.

Kilonovae of many kinds of ejecta, dwarf novae, stripped-envelope supernovae, and positions where the subtraction of
images fails again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fink_broker.simulate.sky.models.supernovae import ia_absolute_mag
from fink_broker.simulate.sky.source import FluxModel, Reference, Source, View, constant_star, random_host
from fink_broker.simulate.sky.units import WAVELENGTHS, Floats, Ints, distance_modulus, flux_of, nearby_redshift

LIGHT = 2.99792458e10  # cm/s
SUN_GRAMS = 1.989e33
DAY = 86400.0
STEFAN_BOLTZMANN = 5.6704e-5
PARSEC = 3.0857e18
PLANCK = 6.62607e-27
HC_OVER_K = 1.43878e8  # Å K
#: Geometry of diffusion (Arnett 1982).
DIFFUSION = 13.7

#: Rest-frame days at which a kilonova is computed.
DAYS = np.geomspace(0.02, 30.0, 160)
#: Farthest kilonova: at 220 Mpc one like AT2017gfo is at the limit of the survey.
KILONOVA_REDSHIFT = 0.05
#: Effect on g, r, i of a unit of colour excess.
REDDENING = np.array([3.3, 2.4, 1.8])

#: How much of the decay energy is kept (Barnes et al. 2016, ApJ 829, 110, table 1): masses down, velocities across.
HEAT_MASS = np.array([1e-3, 5e-3, 1e-2, 5e-2])
HEAT_VELOCITY = np.array([0.1, 0.2, 0.3])
HEAT = {
    "a": np.array([[2.01, 4.52, 8.16], [0.81, 1.90, 3.20], [0.56, 1.31, 2.19], [0.27, 0.55, 0.95]]),
    "b": np.array([[0.28, 0.62, 1.19], [0.19, 0.28, 0.45], [0.17, 0.21, 0.31], [0.10, 0.13, 0.15]]),
    "d": np.array([[1.12, 1.39, 1.52], [0.86, 1.21, 1.39], [0.74, 1.13, 1.32], [0.60, 0.90, 1.13]]),
}


@dataclass(frozen=True)
class Ejecta:
    """One component of the matter a merger throws out.

    Parameters
    ----------
    mass : float
        Solar masses.
    velocity : float
        In units of the speed of light.
    opacity : float
        Grey opacity (cm²/g): below 1 without lanthanides, 10 with many.
    floor : float
        Temperature (K) at which the photosphere stops cooling.
    """

    mass: float
    velocity: float
    opacity: float
    floor: float


#: The three components that describe AT2017gfo best (Villar et al. 2017, ApJL 851, L21, table 2).
AT2017GFO = (
    Ejecta(0.020, 0.266, 0.5, 674.0),
    Ejecta(0.047, 0.152, 3.0, 1308.0),
    Ejecta(0.011, 0.137, 10.0, 3745.0),
)


def luminosity(ejecta: Ejecta) -> Floats:
    """Return the luminosity (erg/s) of a component at `DAYS`.

    Decay of freshly made heavy nuclei (Korobkin et al. 2012), of which a part is kept (Barnes et al. 2016), and which
    diffuses out (Arnett 1982), as put together by Villar et al. (2017) and Metzger (2019, Living Rev. Relativ. 23, 1).
    """
    seconds = DAYS * DAY
    heating = 4e18 * ejecta.mass * SUN_GRAMS * (0.5 - np.arctan((seconds - 1.3) / 0.11) / np.pi) ** 1.3
    a, b, d = (_between(HEAT[name], ejecta) for name in "abd")
    spread = 2.0 * b * DAYS**d
    kept = heating * 0.36 * (np.exp(-a * DAYS) + np.log1p(spread) / spread)
    mean_life = ejecta.opacity * ejecta.mass * SUN_GRAMS / (DIFFUSION * ejecta.velocity * LIGHT**2)
    squared = 2.0 * mean_life  # of the diffusion time, s²
    result = np.empty_like(DAYS)
    energy = kept[0] * seconds[0] ** 2 / squared  # released before the first time, when all is opaque
    result[0] = energy
    for k in range(1, len(DAYS)):  # from each time to the next, so that nothing overflows
        fade = np.exp(-(seconds[k] ** 2 - seconds[k - 1] ** 2) / squared)
        energy = energy * fade + 0.5 * (kept[k - 1] + kept[k]) * (1.0 - fade)
        result[k] = energy
    return result


def _between(table: Floats, ejecta: Ejecta) -> float:
    """Interpolate in log mass and velocity; outside, the nearest value."""
    rows = [np.interp(ejecta.velocity, HEAT_VELOCITY, row) for row in table]
    return float(np.interp(np.log(ejecta.mass), np.log(HEAT_MASS), rows))


def kilonova_magnitudes(components: Sequence[Ejecta]) -> Floats:
    """Return absolute AB magnitudes in g, r, i (rows) at `DAYS`: black bodies that expand, cool, then shrink."""
    density = np.zeros((3, len(DAYS)))
    for ejecta in components:
        power = luminosity(ejecta)
        radius = ejecta.velocity * LIGHT * DAYS * DAY
        kelvin = (power / (4 * np.pi * STEFAN_BOLTZMANN * radius**2)) ** 0.25
        cold = kelvin < ejecta.floor
        kelvin = np.where(cold, ejecta.floor, kelvin)
        radius_squared = power / (4 * np.pi * STEFAN_BOLTZMANN * kelvin**4)
        waves = WAVELENGTHS[:, None]
        planck = 2 * PLANCK * LIGHT / (waves * 1e-8) ** 3 / np.expm1(HC_OVER_K / (waves * kelvin))
        density += np.pi * planck * radius_squared / (10 * PARSEC) ** 2
    return -2.5 * np.log10(np.maximum(density, 1e-60)) - 48.6


def kilonova_flux(magnitudes: Floats, merger_jd: float, redshift: float, modulus: float) -> FluxModel:
    """Return the flux of a kilonova with time; nothing before the merger. No K-correction."""

    def flux(jd: Floats, fid: Ints) -> Floats:
        days = (jd - merger_jd) / (1 + redshift)
        later = np.log(np.maximum(days, DAYS[0]))
        bands = np.stack([np.interp(later, np.log(DAYS), row) for row in magnitudes])
        light = flux_of(bands[fid - 1, np.arange(len(fid))] + modulus)
        return np.where((days >= DAYS[0]) & (days <= DAYS[-1]), light, 0.0)

    return flux


def draw_ejecta(rng: np.random.Generator) -> tuple[Ejecta, Ejecta]:
    """Draw a component poor in lanthanides and one rich in them.

    The ranges hold the fits of AT2017gfo (Villar et al. 2017; Kasliwal et al. 2017, Science 358, 1559) and what
    simulations of mergers of two neutron stars, or of one with a black hole, give (Metzger 2019, section 3).
    """
    poor = Ejecta(
        mass=float(np.exp(rng.uniform(np.log(0.002), np.log(0.06)))),
        velocity=float(rng.uniform(0.12, 0.35)),
        opacity=float(rng.uniform(0.3, 1.0)),
        floor=float(rng.uniform(600.0, 4000.0)),
    )
    rich = Ejecta(
        mass=float(np.exp(rng.uniform(np.log(0.005), np.log(0.1)))),
        velocity=float(rng.uniform(0.05, 0.25)),
        opacity=float(np.exp(rng.uniform(np.log(2.0), np.log(10.0)))),
        floor=float(rng.uniform(1000.0, 4000.0)),
    )
    return poor, rich


def draw_kilonova(rng: np.random.Generator, view: View) -> Source:
    """Draw a kilonova, merged up to eight days before the view, behind some dust of its host.

    Half of them are spread evenly in space; the others evenly in distance, so that near ones are learned too.
    """
    redshift = nearby_redshift(rng, KILONOVA_REDSHIFT)
    if rng.random() < 0.5:
        redshift = float(rng.uniform(0.002, KILONOVA_REDSHIFT))
    poor, rich = draw_ejecta(rng)
    dust = float(rng.exponential(0.05))
    magnitudes = kilonova_magnitudes((poor, rich)) + dust * REDDENING[:, None]
    merger_jd = view.jd - float(rng.uniform(0.0, 8.0))
    flux = kilonova_flux(magnitudes, merger_jd, redshift, distance_modulus(redshift))
    parameters = {"redshift": redshift, "poor_mass": poor.mass, "rich_mass": rich.mass, "dust": dust}
    return Source("kilonova", "galaxy", parameters, random_host(rng, redshift, hostless=0.03), flux)


def draw_dwarf_nova(rng: np.random.Generator, view: View) -> Source:
    """Draw an outburst: up by some magnitudes within a day or two, a plateau, down by 0.3 to 1.5 mag a day; blue.

    Ranges from Warner (1995, Cataclysmic Variable Stars, chapter 3): one outburst in four is a long one.
    """
    quiet = float(rng.uniform(18.5, 23.0))
    amplitude = float(rng.uniform(1.5, 6.5))
    rise, plateau = float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.2, 4.0))
    if rng.random() < 0.25:
        plateau = float(rng.uniform(8.0, 15.0))
    decline = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
    colours = np.array([float(rng.normal(-0.05, 0.15)), 0.0, 0.1])
    start_jd = view.jd - float(rng.uniform(0.1, rise + plateau + 0.7 * amplitude / decline))

    def flux(jd: Floats, fid: Ints) -> Floats:
        since = jd - start_jd
        up = amplitude * np.clip(since / rise, 0.0, 1.0)
        slope = 0.08 * np.clip(since - rise, 0.0, plateau)
        down = decline * np.maximum(since - rise - plateau, 0.0)
        height = np.where(since > 0, np.clip(up - slope - down, 0.0, amplitude), 0.0)
        level = quiet + colours[fid - 1]
        return flux_of(level - height) - flux_of(level)

    star = constant_star((quiet + 0.2, quiet, quiet - 0.1), rng)
    return Source("dwarf nova", "star", {"amplitude": amplitude, "decline": decline}, star, flux)


def draw_stripped(rng: np.random.Generator, view: View) -> Source:
    """Draw a supernova Ib or Ic: a faster, fainter, redder copy of the Ia template (Drout et al. 2011, ApJ 741, 97)."""
    redshift = nearby_redshift(rng, 0.06)
    stretch, colour = float(rng.uniform(0.55, 1.0)), float(rng.uniform(0.05, 0.4))
    fainter = float(rng.normal(1.2, 0.7))
    peak_jd = view.jd - float(rng.uniform(-12.0, 30.0)) * (1 + redshift)
    modulus = distance_modulus(redshift) + fainter

    def flux(jd: Floats, fid: Ints) -> Floats:
        return flux_of(ia_absolute_mag((jd - peak_jd) / (1 + redshift), fid, stretch, colour) + modulus)

    parameters = {"redshift": redshift, "stretch": stretch, "fainter": fainter}
    return Source("SN Ib/c", "galaxy", parameters, random_host(rng, redshift), flux)


def draw_artefact(rng: np.random.Generator, view: View) -> Source:
    """Draw a place on a bright star where the subtraction leaves something now and then, of either sign."""
    often, level = float(rng.uniform(0.2, 0.8)), view.limit - float(rng.exponential(0.8))
    negative = float(rng.uniform(0.0, 0.3))
    red = float(rng.uniform(13.0, 18.0))

    def flux(jd: Floats, fid: Ints) -> Floats:
        light = flux_of(level + rng.normal(0.0, 0.5, len(jd)))
        return light * (rng.random(len(jd)) < often) * np.where(rng.random(len(jd)) < negative, -1.0, 1.0)

    star = Reference("star", (red + 0.6, red, red - 0.2), offset=float(rng.uniform(1.5, 3.0)))
    return Source("artefact", "bogus", {"often": often}, star, flux)
