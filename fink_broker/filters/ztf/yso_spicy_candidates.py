"""Young stellar objects of the SPICY catalogue that brighten or fade steadily."""

from __future__ import annotations

import numpy as np

from fink_broker.alert.lightcurve import LightCurves, Mask
from fink_broker.filters.filter import Filter
from fink_broker.filters.measures import cuts
from fink_broker.filters.measures.lines import fit_lines
from fink_broker.filters.rule import Function
from fink_broker.filters.view import AlertView

#: mag/day, of the feature of the r band.
MIN_SLOPE = 0.025
MIN_R_SQUARED, MIN_POINTS = 0.6, 5

_R_BAND = 2
_FIELDS = ("jd", "magpsf", "fid")


def decide(view: AlertView) -> Mask:
    """Return which alerts are steady candidates, shape (n,)."""
    young_star = view.texts("spicy_class", missing="Unknown") != "Unknown"
    passed = young_star & (np.abs(view.numbers("lc_features_r.linear_fit_slope")) > MIN_SLOPE)
    rows = np.flatnonzero(passed)
    if len(rows):
        passed[rows] = is_steady(cuts.light_curves(view, rows, *_FIELDS))
    return passed


def is_steady(curves: LightCurves) -> Mask:
    """Return where a line through the r band, of `MIN_POINTS` detections or more, has R² > `MIN_R_SQUARED`."""
    used = curves.is_detection & (curves.numbers("fid") == _R_BAND)
    owner = curves.owner[used]
    jd, magnitude = curves.numbers("jd")[used], curves.numbers("magpsf")[used]
    _, r_squared = fit_lines(owner, len(curves), jd, magnitude, np.ones(len(owner)))
    return (curves.count(used) >= MIN_POINTS) & (r_squared > MIN_R_SQUARED)


FILTER = Filter(
    name="yso_spicy_candidates",
    rule=Function(
        decide,
        reads=("spicy_class", "lc_features_r.linear_fit_slope", *cuts.paths(*_FIELDS)),
        text=(
            "spicy_class is not Unknown; |lc_features_r.linear_fit_slope| > 0.025; "
            "R² of a line through magpsf of the r band, of ≥ 5 detections, > 0.6"
        ),
    ),
    description="Candidate young stellar objects of the SPICY catalogue that brighten or fade steadily in r.",
    reference="fink-filters 7.45; catalogue: Kuhn et al. 2021, ApJS 254, 33",
    version="1",
)
