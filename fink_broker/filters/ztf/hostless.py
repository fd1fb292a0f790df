"""What the topics of hostless transients share: nothing is known at the place, and only one image shows something."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import LightCurves, Mask
from fink_broker.filters.filter import Filter
from fink_broker.filters.measures import cuts
from fink_broker.filters.rule import Function
from fink_broker.filters.view import AlertView

#: Distance (arcsec) above which the nearest source of the reference image is another one.
FAR_FROM_REFERENCE_ARCSEC = 1.5
#: Labels at which SIMBAD knows nothing that speaks against a host, and how others of that kind begin.
UNLABELLED, UNLABELLED_START = ("Unknown", "Transient"), ("Fail", "Galaxy")
#: ``DR3Name`` where Gaia has no source.
NOT_IN_GAIA = "nan"
#: Largest scores, both at least 0: structure around the alert in the new and in the reference image.
MAX_SCIENCE, MAX_TEMPLATE = 0.5, 0.85
#: Points closer in time (days) are of one night.
ONE_NIGHT_DAYS = 0.5

_TEXT = (
    "distnr > 1.5; cdsxmatch Unknown, Transient, Fail… or Galaxy…; DR3Name = 'nan'; roid not 3; ndethist = {}; "
    "0 ≤ elephant_kstest_science ≤ 0.5; 0 ≤ elephant_kstest_template ≤ 0.85"
)
_READS = (
    "cdsxmatch", "DR3Name", "roid", "elephant_kstest_science", "elephant_kstest_template", "candidate.distnr",
    "candidate.ndethist",
)  # fmt: skip


def is_uncatalogued(view: AlertView) -> Mask:
    """Return where neither SIMBAD, Gaia, the reference image nor the Minor Planet Center knows a source."""
    label = view.column("cdsxmatch")
    unlabelled = pc.is_in(label, value_set=pa.array(UNLABELLED))
    for start in UNLABELLED_START:
        unlabelled = pc.or_(unlabelled, pc.starts_with(label, start).fill_null(False))
    nowhere = pc.and_(unlabelled, pc.equal(view.column("DR3Name"), NOT_IN_GAIA).fill_null(False))
    mask: Mask = nowhere.to_numpy(zero_copy_only=False)
    far = view.numbers("candidate.distnr") > FAR_FROM_REFERENCE_ARCSEC
    return mask & far & cuts.is_not(view.numbers("roid"), cuts.KNOWN_SSO)


def is_hostless(view: AlertView) -> Mask:
    """Return which alerts are of no catalogued source, and show one in one of the images only."""
    science, template = view.numbers("elephant_kstest_science"), view.numbers("elephant_kstest_template")
    scored = (science >= 0) & (science <= MAX_SCIENCE) & (template >= 0) & (template <= MAX_TEMPLATE)
    # most alerts have no score: texts are compared only where one has
    return scored & is_uncatalogued(view) if scored.any() else scored


def build(
    name: str, detections: int, description: str, in_time: Callable[[LightCurves], Mask] | None = None, text: str = ""
) -> Filter:
    """Return the filter of one of the topics.

    Parameters
    ----------
    name, description : str
        Of the topic.
    detections : int
        Detections of the object, ``ndethist``.
    in_time : callable, optional
        From light curves (of ``jd``) to whether their last points are where they should be, shape (n,).
    text : str
        That condition in words.
    """

    def decide(view: AlertView) -> Mask:
        passed = view.cached("function:is_hostless", is_hostless) & (view.numbers("candidate.ndethist") == detections)
        rows = np.flatnonzero(passed)
        if in_time is not None and len(rows):
            passed[rows] = in_time(cuts.light_curves(view, rows, "jd"))
        return passed

    reads = _READS if in_time is None else (*_READS, *cuts.paths("jd"))
    text = _TEXT.format(detections) + (f"; {text}" if text else "")
    return Filter(
        name=name,
        rule=Function(decide, reads, text),
        description=description,
        reference="fink-filters 7.45; ELEPHANT, Pessi et al. 2024, A&A 691, A181",
        version="1",
    )


def steps_days(curves: LightCurves) -> tuple[np.ndarray, np.ndarray]:
    """Return the time from the last point but one to the last, and from the one before it to that one (days).

    Upper limits count as points; NaN where there are not so many points.
    """
    jd, end, lengths = curves.numbers("jd"), curves.offsets[1:], curves.lengths

    def back(points: int) -> np.ndarray:
        return np.where(lengths > points, jd[np.maximum(end - 1 - points, 0)], np.nan)

    with np.errstate(invalid="ignore"):
        return back(0) - back(1), back(1) - back(2)
