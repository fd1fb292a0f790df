"""What a light-curve model hands over: a source, its difference flux with time, and what the reference shows there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fink_broker.simulate.sky.units import Floats, Ints, distance_modulus

#: difference flux (µJy, negative where fainter than the reference) at times jd (days) in filters fid
FluxModel = Callable[[Floats, Ints], Floats]
#: which table of image measurements an alert's values are drawn from
Look = Literal["star", "galaxy", "moving", "bogus"]


@dataclass(frozen=True)
class Reference:
    """What stands at or near the source in the reference image and in catalogues.

    Parameters
    ----------
    kind : {"star", "galaxy", "field"}
        The source itself or its host; `field`: only an unrelated neighbour.
    mags : tuple of float
        AB magnitudes in g, r, i.
    offset : float
        Distance from the source (arcsec).
    size : float
        Scale length of a galaxy (arcsec); 0 for a star.
    axis_ratio, angle : float
        Minor over major axis of a galaxy, and direction of the major axis (rad).
    """

    kind: Literal["star", "galaxy", "field"]
    mags: tuple[float, float, float]
    offset: float = 0.0
    size: float = 0.0
    axis_ratio: float = 0.7
    angle: float = 0.0


@dataclass(frozen=True)
class KnownObject:
    """A catalogued minor planet at the position of an alert: name, predicted V magnitude, distance (arcsec)."""

    name: str
    mag: float
    distance: float


@dataclass(frozen=True)
class Source:
    """One source of the sky, drawn from a model.

    Parameters
    ----------
    kind : str
        True class, a key of `DEFAULT_WEIGHTS`.
    look : Look
        Which table of image measurements its alerts are drawn from.
    parameters : dict of str to float
        The model's parameters; kept aside as truth.
    reference : Reference
        What the reference image shows.
    flux : FluxModel
        The light curve.
    age : float
        Days since it first varied visibly; long for permanent variables.
    fixed : bool
        False for a source that is at this position in one exposure only.
    known : KnownObject, optional
        Set for a catalogued minor planet.
    motion : tuple of float
        Apparent motion east and north (arcsec/min).
    defect : str
        Shape of a bogus detection in the images.
    """

    kind: str
    look: Look
    parameters: dict[str, float]
    reference: Reference
    flux: FluxModel
    age: float = 0.0
    fixed: bool = True
    known: KnownObject | None = None
    motion: tuple[float, float] = (0.0, 0.0)
    defect: str = ""


@dataclass(frozen=True)
class View:
    """The exposure a source must be visible in.

    Parameters
    ----------
    jd : float
        Start of the exposure (days).
    fid : int
        Filter.
    limit : float
        Magnitude of five times the noise.
    elongation : float
        Angle between field and Sun (deg).
    """

    jd: float
    fid: int
    limit: float
    elongation: float


#: draws one source that may be visible in a view
Model = Callable[[np.random.Generator, View], Source]


def random_field(rng: np.random.Generator) -> Reference:
    """Return an unrelated faint neighbour: 3 to 14 arcsec away, 18 to 23 mag, as at an empty position."""
    red = float(rng.uniform(18.0, 22.8))
    return Reference("field", (red + 0.5, red, red - 0.2), offset=float(14.0 * np.sqrt(rng.uniform(0.05, 1.0))))


def random_host(rng: np.random.Generator, redshift: float, hostless: float = 0.1) -> Reference:
    """Return the host galaxy of a transient at a redshift; with the probability `hostless` none is seen.

    Luminosities scatter by 1.2 mag around M_r = -20.3 (about the knee of the galaxy luminosity function, Blanton
    et al. 2003); the transient lies within about two scale lengths of 2.5 kpc.
    """
    red = distance_modulus(redshift) + float(rng.normal(-20.3, 1.2))
    if red > 22.5 or rng.random() < hostless:
        return random_field(rng)
    angular_distance = 10.0 ** (0.2 * distance_modulus(redshift) - 5.0) / (1.0 + redshift) ** 2  # Mpc
    kiloparsec = 206.265 / angular_distance  # arcsec
    size = float(np.clip(2.5 * kiloparsec, 0.6, 8.0))
    offset = float(min(size * rng.gamma(2.0, 0.45), 25.0))
    return Reference(
        "galaxy",
        (red + 0.65, red, red - 0.35),
        offset=offset,
        size=size,
        axis_ratio=float(rng.uniform(0.3, 1.0)),
        angle=float(rng.uniform(0.0, math.pi)),
    )


def constant_star(mags: tuple[float, float, float], rng: np.random.Generator) -> Reference:
    """Return the reference of a variable star: the star itself, within astrometric error."""
    return Reference("star", mags, offset=float(rng.rayleigh(0.22)))
