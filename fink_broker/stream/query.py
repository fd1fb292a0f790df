"""A streaming query under supervision.

Batches are all or nothing, a request to stop drains, Kafka's troubles are waited out, and an error says what
happened when the job cannot go on.

What a job has taken in stands in Spark's checkpoint, written before the batch runs (``stream2raw``: offsets), or in
the job's own commits (the others). The table's commit log tells which batches exist: one that comes again, since a
kill came before Spark noted its end, is skipped.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

from fink_broker.archive.storage import Storage
from fink_broker.config import Config
from fink_broker.errors import FinkError, ServiceError
from fink_broker.stream.space import Space

log = logging.getLogger(__name__)

#: what Spark's messages contain when the trouble is Kafka's and time may mend it
_KAFKA_TROUBLE = (
    "org.apache.kafka",
    "TimeoutException",
    "UnknownTopicOrPartition",
    "DisconnectException",
    "Failed to construct kafka",
)


#: starts of a query in a row that end in trouble of Spark's own before the first batch is done, until the job gives up
BARREN_STARTS = 3


class Drained(Exception):
    """Raised inside a batch that came after the request to stop: it will run at the next start."""


@dataclass(frozen=True)
class Batch:
    """One micro-batch: its lasting name, its rows, and where its query keeps its checkpoint."""

    id: str
    number: int
    rows: DataFrame
    checkpoint: Storage


class Job(Protocol):
    """What a streaming job provides."""

    name: str
    input_in_checkpoint: bool
    """Whether Spark's checkpoint tells what was taken in, so that a batch it has begun must come again."""

    def source(self, spark: SparkSession) -> DataFrame:
        """Return the stream of input rows."""

    def recover(self, spark: SparkSession) -> None:
        """Clear what an earlier process left half-done; called before every start of the query."""

    def process(self, batch: Batch) -> None:
        """Do the work of one batch and commit it."""

    def wait_for_input(self, stop: threading.Event, say: Callable[[str], None]) -> bool:
        """Wait until the job's servers answer; return False if told to stop first."""


class Supervisor:
    """Runs a job's query until told to stop.

    Parameters
    ----------
    job : Job
        What to run.
    config : Config
        The configuration in force.
    checkpoint : str
        Folder of the query's checkpoint.
    stop : threading.Event
        Set from outside to ask for a drain.
    say : callable
        Takes one line on what the job is doing.
    """

    def __init__(
        self, job: Job, config: Config, checkpoint: str, stop: threading.Event, say: Callable[[str], None]
    ) -> None:
        self._job, self._config, self._say, self._stop = job, config, say, stop
        self._checkpoint = Storage(checkpoint)
        self._space = Space(config.storage, [config.storage.online])
        self._failure: BaseException | None = None
        self._done = 0  # batches since the query was started last
        self._barren = 0  # starts since the last batch was done
        self._in_batch = threading.Lock()

    def run(self, spark: SparkSession) -> None:
        """Run until stopped; Kafka's troubles are waited out, a query that cannot make a step ends the job.

        Raises
        ------
        FinkError
            What went wrong, in a sentence.
        """
        pause = 0.5
        while not self._stop.is_set() and self._job.wait_for_input(self._stop, self._say):
            begun = time.monotonic()
            try:
                self._job.recover(spark)
                query = self._start(spark)
                self._say("running")
                trouble = self._watch(query)
            except (ConnectionError, Py4JError) as error:
                raise ServiceError(
                    f"The Java process of {self._job.name} is gone: it was killed, or ran out of memory.",
                    "Nothing was lost: start it again; spark.driver_memory sets its heap.",
                ) from error
            if trouble is None:
                return
            pause = 1.0 if time.monotonic() - begun > 60 or self._done else min(pause * 2, 30.0)
            self._say(f"starting the query again in {pause:.0f} s: {trouble}")
            self._stop.wait(pause)

    def _start(self, spark: SparkSession) -> StreamingQuery:
        self._failure, self._done = None, 0
        self._barren += 1
        writer: DataStreamWriter = self._job.source(spark).writeStream
        seconds = self._config.stream.trigger_seconds
        return (
            writer.queryName(self._job.name)
            .option("checkpointLocation", self._checkpoint.location)
            .trigger(processingTime=f"{int(seconds * 1000)} milliseconds")
            .foreachBatch(self._process)
            .start()
        )

    def _process(self, rows: DataFrame, number: int) -> None:
        """Give one batch to the job; runs in a thread of Spark's."""
        with self._in_batch:
            self._space.wait(self._stop, self._say)
            if self._stop.is_set():
                if self._job.input_in_checkpoint:
                    raise Drained
                return
            try:
                self._job.process(Batch(f"{self._query_id()}-{number:09d}", number, rows, self._checkpoint))
            except BaseException as error:
                self._failure = error
                raise
            self._done, self._barren = self._done + 1, 0

    def _query_id(self) -> str:
        """Return the first 8 characters of the id that Spark gave this checkpoint when it was made."""
        return str(json.loads(self._checkpoint.read("metadata"))["id"])[:8]

    def _watch(self, query: StreamingQuery) -> str | None:
        """Wait for the query to end; return what passing trouble ended it, None if it was asked to."""
        while query.isActive:
            if self._stop.wait(0.2):
                return self._drain(query)
        return self._why(query)

    def _drain(self, query: StreamingQuery) -> str | None:
        """Let the running batch finish, with Spark's own commit of it, then end the query."""
        self._say("finishing the running batch")
        with self._in_batch:
            pass
        # A batch that has just been processed is committed to the checkpoint by Spark right after.
        for _ in range(50):
            if not query.isActive or not query.status["isTriggerActive"]:
                break
            time.sleep(0.1)
        if query.isActive:
            query.stop()
        if isinstance(self._failure, Exception):
            self._why(query)  # the last batch failed: the end is no honest one
        return None

    def _why(self, query: StreamingQuery) -> str | None:
        if self._stop.is_set() and self._failure is None:
            return None
        if isinstance(self._failure, FinkError):
            raise self._failure
        error: StreamingQueryException | None = query.exception()
        text = str(self._failure or error or "")
        if any(sign in text for sign in _KAFKA_TROUBLE):
            return _first_line(text)
        if self._failure is None and self._barren < BARREN_STARTS:
            # Not our batch but Spark's own bookkeeping failed. It is known to happen in the first batch after a kill
            # (the Kafka source's metrics) and on slow file systems; a fresh start of the query goes on from there.
            return _first_line(text)
        log.error("the query ended", exc_info=self._failure)
        raise ServiceError(
            f"The {self._job.name} stream ended: {_first_line(text) or 'for no reason Spark gives'}.",
            "Nothing was lost: start it again and it goes on from its last committed batch.",
        ) from self._failure


def _first_line(text: str) -> str:
    """Return the line of a long error that names its cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    python = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line) and "PythonException" not in line]
    return (python or causes or lines[:1] or [""])[-1][:300]
