"""Young supernova candidates."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.finkclass import SUPERNOVA
from fink_broker.filters.terms import REFERENCE

FILTER = Filter(
    name="sn_candidates",
    rule=SUPERNOVA,
    description="Supernova candidates by SuperNNova, at most 90 days after their first detection.",
    reference=REFERENCE,
    version="1",
)
