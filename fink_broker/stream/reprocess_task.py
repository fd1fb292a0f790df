"""The work of one process of a reprocessing: some files of a night in, one file of science alerts out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.alert.table import struct_from_table
from fink_broker.archive.additions import with_column
from fink_broker.archive.commits import DataFile
from fink_broker.archive.merging import reading
from fink_broker.archive.reading import read_rows
from fink_broker.archive.table import AlertTable
from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.science import outcome
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import GROUPS, build_pipeline, select
from fink_broker.stream.enrich import enrich, failed_cut
from fink_broker.stream.science_task import WRITING

#: between two looks whether the process that started this one is still there
LOOK_SECONDS = 0.5
#: Columns that name modules.
_NAMING = (outcome.FAILED, outcome.SKIPPED, outcome.NOTHING)


@dataclass(frozen=True)
class Portion:
    """What a process does at once.

    Parameters
    ----------
    settings : str
        The configuration as JSON.
    table : str
        Location of the table the files belong to: raw, or science where only some modules run.
    files : tuple of DataFile
        Files of one observing night.
    target : str
        File it writes, on a local disk; one for each schema that comes, numbered.
    modules : tuple of str
        Modules whose columns are made anew; none: cuts and all modules.
    """

    settings: str
    table: str
    files: tuple[DataFile, ...]
    target: str
    modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Portioned:
    """What came out: files, how many alerts were taken in, and how many each cut dropped."""

    files: tuple[str, ...]
    alerts: int
    cuts: dict[str, int]


def run_portion(portion: Portion) -> Portioned:
    """Do a portion.

    Raises
    ------
    DataError
        If a file cannot be read.
    ServiceError
        If what came out cannot be written.
    """
    config = Config.model_validate_json(portion.settings)
    table = AlertTable(portion.table)
    files: list[str] = []
    cuts: dict[str, int] = {}
    alerts = 0
    for file in portion.files:
        for rows in _rows(table, file, config.science.batch_alerts):
            made, dropped = _again(rows, portion, config)
            alerts += len(rows)
            for name in dropped:
                cuts[name] = cuts.get(name, 0) + 1
            path = f"{portion.target}-{len(files):05d}.parquet"
            _write(made, path)
            files.append(path)
    return Portioned(tuple(files), alerts, cuts)


def end_with_parent() -> None:
    """Have this process end when the one that started it does, also by a kill; what stops that one is left to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def redone(pipeline: Pipeline, names: Sequence[str]) -> tuple[str, ...]:
    """Return modules and all that need what they give, in the order they run.

    Parameters
    ----------
    pipeline : Pipeline
        Of all configured modules.
    names : sequence of str
        Names of modules or groups.
    """
    chosen = {single for name in names for single in GROUPS.get(name, (name,))}
    giver = {column.name: module.name for module in pipeline.modules for column in module.outputs}
    for module in pipeline.modules:  # in the order they run: what needs another comes after it
        if any(giver[name] in chosen for name in module.needs.outputs):
            chosen.add(module.name)
    return tuple(module.name for module in pipeline.modules if module.name in chosen)


def replace_columns(
    rows: pa.Table, science: pa.StructArray, pipeline: Pipeline, names: Sequence[str], order: Sequence[str]
) -> pa.Table:
    """Return science alerts with the columns of some modules, and what became of the alerts in them, made anew.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows of the science table.
    science : pyarrow.StructArray
        What the pipeline gave for them.
    pipeline : Pipeline
        The modules that ran.
    names : sequence of str
        Those whose columns are taken; others ran only because these need them.
    order : sequence of str
        All configured modules in the order they run, in which alerts name them.
    """
    ours, places = set(names), {name: place for place, name in enumerate(order)}
    for module in pipeline.modules:
        if module.name in ours:
            for column in module.outputs:
                rows = with_column(rows, column.name, pc.struct_field(science, column.name))
    for column_name in _NAMING:
        kind = outcome.OUTCOMES[column_name]
        now = pc.struct_field(science, column_name).to_pylist()
        before = _lists(rows, column_name)
        merged = [
            sorted(
                [name for name in old or [] if name not in ours] + [name for name in new if name in ours],
                key=lambda name: places.get(name, len(places)),
            )
            for old, new in zip(before, now, strict=True)
        ]
        rows = with_column(rows, column_name, pa.array(merged, kind))
    made_with = {name: text for name, text in pipeline.made_with().items() if name in ours}
    texts = [list({**dict(old or []), **made_with}.items()) for old in _lists(rows, outcome.MADE_WITH)]
    return with_column(rows, outcome.MADE_WITH, pa.array(texts, outcome.OUTCOMES[outcome.MADE_WITH]))


def _lists(rows: pa.Table, name: str) -> list[Any]:
    return rows[name].to_pylist() if name in rows.column_names else [None] * len(rows)


def _rows(table: AlertTable, file: DataFile, rows: int) -> Iterator[pa.Table]:
    with reading(table, file):
        yield from read_rows(table, file, rows=rows)


def _write(rows: pa.Table, path: str) -> None:
    try:
        pq.write_table(rows, path, **WRITING)
    except OSError as error:
        text = " ".join(str(error).split())[:200]
        raise ServiceError(f"{path} could not be written: {text}.", "Is there room on the disk?") from None


def _again(rows: pa.Table, portion: Portion, config: Config) -> tuple[pa.Table, list[str]]:
    """Return science alerts made anew of some rows, and the names of the cuts that dropped others."""
    pipeline = _pipeline(portion.settings, portion.modules)
    if not portion.modules:
        cut = failed_cut(rows, config.quality)
        return enrich(rows.filter(pc.is_null(cut)), pipeline), cut.drop_null().to_pylist()
    fields = pipeline.root_fields, pipeline.candidate_fields, pipeline.history_fields, pipeline.cutouts
    science = pipeline.run(struct_from_table(rows, *fields))
    order = [module.name for module in build_pipeline(config).modules]
    return replace_columns(rows, science, pipeline, portion.modules, order), []


@lru_cache(maxsize=1)
def _pipeline(settings: str, modules: tuple[str, ...]) -> Pipeline:
    """Return the modules of this process: models and catalogues are loaded once."""
    config = Config.model_validate_json(settings)
    pipeline = select(config, modules) if modules else build_pipeline(config)
    pipeline.prepare()
    return pipeline
