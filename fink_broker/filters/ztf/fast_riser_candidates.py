"""Young objects that brighten fast."""

from __future__ import annotations

import numpy as np

from fink_broker.alert.lightcurve import LightCurves, Mask
from fink_broker.filters.filter import Filter
from fink_broker.filters.measures import cuts
from fink_broker.filters.rule import Function
from fink_broker.filters.view import AlertView

MAX_AGE_DAYS = 60.0
#: Pairs of points closer in time (days) tell nothing of a rate.
MIN_STEP_DAYS = 0.02
#: mag/day
MIN_RISE = 0.25

_FIELDS = ("jd", "magpsf", "fid")


def decide(view: AlertView) -> Mask:
    """Return which alerts brighten fast, shape (n,)."""
    passed = cuts.is_extragalactic(view) & cuts.is_not(view.numbers("roid"), cuts.SSO_CANDIDATE, cuts.KNOWN_SSO)
    passed &= (view.numbers("candidate.drb") > 0.5) & (cuts.age_days(view) <= MAX_AGE_DAYS)
    rows = np.flatnonzero(passed)
    if len(rows):
        passed[rows] = rises_fast(cuts.light_curves(view, rows, *_FIELDS))
    return passed


def rises_fast(curves: LightCurves) -> Mask:
    """Return where any two consecutive detections of a band, in the order of time, rise by `MIN_RISE` mag/day.

    Points of one time keep the order in which they stand in the alert.
    """
    jd, magnitude, band = (curves.numbers(name) for name in _FIELDS)
    detected = np.flatnonzero(np.isfinite(jd) & np.isfinite(magnitude) & np.isfinite(band))
    point = detected[np.lexsort((jd[detected], band[detected], curves.owner[detected]))]
    first, then = point[:-1], point[1:]
    same = (curves.owner[first] == curves.owner[then]) & (band[first] == band[then])
    first, then = first[same], then[same]
    step = jd[then] - jd[first]
    apart = step >= MIN_STEP_DAYS
    rate = (magnitude[first[apart]] - magnitude[then[apart]]) / step[apart]
    rising = np.zeros(len(curves), dtype=bool)
    rising[curves.owner[first[apart]][rate >= MIN_RISE]] = True
    return rising


FILTER = Filter(
    name="fast_riser_candidates",
    rule=Function(
        decide,
        reads=("cdsxmatch", "roid", "candidate.drb", "candidate.jdstarthist", *cuts.paths(*_FIELDS)),
        text=(
            "extragalactic or unknown label; roid not 2 or 3; drb > 0.5; jd − jdstarthist ≤ 60; of the detections in "
            "the order of time, two consecutive ones of a band, at least 0.02 d apart, brighten by ≥ 0.25 mag/d"
        ),
    ),
    description="Objects first seen at most 60 days ago that brighten by a quarter of a magnitude a day or more.",
    reference="fink-filters 7.45",
    version="1",
)
