"""Periodic stars: RR Lyrae and eclipsing binaries."""

from __future__ import annotations

import numpy as np

from fink_broker.simulate.sky.source import Source, View, constant_star
from fink_broker.simulate.sky.units import Floats, Ints, flux_of

#: Phase from maximum, and magnitude below maximum in units of the amplitude, of a mean RRab star
_RRAB_PHASE = np.array([0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.86, 0.9, 0.93, 0.96, 0.98, 1])
_RRAB_SHAPE = np.array([0, 0.03, 0.09, 0.2, 0.32, 0.43, 0.6, 0.73, 0.82, 0.88, 0.93, 0.97, 1, 0.93, 0.7, 0.35, 0.1, 0])
_RRAB_MEAN = float(np.trapezoid(_RRAB_SHAPE, _RRAB_PHASE))
#: Amplitudes in g, r, i relative to g
_RR_AMPLITUDES = np.array([1.0, 0.72, 0.57])
#: Share of RRc stars, and of binaries that are drawn while they are in eclipse
_RRC_SHARE = 0.25
_IN_ECLIPSE = 0.8


def rrlyrae_mag(phase: Floats, fid: Ints, amplitude: float, fundamental: bool = True) -> Floats:
    """Return magnitudes of an RR Lyrae star relative to its mean.

    RRab: mean template in the manner of Sesar et al. (2010, ApJ 708, 717), tabulated; RRc: a sinusoid with a third of
    a harmonic's asymmetry. Amplitudes in r and i are 0.72 and 0.57 of that in g.

    Parameters
    ----------
    phase : array
        Phase from maximum light, any real number.
    fid : array of int
        Filters.
    amplitude : float
        Peak to peak in g (mag).
    fundamental : bool
        RRab (True) or RRc.
    """
    turn = phase % 1.0
    if fundamental:
        shape = np.interp(turn, _RRAB_PHASE, _RRAB_SHAPE) - _RRAB_MEAN
    else:
        shape = -0.5 * np.cos(2 * np.pi * turn) - 0.06 * np.cos(4 * np.pi * turn + 0.5)
    return amplitude * _RR_AMPLITUDES[fid - 1] * shape


def rrab_amplitude(period: float) -> float:
    """Return the g amplitude (mag) of an RRab star by its period (days): a line through the Oosterhoff I locus.

    1.35 mag at 0.45 d to 0.4 mag at 0.75 d, as in the period-amplitude diagrams of Sesar et al. (2010).
    """
    return 1.35 - 3.2 * (period - 0.45)


def eclipse_dimming(
    phase: Floats, depths: tuple[float, float], widths: tuple[float, float], ellipsoidal: float
) -> Floats:
    """Return magnitudes of an eclipsing binary below its maximum light.

    Two Gaussians for the eclipses and a cosine of half the period for the tidal shapes: the "two-Gaussian" model of
    Mowlavi et al. (2017, A&A 606, A92).

    Parameters
    ----------
    phase : array
        Orbital phase, primary eclipse at 0.
    depths, widths : tuple of float
        Depth (mag) and width (standard deviation, in phase) of primary and secondary.
    ellipsoidal : float
        Peak-to-peak amplitude of the tidal variation (mag).
    """
    dimming = 0.5 * ellipsoidal * (1.0 + np.cos(4 * np.pi * phase))
    for centre, depth, width in zip((0.0, 0.5), depths, widths, strict=True):
        distance = (phase - centre + 0.5) % 1.0 - 0.5
        dimming = dimming + depth * np.exp(-0.5 * (distance / width) ** 2)
    return dimming


def draw_rrlyrae(rng: np.random.Generator, view: View) -> Source:
    """Draw an RR Lyrae star of mean magnitude r 13.5 to 18.5."""
    fundamental = bool(rng.random() > _RRC_SHARE)
    if fundamental:
        period = float(np.clip(rng.normal(0.56, 0.07), 0.42, 0.78))
        amplitude = max(rrab_amplitude(period) + float(rng.normal(0.0, 0.1)), 0.25)
    else:
        period, amplitude = float(np.clip(rng.normal(0.33, 0.035), 0.22, 0.42)), float(rng.uniform(0.35, 0.65))
    red = float(13.5 + 5.0 * np.sqrt(rng.random()))
    mean = np.array([red + 0.2, red, red - 0.07])
    maximum_jd = view.jd - float(rng.random()) * period

    def flux(jd: Floats, fid: Ints) -> Floats:
        level = mean[fid - 1]
        return flux_of(level + rrlyrae_mag((jd - maximum_jd) / period, fid, amplitude, fundamental)) - flux_of(level)

    parameters = {
        "period": period,
        "amplitude": amplitude,
        "maximum_jd": maximum_jd,
        "fundamental": float(fundamental),
        "mean_r": red,
    }
    reference = constant_star((mean[0], mean[1], mean[2]), rng)
    return Source("RR Lyrae", "star", parameters, reference, flux, age=float(rng.uniform(400, 2300)))


def draw_eclipsing(rng: np.random.Generator, view: View) -> Source:
    """Draw an eclipsing binary (a third of them contact systems), mostly while it is in eclipse."""
    contact = bool(rng.random() < 0.35)
    if contact:
        period, width = float(rng.uniform(0.24, 0.6)), float(rng.uniform(0.055, 0.08))
        primary, ellipsoidal = float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.1, 0.3))
        secondary = primary * float(rng.uniform(0.7, 1.0))
    else:
        period, width = float(np.exp(rng.normal(0.7, 0.7))), float(rng.uniform(0.012, 0.04))
        primary, ellipsoidal = float(rng.uniform(0.3, 1.6)), float(rng.uniform(0.0, 0.05))
        secondary = primary * float(rng.uniform(0.05, 0.9))
    red = float(13.5 + 5.0 * np.sqrt(rng.random()))
    colour = float(rng.uniform(0.2, 1.1))
    out = np.array([red + colour, red, red - 0.4 * colour])
    at = rng.choice([0.0, 0.5], p=[0.7, 0.3]) + rng.normal(0.0, width) if rng.random() < _IN_ECLIPSE else rng.random()
    epoch = view.jd - float(at) * period
    depths, widths = (primary, secondary), (width, width)
    level_below = 0.5 * ellipsoidal  # the reference is the mean of exposures mostly out of eclipse

    def flux(jd: Floats, fid: Ints) -> Floats:
        bright = out[fid - 1]
        dimming = eclipse_dimming((jd - epoch) / period, depths, widths, ellipsoidal)
        return flux_of(bright + dimming) - flux_of(bright + level_below)

    parameters = {
        "period": period,
        "primary_depth": primary,
        "secondary_depth": secondary,
        "width": width,
        "ellipsoidal": ellipsoidal,
        "epoch_jd": epoch,
        "mean_r": red,
    }
    reference = constant_star((out[0], out[1], out[2]), rng)
    return Source("eclipsing binary", "star", parameters, reference, flux, age=float(rng.uniform(400, 2300)))
