"""``fink science run``."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from fink_broker.cli.alert_files import Fields, batches
from fink_broker.cli.configuration import load
from fink_broker.errors import UsageError
from fink_broker.science.outcome import FAILED, NOTHING, SKIPPED
from fink_broker.science.registry import Pipeline, select

KINDS = (".parquet", ".csv", ".jsonl")


def run_file(conf: str | None, file: Path, modules: list[str], out: Path | None, limit: int) -> int:
    """Run modules on a file, write their columns, and print what became of the alerts; return the exit code."""
    check_out(out)
    console = Console(stderr=True)
    pipeline = select(load(conf, quiet=True).config, modules)
    with console.status("loading models and catalogues"):
        pipeline.prepare()
    results, seconds = _run(pipeline, file, limit, console)
    table = pa.Table.from_batches(results)
    if out is not None:
        write(table, out)
    Console().print(_summary(pipeline, table, seconds))
    if out is None:
        console.print("Nothing was written: --out FILE keeps the columns (.parquet, .csv or .jsonl).")
    else:
        console.print(f"{len(table)} rows written to {out}.")
    return 0


def check_out(out: Path | None) -> None:
    """Check before the work that its result can be written."""
    if out is None:
        return
    if out.suffix not in KINDS:
        raise UsageError(f"'{out}' is of no kind that can be written.", f"End its name in {', '.join(KINDS)}.")
    if out.is_dir():
        raise UsageError(f"'{out}' is a folder.", "Name a file.")
    out.parent.mkdir(parents=True, exist_ok=True)


def _run(pipeline: Pipeline, file: Path, limit: int, console: Console) -> tuple[list[pa.RecordBatch], float]:
    columns = [SpinnerColumn(), TextColumn("classifying"), MofNCompleteColumn(), TimeElapsedColumn()]
    results, seconds = [], 0.0
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=limit or None)
        for batch in batches(file, Fields.of(pipeline), console.print, limit):
            started = time.perf_counter()
            science = pipeline.run(batch)
            seconds += time.perf_counter() - started
            arrays = [batch.field("objectId"), batch.field("candid"), *science.flatten()]
            results.append(pa.RecordBatch.from_arrays(arrays, names=["objectId", "candid", *pipeline.output_names]))
            progress.advance(task, len(batch))
    return results, seconds


def write(table: pa.Table, out: Path) -> None:
    """Write a table to a Parquet, CSV (nested columns as JSON) or JSON-lines file."""
    if out.suffix == ".parquet":
        pq.write_table(table, out)
    elif out.suffix == ".csv":
        arrow_csv.write_csv(pa.table({name: _flat(table[name]) for name in table.column_names}), out)
    else:
        with out.open("w", encoding="utf-8") as stream:
            for row in table.to_pylist(maps_as_pydicts="strict"):
                stream.write(json.dumps({name: _json(value) for name, value in row.items()}) + "\n")


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if not pa.types.is_nested(column.type) and not pa.types.is_binary(column.type):
        return column
    values = column.to_pylist(maps_as_pydicts="strict")
    return pa.array([None if value is None else json.dumps(_json(value)) for value in values], pa.string())


def _json(value: object) -> object:
    """Return a value with null for NaN, and base64 for bytes: JSON has neither."""
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return None if isinstance(value, float) and value - value != 0 else value


def _summary(pipeline: Pipeline, table: pa.Table, seconds: float) -> Table:
    rows = len(table)
    counts = {name: Counter(_names(table[name])) for name in (FAILED, SKIPPED, NOTHING)}
    per_alert = 1e3 / max(rows, 1)
    summary = Table("module", "found", "found nothing", "skipped by its rule", "failed", "ms an alert")
    summary.title = f"{rows:,} alerts in {seconds:.2f} s: {rows / max(seconds, 1e-9):,.0f} a second"
    for column in range(1, 6):
        summary.columns[column].justify = "right"
    for module in pipeline.modules:
        failed, skipped, nothing = (counts[name][module.name] for name in (FAILED, SKIPPED, NOTHING))
        found = rows - failed - skipped - nothing
        cost = f"{pipeline.seconds[module.name] * per_alert:.3f}"
        summary.add_row(module.name, *(f"{number:,}" for number in (found, nothing, skipped, failed)), cost)
    return summary


def _names(column: pa.ChunkedArray) -> list[str]:
    return [name for chunk in column.chunks for name in chunk.flatten().to_pylist()]
