"""Young supernova candidates."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import AGE, IS_EXTRAGALACTIC, IS_GOOD, IS_NOT_KNOWN_SSO, IS_SUPERNOVA_BY_SNN, REFERENCE

FILTER = Filter(
    name="sn_candidates",
    rule=SqlRule(
        f"{IS_SUPERNOVA_BY_SNN} AND {IS_EXTRAGALACTIC} AND {IS_GOOD}"
        f" AND {AGE} <= 90 AND candidate.ndethist > 1 AND {IS_NOT_KNOWN_SSO}"
    ),
    description="Supernova candidates by SuperNNova, at most 90 days after their first detection.",
    reference=REFERENCE,
    version="1",
)
