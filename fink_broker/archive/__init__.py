"""Where alerts rest: Parquet tables by observing night, each batch one atomic commit."""

from fink_broker.archive.commits import Commit, CommitLog, DataFile
from fink_broker.archive.layout import Layout
from fink_broker.archive.table import AlertTable

__all__ = ["AlertTable", "Commit", "CommitLog", "DataFile", "Layout"]
