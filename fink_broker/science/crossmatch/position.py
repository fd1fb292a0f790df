"""What every cross-match reads, and how near is near."""

from __future__ import annotations

from fink_broker.science.module import Needs

#: The position of the alert.
POSITION = Needs(candidate=("ra", "dec"))
#: Radii in arcsec: of point sources, of objects with poor positions or some extent.
POINT_RADIUS, WIDE_RADIUS = 1.5, 60.0
