"""Blazars."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import REFERENCE, one_of

FILTER = Filter(
    name="blazar",
    rule=SqlRule(one_of("cdsxmatch", ("Blazar", "Blazar_Candidate", "BLLac", "BLLac_Candidate"))),
    description="Blazars and BL Lac objects of SIMBAD, and candidates.",
    reference=REFERENCE,
    version="1",
)
