"""Detections that are no source: bad subtractions, cosmic rays, bright-star residuals."""

from __future__ import annotations

import numpy as np

from fink_broker.simulate.sky.source import Reference, Source, View, random_field
from fink_broker.simulate.sky.units import Floats, Ints, flux_of

DEFECTS = ("dipole", "cosmic ray", "spike")


def draw(rng: np.random.Generator, view: View) -> Source:
    """Draw a defect a little above the limit, seen once; dipoles sit on a bright star of the reference."""
    shape = int(rng.integers(0, len(DEFECTS)))
    mag = view.limit - 0.15 - float(rng.exponential(0.7))
    sign = -1.0 if rng.random() < 0.35 else 1.0
    reference = random_field(rng)
    if DEFECTS[shape] == "dipole":
        red = float(rng.uniform(13.0, 17.0))
        reference = Reference("star", (red + 0.6, red, red - 0.2), offset=float(rng.uniform(0.4, 2.0)))
    value = sign * float(flux_of(mag))

    def flux(jd: Floats, fid: Ints) -> Floats:
        return np.full(len(jd), value)

    parameters = {"mag": mag, "defect": float(shape)}
    return Source("bogus", "bogus", parameters, reference, flux, fixed=False, defect=DEFECTS[shape])
