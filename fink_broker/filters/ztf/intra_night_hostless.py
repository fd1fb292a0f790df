"""Hostless transients detected twice in one night."""

from __future__ import annotations

from fink_broker.alert.lightcurve import LightCurves, Mask
from fink_broker.filters.ztf import hostless


def twice_in_a_night(curves: LightCurves) -> Mask:
    """Return where the last two points are of one night."""
    last_step, _ = hostless.steps_days(curves)
    return last_step < hostless.ONE_NIGHT_DAYS


FILTER = hostless.build(
    "intra_night_hostless",
    detections=2,
    description="Hostless transients detected twice, in one night.",
    in_time=twice_in_a_night,
    text="the last two points less than 0.5 d apart",
)
