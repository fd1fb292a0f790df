"""All modules in one trip to Python, as the broker runs them, against a pandas UDF a module, in one Spark session.

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
from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Module
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline
from fink_broker.service import java_parts
from fink_broker.stream.enrich import enrich
from fink_broker.stream.session import open_session
from fink_broker.stream.stream2raw import raw_schema

BATCH_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"
ONE_TRIP, BY_MODULE = "all modules in one trip", "a pandas UDF a module"
NO_MODULES, NO_PYTHON = "the trip, without modules", "no trip: alerts read and dropped"
#: Alerts on which both ways are compared, and which go before each measurement: models have to be in the worker.
SAMPLE = 100

Plan = Callable[[DataFrame], DataFrame]


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
        whole, sample = (spark.read.parquet(str(folder / name)) for name in ("alerts", "sample"))
        differ = differences(sample, config)
        runs = _run_all(spark, _plans(config), whole, sample, rounds)
    finally:
        spark.stop()
        shutil.rmtree(folder, ignore_errors=True)
    _report(console, runs, alerts.count)
    if differ:
        console.print(f"  [red]the two ways differ in {', '.join(differ)}[/]\n")
    return {"seconds": {f"{way}, {size}": seconds for (way, size), seconds in runs.items()}, "differ": differ}


def _plans(config: Config) -> dict[str, Plan]:
    nothing = config.science.model_copy(update={"modules": [], "user_modules": []})
    without = config.model_copy(update={"science": nothing})
    return {
        ONE_TRIP: lambda alerts: enrich(alerts, config),
        BY_MODULE: lambda alerts: by_module(alerts, config),
        NO_MODULES: lambda alerts: enrich(alerts, without),
        NO_PYTHON: lambda alerts: alerts,
    }


def _run_all(
    spark: SparkSession, plans: dict[str, Plan], whole: DataFrame, sample: DataFrame, rounds: int
) -> dict[tuple[str, int], list[float]]:
    ways = [(way, size) for way in plans for size in SIZES if way != NO_PYTHON or size == SIZES[0]]
    runs: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    # the first round warms up and is not counted
    turns = [(number, way) for number in range(rounds + 1) for way in (ways if number % 2 else ways[::-1])]
    for number, (way, size) in track(turns, description="modules in Spark", transient=True):
        spark.conf.set(BATCH_SETTING, size)
        _run(plans[way](sample))
        seconds = _run(plans[way](whole))
        if number:
            runs[way, size].append(seconds)
    return runs


def _run(rows: DataFrame) -> float:
    """Compute rows and throw them away; return the seconds it took."""
    began = time.perf_counter()
    rows.write.format("noop").mode("overwrite").save()
    return time.perf_counter() - began


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
        *[
            F.when(F.expr(needs.cutouts_where), F.col(f"{CUTOUT}{name}.stampData")).alias(CUTOUT + name)
            for name in needs.cutouts
        ],
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


def differences(sample: DataFrame, config: Config) -> list[str]:
    """Return the science columns in which the two ways differ; null and NaN are one to pandas."""
    names = build_pipeline(config).science_type.names
    tables = [rows.select("candid", *names).toArrow().sort_by("candid") for rows in
              (enrich(sample, config), by_module(sample, config))]  # fmt: skip
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
        ours, theirs, trip = (runs[way, size] for way in (ONE_TRIP, BY_MODULE, NO_MODULES))
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        left = [without / our for our, without in zip(ours, trip, strict=True)]
        console.print(f"  batches of {size}: one trip is {spread(ratios)} times as fast as a pandas UDF a module")
        console.print(f"  … and {spread([100 * part for part in left], ' %', 0)} of its time remain without modules")
    console.print()
