"""Supernovae: type Ia as stretched template with a standard-candle relation, type II as rise, plateau and drop."""

from __future__ import annotations

import numpy as np

from fink_broker.simulate.sky.source import Source, View, random_host
from fink_broker.simulate.sky.units import Floats, Ints, distance_modulus, flux_of, nearby_redshift

#: Days from maximum of B, and magnitudes below each band's peak in g, r, i (0.05 mag; second bump in r and i)
_PHASE = np.array([-10, -7, -4, -2, 0, 3, 6, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 120.0])
_TEMPLATE = np.array(
    [
        [0.85, 0.4, 0.12, 0.03, 0, 0.07, 0.22, 0.5, 0.95, 1.45, 1.9, 2.2, 2.4, 2.55, 2.75, 2.9, 3.25, 3.95],
        [0.8, 0.38, 0.13, 0.05, 0, 0.03, 0.12, 0.35, 0.62, 0.7, 0.78, 0.98, 1.25, 1.5, 1.85, 2.15, 2.75, 3.9],
        [0.7, 0.3, 0.07, 0.0, 0.03, 0.15, 0.33, 0.55, 0.65, 0.57, 0.5, 0.62, 0.9, 1.2, 1.65, 2.05, 2.85, 4.1],
    ]
)
_IA_PEAK = np.array([-19.25, -19.15, -18.55])
_IA_RISE = 18.0
_REDDENING = np.array([3.3, 2.4, 1.8])
_ALPHA = 1.5

_II_RISE = np.array([7.0, 9.0, 10.0])
_II_SLOPE = np.array([0.025, 0.010, 0.006])
_II_COLOUR = np.array([0.15, 0.0, -0.05])
_II_LATE_COLOUR = np.array([0.9, 0.0, -0.2])
_COBALT = 0.0098


def ia_absolute_mag(phase: Floats, fid: Ints, stretch: float = 1.0, colour: float = 0.0) -> Floats:
    """Return absolute AB magnitudes of a type Ia supernova, in each filter's own band.

    Template of normal supernovae as in Nugent, Kim & Perlmutter (2002, PASP 114, 803), in steps of 0.05 mag; before
    day -10 the flux grows as the square of the time since explosion (Riess et al. 1999, AJ 118, 2675). Brighter is
    slower and bluer: Tripp (1998), with α = 1.5 as in Astier et al. (2006, A&A 447, 31); the colour dims each band
    like Galactic dust. No K-correction.

    Parameters
    ----------
    phase : array
        Rest-frame days from maximum.
    fid : array of int
        Filters.
    stretch, colour : float
        Width of the light curve (1 = normal) and colour excess (mag).

    Returns
    -------
    array
        Absolute magnitude, inf before explosion.
    """
    days = phase / stretch
    below_peak = np.empty(len(days))
    for band in (1, 2, 3):
        mask = fid == band
        below_peak[mask] = np.interp(days[mask], _PHASE, _TEMPLATE[band - 1])
    since = days + _IA_RISE
    with np.errstate(divide="ignore"):
        early = -5.0 * np.log10(np.maximum(since, 0.0) / (_IA_RISE + _PHASE[0]))
    below_peak = np.where(days < _PHASE[0], _TEMPLATE[fid - 1, 0] + early, below_peak)
    late = np.maximum(days - _PHASE[-1], 0.0) * 0.015
    return _IA_PEAK[fid - 1] + below_peak + late - _ALPHA * (stretch - 1.0) + _REDDENING[fid - 1] * colour


def ii_absolute_mag(days: Floats, fid: Ints, peak: float, plateau: float, drop: float) -> Floats:
    """Return absolute AB magnitudes of a type II supernova.

    Rise as 1 - exp(-(t/t_rise)²), linear plateau, Fermi-Dirac drop at its end (Olivares et al. 2010, ApJ 715, 833)
    onto the tail of ⁵⁶Co (0.0098 mag/d). Ranges of plateau length and slope from Anderson et al. (2014, ApJ 786, 67).

    Parameters
    ----------
    days : array
        Rest-frame days since explosion.
    fid : array of int
        Filters.
    peak, plateau, drop : float
        Absolute r magnitude at maximum, end of the plateau (days), depth of the drop (mag).

    Returns
    -------
    array
        Absolute magnitude, inf before explosion.
    """
    band = fid - 1
    since = np.maximum(days, 0.0)
    with np.errstate(divide="ignore"):
        rise = -2.5 * np.log10(1.0 - np.exp(-((since / _II_RISE[band]) ** 2)))
    fall = drop / (1.0 + np.exp(-(since - plateau) / 4.0))
    ageing = np.minimum(since / plateau, 1.0)
    colour = _II_COLOUR[band] * (1 - ageing) + _II_LATE_COLOUR[band] * ageing
    slope = np.where(since < plateau, _II_SLOPE[1] * since, _II_SLOPE[1] * plateau + _COBALT * (since - plateau))
    return peak + rise + colour + slope + fall


def draw_ia(rng: np.random.Generator, view: View) -> Source:
    """Draw a type Ia supernova within z < 0.12, from 16 days before to 60 days after maximum."""
    redshift = nearby_redshift(rng, 0.12)
    stretch = float(np.clip(rng.normal(0.98, 0.09), 0.7, 1.2))
    colour = float(rng.normal(0.0, 0.05) + rng.exponential(0.06))
    scatter = float(rng.normal(0.0, 0.1))
    peak_jd = view.jd - float(rng.uniform(-15.0, 45.0)) * (1 + redshift)
    modulus = distance_modulus(redshift) + scatter

    def flux(jd: Floats, fid: Ints) -> Floats:
        phase = (jd - peak_jd) / (1 + redshift)
        return flux_of(ia_absolute_mag(phase, fid, stretch, colour) + modulus)

    parameters = {"redshift": redshift, "stretch": stretch, "colour": colour, "peak_jd": peak_jd}
    return Source("SN Ia", "galaxy", parameters, random_host(rng, redshift), flux)


def draw_ii(rng: np.random.Generator, view: View) -> Source:
    """Draw a type II supernova within z < 0.045, up to 130 days after explosion."""
    redshift = nearby_redshift(rng, 0.045)
    peak = float(rng.normal(-17.0, 0.8))
    plateau = float(np.clip(rng.normal(95.0, 15.0), 60.0, 130.0))
    drop = float(rng.uniform(1.5, 2.3))
    explosion_jd = view.jd - float(rng.uniform(1.0, 130.0)) * (1 + redshift)
    modulus = distance_modulus(redshift)

    def flux(jd: Floats, fid: Ints) -> Floats:
        days = (jd - explosion_jd) / (1 + redshift)
        return flux_of(ii_absolute_mag(days, fid, peak, plateau, drop) + modulus)

    parameters = {
        "redshift": redshift,
        "peak": peak,
        "plateau": plateau,
        "drop": drop,
        "explosion_jd": explosion_jd,
    }
    return Source("SN II", "galaxy", parameters, random_host(rng, redshift), flux)
