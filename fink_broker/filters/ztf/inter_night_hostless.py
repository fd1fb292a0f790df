"""Hostless transients detected twice in one night and again in a later one."""

from __future__ import annotations

from fink_broker.alert.lightcurve import LightCurves, Mask
from fink_broker.filters.ztf import hostless


def again_a_night_later(curves: LightCurves) -> Mask:
    """Return where the last point is of a later night than the two before it, which are of one."""
    last_step, step_before = hostless.steps_days(curves)
    return (last_step > hostless.ONE_NIGHT_DAYS) & (step_before < hostless.ONE_NIGHT_DAYS)


FILTER = hostless.build(
    "inter_night_hostless",
    detections=3,
    description="Hostless transients detected twice in one night and a third time in a later one.",
    in_time=again_a_night_later,
    text="the last two points more than 0.5 d apart, the one before less than 0.5 d from them",
)
