"""Hostless transients detected for the first time."""

from __future__ import annotations

from fink_broker.filters.ztf import hostless

FILTER = hostless.build(
    "new_hostless",
    detections=1,
    description="First detections where no catalogue and only one of the images shows a source.",
)
