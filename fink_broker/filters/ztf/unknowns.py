"""Alerts no classifier and no catalogue has a word for."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import REFERENCE

FILTER = Filter(
    name="unknowns",
    rule=SqlRule("finkclass = 'Unknown'"),
    description="Alerts to which neither a classifier nor SIMBAD gives a class.",
    reference=REFERENCE,
    version="1",
)
