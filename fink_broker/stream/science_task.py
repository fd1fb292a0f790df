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
    """What a task did.

    Parameters
    ----------
    cuts : Counter
        Alerts dropped by each cut.
    outcomes : Counter
        Alerts by kind of outcome and module.
    schemas : frozenset of bytes
        The schemas it wrote.
    seconds : dict
        Time each module took.
    """

    cuts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    schemas: frozenset[bytes] = frozenset()
    seconds: dict[str, float] = field(default_factory=dict)

    def __add__(self, other: Done) -> Done:
        """Return what both did; tasks run side by side, so their seconds are of processors, not of the clock."""
        seconds = {
            name: self.seconds.get(name, 0.0) + other.seconds.get(name, 0.0)
            for name in {**self.seconds, **other.seconds}
        }
        return Done(self.cuts + other.cuts, self.outcomes + other.outcomes, self.schemas | other.schemas, seconds)


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
    table = AlertTable(task.source)
    done, before = Done(), dict(pipeline.seconds)
    with _Writer(task) as writer:
        for alerts in _chunks(table, task.files, config.science.batch_alerts):
            cut = failed_cut(alerts, config.quality)
            enriched = enrich(alerts.filter(pc.is_null(cut)), pipeline)
            writer.write(enriched)
            done += Done(Counter(cut.drop_null().to_pylist()), _outcomes(enriched), frozenset({_described(enriched)}))
    done += Done(seconds={name: spent - before.get(name, 0.0) for name, spent in pipeline.seconds.items()})
    _spare_worker()
    return done


class _Writer:
    """Writes the science files of a task, one for each schema that comes, each whole or not at all."""

    def __init__(self, task: Task) -> None:
        self._task, self._target = task, Storage(task.target)
        self._folder = f"night={task.files[0].partition}"
        self._number = 0
        self._writer: pq.ParquetWriter | None = None
        self._stream: pa.NativeFile | None = None

    def __enter__(self) -> _Writer:
        self._target.make_folder(self._folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._finish()
        elif self._writer is not None and self._stream is not None:
            self._writer.close()
            self._stream.close()
            self._target.remove(self._temporary)

    @property
    def _temporary(self) -> str:
        return f"{self._folder}/_{self._task.name}-{self._number}.{os.getpid()}.tmp"

    def write(self, rows: pa.Table) -> None:
        """Write rows, to another file than those before if they are of another schema."""
        if self._writer is not None and not self._writer.schema.equals(rows.schema):
            self._finish()
        if self._writer is None:
            self._stream = self._target.files.open_output_stream(f"{self._target.root}/{self._temporary}")
            self._writer = pq.ParquetWriter(self._stream, rows.schema, **WRITING)
        self._writer.write_table(rows)

    def _finish(self) -> None:
        if self._writer is None or self._stream is None:
            return
        self._writer.close()
        self._stream.close()
        self._target.move(self._temporary, f"{self._folder}/{self._task.name}-{self._number}.parquet")
        self._writer = self._stream = None
        self._number += 1


def _described(rows: pa.Table) -> bytes:
    return bytes(rows.schema.remove_metadata().serialize().to_pybytes())


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
    """Give the rows of files, gathered to as many of one schema as science likes at once."""
    waiting: list[pa.Table] = []
    count = 0
    for file in files:
        for part in read_rows(table, file, rows=rows):
            full = count + len(part) > rows or (waiting and not waiting[0].schema.equals(part.schema))
            if waiting and full:
                yield pa.concat_tables(waiting)
                waiting, count = [], 0
            waiting.append(part)
            count += len(part)
    if waiting:
        yield pa.concat_tables(waiting)


def _outcomes(enriched: pa.Table) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for kind, column in OUTCOMES.items():
        for entry in pc.value_counts(pc.list_flatten(enriched[column])).to_pylist():
            counted[kind, entry["values"]] += entry["counts"]
    return counted
