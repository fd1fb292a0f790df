"""New objects of the solar system."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import IS_SSO_CANDIDATE, REFERENCE

FILTER = Filter(
    name="sso_fink_candidates",
    rule=SqlRule(IS_SSO_CANDIDATE),
    description="Candidates for new objects of the solar system, found by the broker.",
    reference=REFERENCE,
    version="1",
)
