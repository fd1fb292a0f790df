"""The work of one Spark task of raw2science: some raw files in, one science file out, inside a Python worker.

Spark only says which worker takes which files. Alerts, three quarters of them images, are read and written by Arrow
and never pass through the Java machine.
"""

from __future__ import annotations

import gc
import os
import sys
import zipimport
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.archive.commits import DataFile
from fink_broker.archive.reading import read_rows
from fink_broker.archive.storage import Storage
from fink_broker.archive.table import AlertTable
from fink_broker.config import Config
from fink_broker.science import outcome
from fink_broker.science.registry import Pipeline, build_pipeline
from fink_broker.stream.enrich import enrich, failed_cut

#: what a module can make of an alert beside a result: name in the counts, and column that names the modules
OUTCOMES = {"failed": outcome.FAILED, "skipped": outcome.SKIPPED, "nothing": outcome.NOTHING}

#: images do not repeat: looking for repeats in them only costs
WRITING: dict[str, Any] = {
    "compression": "snappy",
    "use_dictionary": False,
    "write_statistics": ["candid", "objectId"],
}


#: tasks after which a worker has loaded all it will ever load
SETTLING_TASKS = 5


@dataclass(frozen=True)
class Task:
    """Which alerts a worker takes.

    Parameters
    ----------
    settings : str
        The configuration as JSON.
    source : str
        Location of the table the files belong to.
    files : tuple of DataFile
        Files of one observing night.
    target : str
        Location of the folder for the file it writes.
    name : str
        Name of that file; the same task writes the same file, whole or not at all.
    """

    settings: str
    source: str
    files: tuple[DataFile, ...]
    target: str
    name: str


@dataclass(frozen=True)
class Done:
    """What a task did: alerts dropped by each cut, outcomes by kind and module, and the schema it wrote."""

    cuts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    schemas: frozenset[bytes] = frozenset()

    def __add__(self, other: Done) -> Done:
        """Return what both did."""
        return Done(self.cuts + other.cuts, self.outcomes + other.outcomes, self.schemas | other.schemas)


def split(files: Sequence[DataFile], tasks: int) -> list[tuple[DataFile, ...]]:
    """Return files in groups of about as many rows each: at most so many for each observing night."""
    groups: list[tuple[DataFile, ...]] = []
    for night in sorted({file.partition for file in files}):
        shares: list[list[DataFile]] = [[] for _ in range(tasks)]
        rows = [0] * tasks
        for file in sorted((file for file in files if file.partition == night), key=lambda file: -file.rows):
            least = rows.index(min(rows))
            shares[least].append(file)
            rows[least] += file.rows
        groups += [tuple(share) for share in shares if share]
    return groups


def run_task(task: Task) -> Done:
    """Cut, classify, write; return what was done."""
    config, pipeline = _ready(task.settings)
    table, target = AlertTable(task.source), Storage(task.target)
    folder = f"night={task.files[0].partition}"
    target.make_folder(folder)
    temporary = f"{folder}/_{task.name}.{os.getpid()}.tmp"
    done, writer = Done(), None
    try:
        with target.files.open_output_stream(f"{target.root}/{temporary}") as stream:
            for alerts in _chunks(table, task.files, config.science.batch_alerts):
                cut = failed_cut(alerts, config.quality)
                enriched = enrich(alerts.filter(pc.is_null(cut)), pipeline)
                if writer is None:
                    writer = pq.ParquetWriter(stream, enriched.schema, **WRITING)
                    done += Done(schemas=frozenset({enriched.schema.remove_metadata().serialize().to_pybytes()}))
                writer.write_table(enriched.cast(writer.schema))
                done += Done(Counter(cut.drop_null().to_pylist()), _outcomes(enriched))
            if writer is not None:
                writer.close()
        target.move(temporary, f"{folder}/{task.name}.parquet")
    except BaseException:
        target.remove(temporary)
        raise
    _spare_worker()
    return done


@lru_cache(maxsize=1)
def _ready(settings: str) -> tuple[Config, Pipeline]:
    """Return configuration and pipeline of this worker: models and catalogues are loaded once."""
    config = Config.model_validate_json(settings)
    pipeline = build_pipeline(config)
    pipeline.prepare()
    return config, pipeline


#: tasks of this worker that are still to be followed by a look for what will stay
_settling = iter(range(SETTLING_TASKS))


def _spare_worker() -> None:
    """Leave little to what Spark's worker does between two tasks: it costs as much as classifying 200 alerts.

    It collects garbage: models and catalogues are none, and after the first tasks all of them are loaded. And it has
    all zip archives on the path read again: they are forgotten until something is imported from one.
    """
    if next(_settling, None) is not None:
        gc.collect()
        gc.freeze()
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            del sys.path_importer_cache[path]


def _chunks(table: AlertTable, files: Iterable[DataFile], rows: int) -> Iterator[pa.Table]:
    """Give the rows of files, gathered to as many as science likes at once."""
    waiting: list[pa.Table] = []
    count = 0
    for file in files:
        for part in read_rows(table, file, rows=rows):
            if count + len(part) > rows and waiting:
                yield pa.concat_tables(waiting, promote_options="permissive")
                waiting, count = [], 0
            waiting.append(part)
            count += len(part)
    if waiting:
        yield pa.concat_tables(waiting, promote_options="permissive")


def _outcomes(enriched: pa.Table) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for kind, column in OUTCOMES.items():
        for entry in pc.value_counts(pc.list_flatten(enriched[column])).to_pylist():
            counted[kind, entry["values"]] += entry["counts"]
    return counted
