"""Known objects of the solar system."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import IS_KNOWN_SSO, REFERENCE

FILTER = Filter(
    name="sso_ztf_candidates",
    rule=SqlRule(IS_KNOWN_SSO),
    description="Known objects of the solar system: the Minor Planet Center has an object within 5 arcsec.",
    reference=REFERENCE,
    version="1",
)
