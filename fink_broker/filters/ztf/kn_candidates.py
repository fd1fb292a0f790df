"""Kilonova candidates."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import AGE, IS_EXTRAGALACTIC, IS_GOOD, IS_NOT_KNOWN_SSO, REFERENCE

FILTER = Filter(
    name="kn_candidates",
    rule=SqlRule(
        f"rf_kn_vs_nonkn > 0.5 AND {IS_GOOD} AND {AGE} < 5 AND candidate.ndethist < 20"
        f" AND {IS_EXTRAGALACTIC} AND {IS_NOT_KNOWN_SSO}"
    ),
    description="Kilonova candidates by a random forest, less than 5 days after their first detection.",
    reference=f"{REFERENCE}; forest: Biswas et al. 2023, A&A 677, A77",
    version="1",
)
