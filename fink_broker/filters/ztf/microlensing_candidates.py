"""Microlensing candidates."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import REFERENCE

FILTER = Filter(
    name="microlensing_candidates",
    rule=SqlRule("mulens > 0"),
    description="Light curves that the microlensing classifier takes for lensing in all bands.",
    reference=f"{REFERENCE}; classifier: Godines et al. 2019, Astronomy and Computing 28, 100298",
    version="1",
)
