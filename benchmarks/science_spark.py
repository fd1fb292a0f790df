"""raw2science as it runs, against a pandas UDF a module: Parquet of raw alerts to Parquet of science, in one session.

The UDFs run the very same modules. They get their best case: models stay loaded, nothing is counted, and a module that
raises may fail the batch.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_schema
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measure import spread
from benchmarks.science_alerts import Alerts
from benchmarks.science_pure import SIZES
from fink_broker.alert.batch import CUTOUT, field_types
from fink_broker.alert.lightcurve import HISTORY
from fink_broker.archive.commits import DataFile
from fink_broker.config import Config
from fink_broker.config.model import QualityConfig
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Module
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline
from fink_broker.service import java_parts
from fink_broker.stream.science_task import Task, run_task, split
from fink_broker.stream.session import open_session
from fink_broker.stream.stream2raw import raw_schema

BATCH_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"
IN_WORKERS, BY_MODULE = "files read and written by the workers", "a pandas UDF a module"
NO_MODULES, NO_PYTHON = "by the workers, without modules", "by Spark, without modules"
#: Alerts on which both ways are compared, and which go before each measurement: models have to be in the worker.
SAMPLE = 100

#: From a folder of raw files to a folder of science files, so many alerts at once.
Way = Callable[[Path, Path, int], None]


def measure(config: Config, alerts: Alerts, rounds: int, console: Console) -> dict[str, Any]:
    """Measure the ways in turn; print and return the figures."""
    java_parts.ensure("spark", console)
    folder = Path(tempfile.mkdtemp(prefix="fink-science-"))
    spark_config = config.spark.model_copy(update={"master": "local[1]"})
    spark = open_session(config.model_copy(update={"spark": spark_config}), "benchmark")
    try:
        schema = to_arrow_schema(raw_schema(spark, config))
        alerts.write_raw(folder / "alerts", schema)
        Alerts(alerts.packets, SAMPLE).write_raw(folder / "sample", schema)
        ways = _ways(spark, config)
        differ = differences(ways, folder, build_pipeline(config).science_type.names)
        runs = _run_all(ways, folder, rounds)
    finally:
        spark.stop()
        shutil.rmtree(folder, ignore_errors=True)
    _report(console, runs, alerts.count)
    if differ:
        console.print(f"  [red]the two ways differ in {', '.join(differ)}[/]\n")
    return {"seconds": {f"{way}, {size}": seconds for (way, size), seconds in runs.items()}, "differ": differ}


def _ways(spark: SparkSession, config: Config) -> dict[str, Way]:
    uncut = QualityConfig(rb_min=0, nbad_max=1_000_000, drop_fid=[])
    config = config.model_copy(update={"quality": uncut})
    nothing = config.science.model_copy(update={"modules": [], "user_modules": []})
    without = config.model_copy(update={"science": nothing})

    def by_spark(source: Path, target: Path, size: int, plan: Callable[[DataFrame], DataFrame]) -> None:
        spark.conf.set(BATCH_SETTING, size)
        plan(spark.read.parquet(str(source))).write.parquet(str(target))

    return {
        IN_WORKERS: lambda source, target, size: in_workers(spark, config, source, target, size),
        BY_MODULE: lambda source, target, size: by_spark(source, target, size, lambda rows: by_module(rows, config)),
        NO_MODULES: lambda source, target, size: in_workers(spark, without, source, target, size),
        NO_PYTHON: lambda source, target, size: by_spark(source, target, size, lambda rows: rows),
    }


def in_workers(spark: SparkSession, config: Config, source: Path, target: Path, size: int) -> None:
    """Do what raw2science does with the files of a batch."""
    science = config.science.model_copy(update={"batch_alerts": size})
    settings = config.model_copy(update={"science": science}).model_dump_json()
    files = [
        DataFile(file.name, "20240101", pq.read_metadata(file).num_rows, file.stat().st_size)
        for file in sorted(source.glob("*.parquet"))
    ]
    tasks = [
        Task(settings, str(source), group, str(target), f"part-{number}")
        for number, group in enumerate(split(files, spark.sparkContext.defaultParallelism))
    ]
    spark.sparkContext.parallelize(tasks, len(tasks)).map(run_task).collect()


def _run_all(ways: dict[str, Way], folder: Path, rounds: int) -> dict[tuple[str, int], list[float]]:
    turns = [(way, size) for way in ways for size in SIZES if way != NO_PYTHON or size == SIZES[0]]
    runs: dict[tuple[str, int], list[float]] = {turn: [] for turn in turns}
    # the first round warms up and is not counted
    order = [(number, turn) for number in range(rounds + 1) for turn in (turns if number % 2 else turns[::-1])]
    for number, (way, size) in track(order, description="modules in Spark", transient=True):
        _run(ways[way], folder / "sample", size)
        seconds = _run(ways[way], folder / "alerts", size)
        if number:
            runs[way, size].append(seconds)
    return runs


def _run(way: Way, source: Path, size: int) -> float:
    """Go one way and throw away what it wrote; return the seconds it took."""
    target = source.parent / "out"
    began = time.perf_counter()
    way(source, target, size)
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def by_module(alerts: DataFrame, config: Config) -> DataFrame:
    """Add the science columns as a chain of UDFs does: one a module, each fed with what it needs."""
    pipeline = build_pipeline(config)
    settings = config.model_dump_json()
    packet = alerts.columns
    giver: dict[str, str] = {}
    for module in pipeline.modules:
        place = f"module_{module.name}"
        outputs = [F.col(giver[name])[name].alias(name) for name in module.needs.outputs]
        inputs = F.struct(*_fields(module), *outputs)
        alerts = alerts.withColumn(place, _module_udf(settings, module)(inputs))
        giver |= {column.name: place for column in module.outputs}
    return alerts.select(*packet, *[F.col(giver[name])[name].alias(name) for name in pipeline.science_type.names])


def _fields(module: Module) -> list[Column]:
    """Return the columns of the packet that a module needs."""
    needs = module.needs
    return [
        *[F.col(name) for name in sorted({"candid", *needs.root})],
        *[F.col(f"candidate.{name}").alias(name) for name in sorted({*needs.candidate, *needs.history})],
        *[F.col(f"prv_candidates.{name}").alias(HISTORY + name) for name in needs.history],
        *[F.col(f"{CUTOUT}{name}.stampData").alias(CUTOUT + name) for name in needs.cutouts],
    ]


def _module_udf(settings: str, module: Module):  # type: ignore[no-untyped-def]  # pyspark names no type for it
    name = module.name
    kind = from_arrow_type(pa.struct([pa.field(column.name, column.type) for column in module.outputs]))

    def compute(rows: pd.DataFrame) -> pd.DataFrame:
        return compute_frame(settings, name, rows)

    return F.pandas_udf(compute, kind)


def compute_frame(settings: str, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Run a module on a frame of what it needs and return a frame of what it gives (in a Python worker)."""
    pipeline, module = _prepared(settings, name)
    types = _types(pipeline)
    columns = {column: to_arrow(rows[column], types.get(column, pa.binary())) for column in map(str, rows.columns)}
    given = module.compute(AlertBatch(columns, len(rows)))
    return pd.DataFrame({column.name: _to_pandas(given[column.name]) for column in module.outputs})


