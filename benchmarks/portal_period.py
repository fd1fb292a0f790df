"""The period search of the portal beside the plain way: astropy's multiband periodogram of the same trials at once."""

from __future__ import annotations

import time

import numpy as np
from astropy.timeseries import LombScargleMultiband

from fink_broker.portal.web.fits.search import Magnitudes, PeriodSearch

SHORTEST, LONGEST = 0.1, 1.2


def magnitudes(points: int, seed: int = 0) -> Magnitudes:
    """Return a variable star of 0.61 d, in g and r in turn, half a day apart."""
    rng = np.random.default_rng(seed)
    jd = 2459000.7 + 0.5 * np.arange(points) + rng.uniform(0, 0.1, points)
    mag = 18 + 0.3 * np.sin(2 * np.pi * jd / 0.61) + rng.normal(0, 0.03, points)
    return Magnitudes(jd, 1 + np.arange(points) % 2, mag, np.full(points, 0.03))


def bare(points: int, times: int) -> list[float]:
    """Return the milliseconds that astropy takes for the trials the portal would make, in this process."""
    search = PeriodSearch.of({"shortest": SHORTEST, "longest": LONGEST, "nterms_base": 1, "nterms_band": 1})
    took = []
    for number in range(times):
        data = magnitudes(points, number)
        started = time.perf_counter()
        frequency = np.linspace(1 / LONGEST, 1 / SHORTEST, search.trials(data.span))
        periodogram = LombScargleMultiband(data.jd, data.mag, data.fid, data.error, nterms_base=1, nterms_band=1)
        periodogram.power(frequency)
        took.append((time.perf_counter() - started) * 1e3)
    return took
