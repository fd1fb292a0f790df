"""Lenses, black holes and sources of gravitational waves."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import REFERENCE, one_of

_LABELS = (
    "Gravitation",
    "LensingEv",
    "GravLensSystem",
    "GravLens",
    "LensedImage",
    "LensedG",
    "LensedQ",
    "BlackHole",
    "GravWaveEvent",
)

FILTER = Filter(
    name="simbad_grav_candidates",
    rule=SqlRule(one_of("cdsxmatch", _LABELS)),
    description="Gravitational lenses, lensed images, black holes and gravitational wave events of SIMBAD.",
    reference=REFERENCE,
    version="1",
)
