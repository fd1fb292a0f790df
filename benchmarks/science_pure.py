"""What the modules cost by themselves: the pipeline on batches in memory, and what it takes to start one."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measure import MIB, TreeMemory, spread
from benchmarks.science_alerts import Alerts
from fink_broker.config import Config
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline

#: Alerts in a batch: what the broker hands over when there is much to do, and what a quiet second brings.
SIZES = (512, 50)
#: A process with all models and catalogues shall stay below.
MEMORY_LIMIT_MIB = 1024
#: Name of what the pipeline does besides running modules.
BESIDES = "(besides)"


@dataclass(frozen=True)
class Run:
    """What some batches took.

    Parameters
    ----------
    alerts : int
        Alerts in them.
    seconds, cpu_seconds : float
        In the pipeline, by the clock and of the processor.
    modules : dict of str to float
        Seconds of each module.
    """

    alerts: int
    seconds: float
    cpu_seconds: float
    modules: dict[str, float]

    @property
    def ms(self) -> float:
        """Milliseconds an alert."""
        return 1000 * self.seconds / self.alerts

    def ms_of(self, *modules: str) -> float:
        """Milliseconds an alert of some modules."""
        return 1000 * sum(self.modules[name] for name in modules) / self.alerts


def run_batches(pipeline: Pipeline, batches: Iterable[pa.StructArray]) -> Run:
    """Run a pipeline over batches; making the batches is not counted."""
    before = dict(pipeline.seconds)
    alerts, seconds, cpu_seconds = 0, 0.0, 0.0
    for batch in batches:
        began, cpu_began = time.perf_counter(), time.process_time()
        pipeline.run(batch)
        cpu_seconds += time.process_time() - cpu_began
        seconds += time.perf_counter() - began
        alerts += len(batch)
    modules = {name: pipeline.seconds[name] - before.get(name, 0.0) for name in (m.name for m in pipeline.modules)}
    return Run(alerts, seconds, cpu_seconds, modules | {BESIDES: seconds - sum(modules.values())})


def measure(config: Config, alerts: Alerts, rounds: int, console: Console) -> dict[str, Any]:
    """Measure batches of each size in turn, and fresh processes; print and return the figures."""
    pipeline = build_pipeline(config)
    run_batches(pipeline, alerts.batches(pipeline, SIZES[0], min(alerts.count, 2 * SIZES[0])))
    runs: dict[int, list[Run]] = {size: [] for size in SIZES}
    starts = []
    with tempfile.TemporaryDirectory(prefix="fink-science-") as folder:
        sample = Path(folder) / "batch.arrow"
        _write(next(alerts.batches(pipeline, SIZES[0])), sample)
        for number in track(range(rounds), description="modules by themselves", transient=True):
            for size in SIZES if number % 2 else SIZES[::-1]:
                runs[size].append(run_batches(pipeline, alerts.batches(pipeline, size)))
            starts.append(start_process(config, sample))
    _report(console, runs, starts)
    return {
        "runs": {str(size): [vars(run) for run in done] for size, done in runs.items()},
        "starts": starts,
        "failures": dict(pipeline.failures),
    }


def start_process(config: Config, sample: Path) -> dict[str, float]:
    """Start a process that loads all modules and runs a batch; return seconds and MiB.

    Raises
    ------
    SystemExit
        If it fails.
    """
    began = time.time()
    command = [sys.executable, "-m", "benchmarks.science_ready", str(sample)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        TreeMemory(lambda: [process.pid], seconds=0.1) as memory,
    ):
        told, _ = process.communicate(config.model_dump_json())
    if process.returncode:
        raise SystemExit("the process that loads all modules failed")
    told = json.loads(told)
    return {
        "ready": told["ready"] - began,
        "prepare": told["prepare"],
        "mib_ready": told["pss_ready"] / MIB,
        "mib_peak_pss": max(memory.peak_bytes, told["pss_end"]) / MIB,
        "mib_peak_rss": told["peak_rss"] / MIB,
    }


def _write(batch: pa.StructArray, file: Path) -> None:
    table = pa.Table.from_struct_array(batch)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _report(console: Console, runs: dict[int, list[Run]], starts: list[dict[str, float]]) -> None:
    table = Table(title="Modules by themselves, one core: ms an alert", title_justify="left")
    table.add_column("median (least to most)")
    for size in runs:
        table.add_column(f"batches of {size}", justify="right")
    table.add_column("share", justify="right")
    first = runs[SIZES[0]]
    names = sorted(first[0].modules, key=lambda name: -statistics.median(run.ms_of(name) for run in first))
    for name in names:
        share = statistics.median(run.modules[name] / run.seconds for run in first)
        table.add_row(
            name, *[spread([run.ms_of(name) for run in done], digits=4) for done in runs.values()], f"{share:.1%}"
        )
    table.add_section()
    table.add_row("all", *[spread([run.ms for run in done], digits=3) for done in runs.values()], "")
    table.add_row(
        "alerts/s", *[spread([run.alerts / run.seconds for run in done], digits=0) for done in runs.values()], ""
    )
    console.print(table)
    ratios = [small.ms / large.ms for small, large in zip(runs[SIZES[1]], first, strict=True)]
    console.print(f"  an alert in a batch of {SIZES[1]} costs {spread(ratios, ' ×')} that in one of {SIZES[0]}")
    lines = {
        "from start to ready, s": "ready",
        "… of it models and catalogues, s": "prepare",
        "memory when ready, MiB": "mib_ready",
        "most memory, pages shared by their share, MiB": "mib_peak_pss",
        "most memory, resident, MiB": "mib_peak_rss",
    }
    for text, key in lines.items():
        console.print(f"  a fresh process: {text}: {spread([start[key] for start in starts], digits=1)}")
    most = max(start["mib_peak_rss"] for start in starts)
    verdict = "below" if most < MEMORY_LIMIT_MIB else "[red]above[/]"
    console.print(f"  that is {verdict} the limit of {MEMORY_LIMIT_MIB} MiB\n")
