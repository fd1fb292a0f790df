"""First appearances of what may be a new object of the solar system."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import REFERENCE

FILTER = Filter(
    name="first_pass_candidates",
    rule=SqlRule("roid = 1"),
    description="First detections that may be new objects of the solar system.",
    reference=REFERENCE,
    version="1",
)
