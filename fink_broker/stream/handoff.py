"""How a job takes in what the job before it committed: whole batches, through the commit log.

At each turn a job looks whether the log before it has grown, and reads the rows of new commits from the Parquet files
they name. raw2science gets its turns from a stream that is only a pulse; distribution takes one five times a second.
So a stage never sees a file half-written or left over, knows how many
alerts must come out, and looks no longer after a year than after a minute (Spark's own file source lists and
remembers every file there ever was). What a job has taken in stands in its own commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fink_broker.archive import AlertTable, Commit
from fink_broker.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: commits taken in at once when a job has fallen behind
COMMITS_PER_BATCH = 8


def pulse(spark: SparkSession) -> DataFrame:
    """Return a stream that gives the job a turn every second, or as soon as a longer one is over."""
    return spark.readStream.format("rate").option("rowsPerSecond", 1).option("numPartitions", 1).load()


class Intake:
    """Where a job stands in the commit log of the table before it.

    Parameters
    ----------
    source, table : AlertTable
        What it takes in, and where its own commits tell what it has taken in.
    """

    def __init__(self, source: AlertTable, table: AlertTable) -> None:
        self._source, self._table = source, table
        self._next = 0

    def recover(self) -> None:
        """See where the job stands; called before it begins."""
        last = next(self._table.log.newest_first(), None)
        numbers = [self._source.log.number_of(name) for name in last.inputs] if last else []
        self._next = max((number + 1 for number in numbers if number is not None), default=0)

    def waiting(self, most: int = COMMITS_PER_BATCH) -> list[Commit]:
        """Return the commits to take in next, at most so many, oldest first; none if the job has caught up.

        Raises
        ------
        DataError
            If commits are gone that were there before.
        """
        commits = self._source.log.read_from(self._next, most)
        if not commits and self._source.log.end() < self._next:
            raise DataError(
                f"{self._source.storage.location} has fewer batches than were taken in: it was removed or replaced.",
                "Start the job again, and it takes in what is there now.",
            )
        return commits

    def take(self, commits: list[Commit]) -> None:
        """Note that commits were taken in, once that is committed."""
        self._next += len(commits)
