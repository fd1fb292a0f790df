"""Classified transients."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import AGE, REFERENCE

FILTER = Filter(
    name="tns_match",
    rule=SqlRule(f"tns <> '' AND {AGE} <= 30"),
    description="Transients the Transient Name Server has a class for, at most 30 days after their first detection.",
    reference=REFERENCE,
    version="1",
)
