"""Supernovae of type Ia before their maximum."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import IS_EXTRAGALACTIC, IS_GOOD, IS_SUPERNOVA_BY_SNN, REFERENCE

FILTER = Filter(
    name="early_sn_candidates",
    rule=SqlRule(
        f"{IS_SUPERNOVA_BY_SNN} AND {IS_EXTRAGALACTIC} AND {IS_GOOD}"
        " AND candidate.ndethist <= 20 AND rf_snia_vs_nonia > 0.5"
    ),
    description="Candidates for supernovae of type Ia before their maximum, by SuperNNova and a random forest.",
    reference=f"{REFERENCE}; forest: Leoni et al. 2022, A&A 663, A13",
    version="1",
)
