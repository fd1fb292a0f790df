"""What the process of users' Python functions costs: the same functions, called there and called here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import filter_functions
from benchmarks.filter_table import StoredAlerts
from benchmarks.measure import spread
from fink_broker.filters.engine import Engine
from fink_broker.filters.filter import Filter
from fink_broker.filters.users.arguments import Argument, inputs_of, raw_columns
from fink_broker.filters.users.functions import UserFunction
from fink_broker.filters.users.pandas_columns import arguments_from, truth_values

ROOT = Path(__file__).resolve().parent.parent
THERE, WORK, HERE = "in their process, through the engine", "… of it the functions themselves", "called here"
#: So many functions at a time.
COUNTS = (1, len(filter_functions.NAMES))


def function_filters(count: int) -> list[Filter]:
    """Return filters of users' functions."""
    return [
        Filter(
            name,
            UserFunction(f"{filter_functions.__name__}:{name}", str(ROOT)),
            "a function of a user", "", "1", owner="user", built_in=False,
        )
        for name in filter_functions.NAMES[:count]
    ]  # fmt: skip


def call_here(batch: pa.Table, inputs: dict[str, dict[str, tuple[str, ...]]]) -> list[np.ndarray]:
    """Call functions in this process, each with pandas columns of its own."""
    columns = raw_columns(batch, [path for wanted in inputs.values() for many in wanted.values() for path in many])
    return [
        truth_values(getattr(filter_functions, name)(**arguments_from(columns, wanted)), len(batch))
        for name, wanted in inputs.items()
    ]


def measure(stored: dict[int, StoredAlerts], rounds: int, console: Console) -> dict[str, Any]:
    """Measure both ways in turn, on columns in memory; print and return milliseconds an alert.

    Raises
    ------
    SystemExit
        If they say different things of an alert.
    """
    told: dict[str, Any] = {}
    table = Table(title="Python functions of users; ms an alert, columns in memory", title_justify="left")
    table.add_column("median (least to most)")
    for size in stored:
        table.add_column(f"batches of {size}", justify="right")
    for count in COUNTS:
        filters = function_filters(count)
        runs = {size: _compare(filters, alerts, rounds, f"{count} functions") for size, alerts in stored.items()}
        for way in (THERE, WORK, HERE):
            table.add_row(f"{count}: {way}", *[spread(ms[way], digits=4) for ms in runs.values()])
        over = [[one - work for one, work in zip(ms[THERE], ms[WORK], strict=True)] for ms in runs.values()]
        table.add_row(f"{count}: the process costs", *[spread(values, digits=4) for values in over])
        told[str(count)] = runs
    console.print(table)
    console.print()
    return told


def _compare(filters: Sequence[Filter], stored: StoredAlerts, rounds: int, title: str) -> dict[str, list[float]]:
    ms: dict[str, list[float]] = {THERE: [], WORK: [], HERE: []}
    schema = next(stored.batches()).schema
    with Engine(filters, function_seconds=60.0, schema=schema) as engine:
        kept = [batch.combine_chunks() for batch in stored.batches(engine.reads)]
        inputs = {entry.name: inputs_of(_arguments(entry.name), schema) for entry in filters}
        for number in track(range(rounds + 1), description=title, transient=True):
            began = time.perf_counter()
            verdicts = [engine.judge(batch) for batch in kept]
            there, began = time.perf_counter() - began, time.perf_counter()
            here = [call_here(batch, inputs) for batch in kept]
            took = {
                THERE: there,
                WORK: sum(verdict.seconds for of_batch in verdicts for verdict in of_batch),
                HERE: time.perf_counter() - began,
            }
            for of_batch, called in zip(verdicts, here, strict=True):
                if not np.array_equal([verdict.passed for verdict in of_batch], called):
                    raise SystemExit("a function says otherwise in its own process")
            for way, seconds in took.items():
                if number:
                    ms[way].append(1000 * seconds / stored.count)
    return ms


def _arguments(name: str) -> list[Argument]:
    """Return the arguments of a function."""
    code = getattr(filter_functions, name).__code__
    return [Argument(argument, True) for argument in code.co_varnames[: code.co_argcount]]
