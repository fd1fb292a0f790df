"""What flows and what became of it: counts and latency of every stage, a look at any topic."""

from fink_broker.monitor.counts import Counts, Stage, read_counts
from fink_broker.monitor.latency import Latency
from fink_broker.monitor.report import table

__all__ = ["Counts", "Latency", "Stage", "read_counts", "table"]
