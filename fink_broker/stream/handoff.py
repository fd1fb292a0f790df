"""How a job takes in what the job before it committed: whole batches, through the commit log.

The stream is one row a commit; the rows of a batch are read from the Parquet files its commits name. So a stage
never sees a file half-written or left over, and knows how many alerts must come out.
"""

from __future__ import annotations

import json

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from fink_broker.archive import AlertTable, Commit
from fink_broker.stream.query import Batch

#: commits taken in at once when a job has fallen behind
COMMITS_PER_BATCH = 8


def follow(spark: SparkSession, table: AlertTable) -> DataFrame:
    """Return the stream of a table's commits."""
    return (
        spark.readStream.format("text")
        .option("wholetext", "true")
        .option("maxFilesPerTrigger", COMMITS_PER_BATCH)
        .load(table.log.uri)
    )


def new_commits(batch: Batch, done: set[str]) -> list[Commit]:
    """Return the commits of a batch that no committed batch of this job has taken in, oldest first."""
    commits = [Commit.from_json(row["value"]) for row in batch.rows.collect()]
    return sorted((commit for commit in commits if commit.id not in done), key=lambda commit: commit.committed)


def taken_in(table: AlertTable) -> set[str]:
    """Return the ids of all commits that the batches of a table have taken in."""
    return {name for commit in table.log.read_all() for name in commit.inputs}


def read_alerts(spark: SparkSession, table: AlertTable, commits: list[Commit]) -> DataFrame:
    """Return the alerts of some commits of a table (one at least has files), with ``night`` as text."""
    filled = [commit for commit in commits if commit.files]
    uris = [uri for commit in filled for uri in table.uris(commit.files)]
    reader = spark.read.option("basePath", table.storage.location)
    names = {commit.details["schema"] for commit in filled}
    if len(names) == 1:
        schema = StructType.fromJson(json.loads(table.read_schema(names.pop())))
        return reader.schema(schema.add("night", "string")).parquet(*uris)
    return reader.option("mergeSchema", "true").parquet(*uris)
