"""``conesearch``: objects around a position."""

from __future__ import annotations

from dataclasses import replace

from fink_broker.portal.alert_rows import COLUMNS
from fink_broker.portal.cones import COUNT, DATES, DEC, RA, RADIUS, cone
from fink_broker.portal.route import Route

ROUTES = (
    Route(
        "conesearch",
        "Get the latest alert of each object around a position",
        cone,
        (*(replace(argument, required=True) for argument in (RA, DEC, RADIUS)), COUNT, *DATES, COLUMNS),
    ),
)
