"""Run a streaming job from its start to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from fink_broker.archive import Layout
from fink_broker.config import Config
from fink_broker.stream.progress import progress_counted
from fink_broker.stream.query import Job, Supervisor
from fink_broker.stream.session import open_session
from fink_broker.stream.warmup import Warm, warm_up


class StreamingJob(Job, Warm, Protocol):
    """What a job provides."""


def run_job(job: StreamingJob, config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Open a Spark session, warm the job up, and run its query until told to stop."""
    say("starting Spark")
    spark = open_session(config, job.name)
    warm_up(job, spark, config, stop, say)
    with progress_counted(spark, rows=job.input_in_checkpoint):
        Supervisor(job, config, Layout(config.storage.online).checkpoint(job.name), stop, say).run(spark)
    spark.stop()
