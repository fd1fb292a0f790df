"""Spark's own report of every batch, counted for the dashboard.

A listener of Spark's is called by its Java process after each batch, in a thread of its own: no batch waits for it.
PySpark would copy every number of a report one by one over the socket between the two processes (100 ms a batch); here
the report comes as one text (1 ms). Whatever goes wrong in it stays in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQueryListener

from fink_broker.metrics.registry import SparkNumbers, spark_numbers

log = logging.getLogger(__name__)

#: A phase of a batch of which Spark does not tell today is counted too, but no more than so many.
MOST_PHASES = 20


@contextlib.contextmanager
def progress_counted(spark: SparkSession, *, rows: bool) -> Iterator[None]:
    """Count the progress of the session's queries while the block lasts.

    Parameters
    ----------
    spark : SparkSession
        Its queries are listened to.
    rows : bool
        Whether the rows of its source are alerts; a stream that is only a pulse has rows that tell nothing.
    """
    numbers = spark_numbers()
    listener: ProgressListener | None = ProgressListener(Progress(numbers, rows=rows))
    try:
        spark.streams.addListener(listener)
    except Exception as error:  # a job without numbers is better than none
        log.warning("Spark's progress is not counted: %s", error)
        listener = None
    try:
        yield
    finally:
        numbers.active.set(0)
        if listener is not None:
            with contextlib.suppress(Py4JError, OSError):  # the Java process may be gone
                spark.streams.removeListener(listener)


class Progress:
    """Counts what Spark reports.

    Parameters
    ----------
    numbers : SparkNumbers
        Where.
    rows : bool
        Whether rows are counted too.
    """

    def __init__(self, numbers: SparkNumbers, *, rows: bool) -> None:
        self._numbers, self._rows = numbers, rows
        self._phases: set[str] = set()

    def started(self) -> None:
        """Note that the query runs."""
        self._numbers.active.set(1)

    def idle(self) -> None:
        """Note that the query runs and has nothing to do."""
        self._numbers.progressed.set(time.time())

    def ended(self, *, failed: bool) -> None:
        """Note that the query ended."""
        self._numbers.active.set(0)
        if failed:
            self._numbers.failures.inc()

    def batch(self, report: Mapping[str, Any]) -> None:
        """Count a batch.

        Parameters
        ----------
        report : mapping
            Spark's report as it gives it in JSON: ``numInputRows``, ``durationMs`` (by phase), ``sources``, ...
        """
        numbers, durations = self._numbers, report.get("durationMs", {})
        numbers.progressed.set(time.time())
        for phase, milliseconds in durations.items():
            if phase != "triggerExecution" and (phase in self._phases or len(self._phases) < MOST_PHASES):
                self._phases.add(phase)
                numbers.phase_seconds.labels(phase).inc(milliseconds / 1000)
        if "addBatch" not in durations:
            return  # Spark looked, and there was nothing
        numbers.batches.inc()
        numbers.batch_seconds.observe(durations.get("triggerExecution", 0) / 1000)
        if self._rows:
            rows, told = rows_of(report), report.get("numInputRows", 0)
            share = rows / told if told else 0.0
            numbers.input_rows.inc(rows)
            numbers.input_rate.set(share * report.get("inputRowsPerSecond", 0.0))
            numbers.processed_rate.set(share * report.get("processedRowsPerSecond", 0.0))
            behind = offsets_behind(report)
            numbers.behind.labels("all partitions").set(sum(behind))
            numbers.behind.labels("slowest partition").set(max(behind, default=0))


def rows_of(report: Mapping[str, Any]) -> int:
    """Return how many rows came in with a batch: from Kafka as many as its offsets say.

    Spark's own number, ``numInputRows``, counts a row each time the batch is read: twice where a job looks twice. It is
    an upper limit for partitions of which Spark does not tell where it began.
    """
    told = int(report.get("numInputRows", 0))
    places = [
        end - starts.get(place, 0)
        for source in report.get("sources", ())
        for starts, ends in [(_offsets(source.get("startOffset")), _offsets(source.get("endOffset")))]
        for place, end in ends.items()
    ]
    return min(told, max(0, sum(places))) if places else told


def offsets_behind(report: Mapping[str, Any]) -> list[int]:
    """Return how many messages each partition of Kafka held beyond the end of a batch, from Spark's report of it."""
    found = []
    for source in report.get("sources", ()):
        ends, latest = (_offsets(source.get(name)) for name in ("endOffset", "latestOffset"))
        found += [max(0, last - ends.get(place, last)) for place, last in latest.items()]
    return found


def _offsets(told: object) -> dict[tuple[str, str], int]:
    """Return topic and partition → offset; none where a source counts in another way."""
    if isinstance(told, str):
        with contextlib.suppress(ValueError):
            told = json.loads(told)
    if not isinstance(told, dict):
        return {}
    return {
        (topic, partition): int(offset)
        for topic, partitions in told.items()
        if isinstance(partitions, dict)
        for partition, offset in partitions.items()
    }


class ProgressListener(StreamingQueryListener):
    """Has Spark call a `Progress`.

    Parameters
    ----------
    progress : Progress
        What is called.
    """

    def __init__(self, progress: Progress) -> None:
        self._ear = _Ear(progress)
        self._wrapper: Any = None

    # What PySpark would call, had it unpacked the report; it never does.
    def onQueryStarted(self, event: Any) -> None:  # noqa: D102
        raise NotImplementedError

    onQueryProgress = onQueryIdle = onQueryTerminated = onQueryStarted

    @property
    def _jlistener(self) -> Any:
        """What PySpark hands to Java in place of this object."""
        if self._wrapper is None:
            jvm = SparkContext._jvm
            if jvm is None:
                raise ConnectionError("there is no Java process")
            self._wrapper = jvm.PythonStreamingQueryListenerWrapper(self._ear)
        return self._wrapper


class _Ear:
    """Python's end of the Java interface; Java prints what an up-call raises, so none does."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def onQueryStarted(self, event: Any) -> None:
        _quietly(self._progress.started)

    def onQueryProgress(self, event: Any) -> None:
        _quietly(lambda: self._progress.batch(json.loads(event.progress().json())))

    def onQueryIdle(self, event: Any) -> None:
        _quietly(self._progress.idle)

    def onQueryTerminated(self, event: Any) -> None:
        _quietly(lambda: self._progress.ended(failed=bool(event.exception().isDefined())))

    class Java:
        """Names the interface."""

        implements = ("org.apache.spark.sql.streaming.PythonStreamingQueryListener",)


def _quietly(count: Callable[[], None]) -> None:
    try:
        count()
    except Exception:
        log.debug("a report of Spark's was not counted", exc_info=True)
