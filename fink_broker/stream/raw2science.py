"""raw2science: from the raw table to the science table.

in = out + cut, for every batch; each raw batch is taken in once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.config import Config
from fink_broker.science import outcome
from fink_broker.science.registry import build_pipeline
from fink_broker.stream.enrich import CUT, enrich, quality_cut
from fink_broker.stream.handoff import Intake, pulse, read_alerts
from fink_broker.stream.query import Batch
from fink_broker.stream.run import run_job
from fink_broker.stream.stream2raw import raw_schema
from fink_broker.stream.warmup import blank_alerts

log = logging.getLogger(__name__)

CUTS = ("nbad", "rb", "fid")
#: what a module can make of an alert beside a result: name in the counts, and column that names the modules
OUTCOMES = {"failed": outcome.FAILED, "skipped": outcome.SKIPPED, "nothing": outcome.NOTHING}


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
        self._schema_names: dict[str, str] = {}

    def wait_for_input(self, stop: threading.Event, say: Callable[[str], None]) -> bool:
        """Nothing to wait for: the raw table is a folder."""
        self.raw.create()
        return not stop.is_set()

    def warm_up(self, spark: SparkSession, folder: Path) -> None:
        """Classify a blank alert, one for each Python worker."""
        passes = {"candidate": {"rb": 1.0, "nbad": 0, "fid": 1}}
        alerts = blank_alerts(spark, folder, raw_schema(spark, self.config), passes)
        self._write(alerts, str(folder / "science"))

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
        observed: dict[str, int] = {}
        schema = ""
        if any(commit.files for commit in commits):
            alerts = read_alerts(batch.rows.sparkSession, self.raw, commits)
            observed, schema = self._write(alerts, self.science.staging(batch.id))
        files = self.science.publish(batch.id)
        cuts = {name: observed[f"cut_{name}"] for name in CUTS if observed.get(f"cut_{name}")}
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
                **{kind: self._counted(observed, kind) for kind in OUTCOMES},
                "schema": schema,
            },
        )
        self.science.commit(commit)
        self._intake.take(commits)
        self._report(commit)

    def _write(self, alerts: DataFrame, folder: str) -> tuple[dict[str, int], str]:
        """Write the enriched alerts of a batch to a folder; return what was counted and the schema's name."""
        cuts, outcomes = Observation(), Observation()
        cut = F.col(CUT)
        kept = (
            alerts.withColumn(CUT, quality_cut(self.config.quality))
            .observe(cuts, *[F.count(F.when(cut == name, 1)).alias(f"cut_{name}") for name in CUTS])
            .where(cut.isNull())
            .drop(CUT)
        )
        enriched = enrich(kept, self.config).observe(
            outcomes,
            *[
                F.count(F.when(F.array_contains(column, name), 1)).alias(f"{kind}_{name}")
                for kind, column in OUTCOMES.items()
                for name in self.modules
            ],
        )
        enriched.write.mode("overwrite").partitionBy("night").parquet(folder)
        return cuts.get | outcomes.get, self._schema_name(enriched)

    def _counted(self, observed: dict[str, int], kind: str) -> dict[str, int]:
        """Return by module how many alerts had an outcome, leaving out zeros."""
        return {name: observed[f"{kind}_{name}"] for name in self.modules if observed.get(f"{kind}_{name}")}

    def _schema_name(self, enriched: DataFrame) -> str:
        text = enriched.drop("night").schema.json()
        if text not in self._schema_names:
            self._schema_names[text] = self.science.keep_schema(text)
        return self._schema_names[text]

    def _report(self, commit: Commit) -> None:
        counts = commit.counts
        log.info("%s alerts in, %s science, %s cut (%s)", counts["in"], counts["out"], counts["cut"], commit.id)
        failed = commit.details["failed"]
        if failed:
            told = ", ".join(f"{module} {number}" for module, number in failed.items())
            log.warning("modules failed, or could ask nobody, on alerts: %s (%s)", told, commit.id)