@lru_cache(maxsize=64)
def _prepared(settings: str, name: str) -> tuple[Pipeline, Module]:
    pipeline = build_pipeline(Config.model_validate_json(settings))
    module = next(module for module in pipeline.modules if module.name == name)
    module.prepare()
    return pipeline, module


@lru_cache(maxsize=1)
def _types(pipeline: Pipeline) -> dict[str, pa.DataType]:
    root, candidate, history = field_types()
    lists = {HISTORY + name: pa.list_(kind) for name, kind in history.items()}
    return root | candidate | lists | {field.name: field.type for field in pipeline.science_type}


def to_arrow(values: pd.Series, kind: pa.DataType) -> pa.Array:
    """Return a column of a pandas UDF as Arrow, the quickest way there is."""
    if pa.types.is_list(kind):
        lists = [[] if value is None else value for value in values]
        offsets = np.concatenate([[0], np.cumsum([len(value) for value in lists])]).astype(np.int32)
        flat = np.concatenate(lists) if offsets[-1] else np.array([], dtype=float)
        items = pa.array(flat, from_pandas=True)
        return pa.ListArray.from_arrays(pa.array(offsets), items.cast(kind.value_type, safe=False))
    if pa.types.is_struct(kind):
        return pa.array([None if value is None else _as_dict(value) for value in values], kind)
    if pa.types.is_map(kind):
        return pa.array([None if value is None else list(dict(value).items()) for value in values], kind)
    return pa.Array.from_pandas(values, type=kind)


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else value.asDict()


def _to_pandas(values: Any) -> Any:
    return values.to_pandas(maps_as_pydicts="lossy") if isinstance(values, pa.Array) else values


def differences(ways: dict[str, Way], folder: Path, names: list[str]) -> list[str]:
    """Return the science columns in which the two ways differ; null and NaN are one to pandas."""
    tables = []
    for number, way in enumerate((IN_WORKERS, BY_MODULE)):
        target = folder / f"differences{number}"
        ways[way](folder / "sample", target, SIZES[0])
        tables.append(pa.concat_tables(pq.read_table(file, columns=["candid", *names], partitioning=None)
                                       for file in target.rglob("*.parquet")).sort_by("candid"))  # fmt: skip
    first, second = tables
    return [name for name in names if _plain(first[name].to_pylist()) != _plain(second[name].to_pylist())]


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, dict):
        return _plain(list(value.items()))
    return repr(None if isinstance(value, float) and math.isnan(value) else value)


def _report(console: Console, runs: dict[tuple[str, int], list[float]], alerts: int) -> None:
    table = Table(title="In Spark, local[1] on one core: alerts/s", title_justify="left")
    table.add_column("median (least to most)")
    for size in SIZES:
        table.add_column(f"batches of {size}", justify="right")
    for way in dict.fromkeys(way for way, _ in runs):
        done = [runs.get((way, size), []) for size in SIZES]
        table.add_row(way, *[spread([alerts / s for s in seconds], digits=0) if seconds else "" for seconds in done])
    console.print(table)
    for size in SIZES:
        ours, theirs, trip = (runs[way, size] for way in (IN_WORKERS, BY_MODULE, NO_MODULES))
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        left = [without / our for our, without in zip(ours, trip, strict=True)]
        console.print(f"  batches of {size}: the workers are {spread(ratios)} times as fast as a pandas UDF a module")
        console.print(f"  … and {spread([100 * part for part in left], ' %', 0)} of its time remain without modules")
    console.print()
