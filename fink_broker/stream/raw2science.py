"""raw2science: from the raw table to the science table.

in = out + cut, for every batch; each raw batch is taken in once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.archive.commits import DataFile
from fink_broker.archive.reading import files_of
from fink_broker.config import Config
from fink_broker.science.registry import build_pipeline
from fink_broker.stream.handoff import Intake, pulse
from fink_broker.stream.query import Batch
from fink_broker.stream.run import run_job
from fink_broker.stream.science_task import OUTCOMES, Done, Task, run_task, split
from fink_broker.stream.stream2raw import raw_schema
from fink_broker.stream.warmup import blank_files

log = logging.getLogger(__name__)

CUTS = ("nbad", "rb", "fid")


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the job until told to stop (a service entry point)."""
    run_job(Raw2Science(config), config, stop, say)


class Raw2Science:
    """The job: the raw table's commits, cuts and science, the science table."""

    name = "raw2science"
    input_in_checkpoint = False

    def __init__(self, config: Config) -> None:
        layout = Layout(config.storage.online)
        self.config = config
        self.raw, self.science = AlertTable(layout.table("raw")), AlertTable(layout.table("science"))
        self.modules = [module.name for module in build_pipeline(config).modules]
        self._intake = Intake(self.raw, self.science)
        self._schema_names: dict[bytes, str] = {}

    def wait_for_input(self, stop: threading.Event, say: Callable[[str], None]) -> bool:
        """Nothing to wait for: the raw table is a folder."""
        self.raw.create()
        return not stop.is_set()

    def warm_up(self, spark: SparkSession, folder: Path) -> None:
        """Classify a blank alert, one for each Python worker."""
        passes = {"candidate": {"rb": 1.0, "nbad": 0, "fid": 1}}
        schema = StructType([field for field in raw_schema(spark, self.config) if field.name != "night"])
        files = blank_files(folder / "night=19700101", schema, spark.sparkContext.defaultParallelism, passes)
        found = [DataFile(f"{file.parent.name}/{file.name}", "19700101", 1, file.stat().st_size) for file in files]
        self._classify(spark.sparkContext, str(folder), found, str(folder / "science"))

    def recover(self, spark: SparkSession) -> None:
        """Clear half-written batches and see which raw batches are done."""
        self.science.create()
        for commit_id in self.science.recover():
            log.info("batch %s was cut short; it runs again", commit_id)
        self._intake.recover()

    def source(self, spark: SparkSession) -> DataFrame:
        """Return the stream at whose beat the raw table's commits are looked for."""
        return pulse(spark)

    def process(self, batch: Batch) -> None:
        """Cut, classify, write, commit."""
        commits = self._intake.waiting()
        if not commits or self.science.log.has(batch.id):
            return
        started = time.time()
        inputs = [commit.id for commit in commits]
        self.science.discard(batch.id)
        done = self._classify(
            batch.rows.sparkSession.sparkContext,
            self.raw.storage.location,
            files_of(commits),
            self.science.staging(batch.id),
        )
        files = self.science.publish(batch.id)
        cuts = {name: done.cuts[name] for name in CUTS if done.cuts[name]}
        commit = Commit(
            id=batch.id,
            inputs=inputs,
            files=files,
            counts={
                "in": sum(commit.counts["out"] for commit in commits),
                "out": sum(file.rows for file in files),
                "cut": sum(cuts.values()),
            },
            started=started,
            committed=time.time(),
            details={
                "cuts": cuts,
                **{kind: self._counted(done, kind) for kind in OUTCOMES},
                "module_ms": {name: round(1000 * spent, 3) for name, spent in done.seconds.items()},
                "schema": self._schema_name(done),
            },
        )
        self.science.commit(commit)
        self._intake.take(commits)
        self._report(commit)

    def _classify(self, spark: SparkContext, source: str, files: list[DataFile], target: str) -> Done:
        """Have the workers cut and classify the alerts of some files; return what was counted."""
        groups = split(files, spark.defaultParallelism)
        settings = self.config.model_dump_json()
        tasks = [Task(settings, source, group, target, f"part-{number}") for number, group in enumerate(groups)]
        if not tasks:
            return Done()
        return sum(spark.parallelize(tasks, len(tasks)).map(run_task).collect(), Done())

    def _counted(self, done: Done, kind: str) -> dict[str, int]:
        """Return by module how many alerts had an outcome, leaving out zeros."""
        return {name: done.outcomes[kind, name] for name in self.modules if done.outcomes[kind, name]}

    def _schema_name(self, done: Done) -> str:
        """Return the name under which the schema of the batch's files is kept, empty if they have none or several."""
        if len(done.schemas) != 1:
            return ""
        (schema,) = done.schemas
        if schema not in self._schema_names:
            described = from_arrow_schema(pa.ipc.read_schema(pa.py_buffer(schema))).json()
            self._schema_names[schema] = self.science.keep_schema(described)
        return self._schema_names[schema]

    def _report(self, commit: Commit) -> None:
        counts = commit.counts
        log.info("%s alerts in, %s science, %s cut (%s)", counts["in"], counts["out"], counts["cut"], commit.id)
        failed = commit.details["failed"]
        if failed:
            told = ", ".join(f"{module} {number}" for module, number in failed.items())
            log.warning("modules failed, or could ask nobody, on alerts: %s (%s)", told, commit.id)
