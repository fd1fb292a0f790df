"""Faint sources that SIMBAD does not know."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import IS_NOT_KNOWN_SSO, REFERENCE

FILTER = Filter(
    name="vra",
    rule=SqlRule(f"cdsxmatch = 'Unknown' AND {IS_NOT_KNOWN_SSO} AND candidate.magpsf > 19.5 AND candidate.drb > 0.5"),
    description="Real alerts fainter than magnitude 19.5, neither in SIMBAD nor a known solar system object.",
    reference=REFERENCE,
    version="1",
)
