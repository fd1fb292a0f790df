"""Topics: rules in Spark SQL, evaluated together in one pass over the alerts."""

from fink_broker.filters.filter import Filter
from fink_broker.filters.registry import BUILT_IN, find_filters

__all__ = ["BUILT_IN", "Filter", "find_filters"]
