"""Young stellar objects."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import REFERENCE, one_of

FILTER = Filter(
    name="yso_candidates",
    rule=SqlRule(one_of("cdsxmatch", ("Candidate_YSO", "YSO_Candidate", "Candidate_TTau*", "TTau*_Candidate"))),
    description="Candidate young stellar objects and T Tauri stars of SIMBAD.",
    reference=REFERENCE,
    version="1",
)
