"""What a period search or a microlensing fit is asked for, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.portal.web.fits.job_folder import FitError

MOST_TERMS = 4
MOST_POINTS = 20_000
#: bounds of periods in days: some minutes to decades
LEAST_PERIOD, MOST_PERIOD = 0.005, 10_000.0
#: Trial frequencies across the peak of one harmonic. A peak is as wide as 1/span; the nearest of five trials lies at
#: most 0.1/span from it, where a sinusoid has kept sinc²(0.1) = 97 % of its power. It is refined afterwards.
TRIALS_PER_PEAK = 5
MOST_TRIALS = 3_000_000
#: what may be computed, in steps of `PeriodSearch.work`; some 20 to 40 ns each on one core, so less than a minute
MOST_WORK = 1.2e9


#: magnitudes closer than this are alike: those of alerts are floats of 32 bit (mag)
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Magnitudes:
    """Measurements of an object.

    Parameters
    ----------
    jd : numpy.ndarray
        Times (jd, days), ascending, shape (n,).
    fid : numpy.ndarray of int
        Bands: 1 g, 2 r, 3 i.
    mag, error : numpy.ndarray
        Magnitudes and their errors (mag).
    """

    jd: Floats
    fid: Ints
    mag: Floats
    error: Floats

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> Magnitudes:
        """Return the measurements in inputs (``jd``, ``fid``, ``mag``, ``error``) that can be used.

        Raises
        ------
        FitError
            If they are no numbers, not equally many, or too many.
        """
        try:
            jd, mag, error = (np.asarray(inputs[name], dtype=np.float64) for name in ("jd", "mag", "error"))
            fid = np.asarray(inputs["fid"], dtype=np.int64)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise FitError("The measurements are not all numbers: the fit cannot be done.") from None
        if not jd.shape == mag.shape == error.shape == fid.shape or jd.ndim != 1:
            raise FitError("Times, bands, magnitudes and errors are not equally many: the fit cannot be done.")
        if len(jd) > MOST_POINTS:
            raise FitError(
                f"The object has more than {MOST_POINTS:,} measurements: download them and fit them at home."
            )
        good = np.isfinite(jd) & np.isfinite(mag) & np.isfinite(error) & (error > 0)
        order = np.flatnonzero(good)[np.argsort(jd[good], kind="stable")]
        return cls(jd[order], fid[order], mag[order], error[order])

    @property
    def bands(self) -> list[int]:
        """Its bands (fid), ascending."""
        return [int(band) for band in np.unique(self.fid)]

    @property
    def is_constant(self) -> bool:
        """Whether the magnitudes of each band are alike, but for rounding."""
        return all(np.ptp(self.mag[self.fid == band]) <= _ROUNDING for band in self.bands)

    @property
    def span(self) -> float:
        """Days from the first measurement to the last one; 0 if there are none."""
        return float(np.ptp(self.jd)) if len(self.jd) else 0.0


@dataclass(frozen=True)
class PeriodSearch:
    """A period search.

    Parameters
    ----------
    nterms_base, nterms_band : int
        Fourier terms that all bands share, and of each band by itself, 0 to 4.
    shortest, longest : float
        Range of periods (days).
    period : float, optional
        The period (days), if it is not searched for.
    """

    nterms_base: int
    nterms_band: int
    shortest: float
    longest: float
    period: float | None = None

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> PeriodSearch:
        """Return the search in inputs named as its fields.

        Raises
        ------
        FitError
            If a value is missing, or out of its bounds.
        """
        base, band = (_terms(inputs.get(name), words) for name, words in _TERMS)
        if base + band == 0:
            raise FitError("The model has no terms: set the terms of all bands or those of each band to 1 or more.")
        shortest, longest = (_days(inputs.get(name), f"The {name} period") for name in ("shortest", "longest"))
        if not shortest < longest:
            raise FitError("The range of periods is empty: the shortest period has to be less than the longest one.")
        period = inputs.get("period")
        return cls(base, band, shortest, longest, None if period in (None, "") else _days(period, "The period"))

    @property
    def harmonics(self) -> int:
        """The highest harmonic of the model."""
        return max(self.nterms_base, self.nterms_band)

    def coefficients(self, bands: int) -> int:
        """Return how many independent coefficients the model of some bands has, without the period."""
        shared = max(0, self.nterms_base - self.nterms_band)  # lower ones are sums of those of the bands
        return bands + 2 * (bands * self.nterms_band + shared)

    def trials(self, span: float) -> int:
        """Return how many frequencies are tried for measurements over some days."""
        # the k-th harmonic is out of step k times sooner; the first ones carry most of the power
        fineness = TRIALS_PER_PEAK * max(1.0, self.harmonics / 2)
        return max(100, int(np.ceil((1 / self.shortest - 1 / self.longest) * span * fineness)) + 1)

    def work(self, points: int, bands: int) -> float:
        """Return about what one trial costs: sums over the points for each harmonic, and a system of equations."""
        columns = 1 + 2 * self.nterms_base + bands * (1 + 2 * self.nterms_band)
        return points * (1 + self.harmonics / 8) + columns**2 / 5 + 100

    def check(self, magnitudes: Magnitudes) -> None:
        """Refuse measurements that are too few, too many or too long for the search.

        Raises
        ------
        FitError
            If so.
        """
        points, bands = len(magnitudes.jd), len(magnitudes.bands)
        needed = max(3, self.coefficients(bands) + 1) + 1
        if points < needed:
            raise FitError(
                f"The object has {points} usable measurements, and a model with so many terms needs at least {needed}: "
                "take fewer terms."
                if points > 4
                else f"The object has {points} usable measurements: too few for a period."
            )
        if magnitudes.span <= 0:
            raise FitError("All measurements are of one time: no period can be seen in them.")
        if magnitudes.is_constant:
            raise FitError("All measurements are alike: no period can be seen in them.")
        most = min(MOST_TRIALS, int(MOST_WORK / self.work(points, bands)))
        trials = self.trials(magnitudes.span)
        if trials > most:
            begin = self._begin(most / trials)
            raise FitError(
                f"The range has {trials:,} periods to try for {points:,} measurements over {magnitudes.span:,.0f} "
                f"days, and {most:,} at most can be tried: begin it at {begin:g} d, or take fewer terms."
            )

    def _begin(self, share: float) -> float:
        """Return the shortest period (days, three digits) of a range with a share of the trials."""
        least = 1 / (0.99 * share * (1 / self.shortest - 1 / self.longest) + 1 / self.longest)
        digit = 10.0 ** (np.floor(np.log10(least)) - 2)
        return float(f"{np.ceil(least / digit) * digit:.3g}")


_TERMS = (("nterms_base", "terms of all bands"), ("nterms_band", "terms of each band"))


def _terms(value: object, words: str) -> int:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MOST_TERMS or value % 1:
        raise FitError(f"The number of {words} has to be 0 to {MOST_TERMS}.")
    return int(value)


def _days(value: object, words: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not LEAST_PERIOD <= value <= MOST_PERIOD:
        raise FitError(f"{words} has to be a number of days, {LEAST_PERIOD:g} to {MOST_PERIOD:,.0f}.")
    return float(value)
