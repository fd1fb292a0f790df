"""From light curves to the steps SuperNNova reads: one step a visit, fluxes of both bands side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats, Ints, Mask
from fink_broker.science.supernnova.weights import NORMALISED, Normalisation

#: Points less than this after the first of a visit (days) belong to the visit.
VISIT_DAYS = 0.33
#: Filter ids that have columns; a point of another band makes a step but fills none.
BANDS = (1, 2)
#: Columns of a step: fluxes g r, errors g r, days since the step before, and which bands are there: g, both, r.
COLUMNS = 8


@dataclass(frozen=True)
class Steps:
    """Steps of many alerts.

    Parameters
    ----------
    numbers : numpy.ndarray
        Flux in g and r, their errors (FLUXCAL), and the days since the step before; a row a step.
    bands : numpy.ndarray
        1 where the step has g only, both, r only; a row a step.
    offsets : numpy.ndarray
        Alert i owns the steps ``offsets[i]`` to ``offsets[i + 1]`` (exclusive).
    """

    numbers: Floats
    bands: Floats
    offsets: Ints

    def normalised(self, by: Normalisation) -> npt.NDArray[np.float32]:
        """Return the steps as a network takes them, one row of 8 columns a step."""
        # the networks were trained on 32-bit numbers
        single = self.numbers.astype(np.float32).astype(np.float64)
        scaled = (np.log(np.maximum(single, by.least) - by.least + 1e-5) - by.mean) / by.std
        return np.concatenate([scaled, self.bands], axis=1).astype(np.float32)


def make_steps(alert: Ints, alerts: int, *, jd: Floats, fid: Floats, flux: Floats, flux_error: Floats) -> Steps:
    """Return the steps of points.

    Parameters
    ----------
    alert : numpy.ndarray of int
        The alert each point belongs to, ascending.
    alerts : int
        How many alerts there are.
    jd, fid, flux, flux_error : numpy.ndarray
        The points (days; filter id; FLUXCAL), all finite.
    """
    order = np.lexsort((jd, alert))
    alert = alert[order]
    jd, fid, flux, flux_error = (values[order] for values in (jd, fid, flux, flux_error))
    time = visit_starts(alert, alerts, jd)
    first = np.ones(len(alert), dtype=bool)
    first[1:] = (alert[1:] != alert[:-1]) | (time[1:] != time[:-1])
    step = np.cumsum(first) - 1
    owner, start = alert[first], time[first]

    numbers = np.zeros((len(start), len(NORMALISED)))
    present = np.zeros((len(start), len(BANDS)), dtype=bool)
    for position, band in enumerate(BANDS):
        chosen = _best(step, fid == band, flux_error)
        numbers[step[chosen], position] = flux[chosen]
        numbers[step[chosen], len(BANDS) + position] = flux_error[chosen]
        present[step[chosen], position] = True
    follows = np.flatnonzero(owner[1:] == owner[:-1]) + 1
    numbers[follows, -1] = start[follows] - start[follows - 1]
    in_g, in_r = present.T
    bands = np.stack([in_g & ~in_r, in_g & in_r, in_r & ~in_g], axis=1).astype(np.float64)
    return Steps(numbers, bands, np.searchsorted(owner, np.arange(alerts + 1)))


def visit_starts(alert: Ints, alerts: int, jd: Floats) -> Floats:
    """Return for each point the time (days) at which its visit began.

    A point begins a visit if it is the first of its alert, more than 0.33 days after the beginning of the running
    visit, or at the very time of the point before it. (The last rule is how the networks' training data were made.)

    Parameters
    ----------
    alert : numpy.ndarray of int
        The alert each point belongs to; the points of an alert stand together, ascending in time.
    alerts : int
        How many alerts there are.
    jd : numpy.ndarray
        Times in days.
    """
    begin = np.searchsorted(alert, np.arange(alerts + 1))
    begin, lengths = begin[:-1], np.diff(begin)
    longest_first = np.argsort(-lengths, kind="stable")
    begin, lengths = begin[longest_first], lengths[longest_first]
    starts = jd.copy()
    running = jd[begin[lengths > 0]]
    # the k-th points of all alerts at once; alerts too short for k are the last ones and fall away
    for k in range(1, int(lengths[0]) if alerts else 0):
        points = begin[: np.searchsorted(-lengths, -k)] + k
        now = jd[points]
        running = running[: len(points)]
        begins = (now == jd[points - 1]) | (now - running > VISIT_DAYS)
        running = np.where(begins, now, running)
        starts[points] = running
    return starts


def _best(step: Ints, in_band: Mask, flux_error: Floats) -> Ints:
    """Return the point with the smallest error of each step that has any in the band; the first of equals."""
    points = np.flatnonzero(in_band)
    points = points[np.lexsort((flux_error[points], step[points]))]
    first = np.ones(len(points), dtype=bool)
    first[1:] = step[points[1:]] != step[points[:-1]]
    return points[first]
