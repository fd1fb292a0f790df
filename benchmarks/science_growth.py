"""How cost grows: with the number of alerts, together or in batches, and with the length of their history."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measure import spread
from benchmarks.science_alerts import Alerts
from benchmarks.science_curves import make_batch
from benchmarks.science_pure import BESIDES, Run, run_batches
from fink_broker.config import Config
from fink_broker.science.outcome import SKIPPED
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline

matplotlib.use("Agg")
import matplotlib.pyplot as plt

#: Numbers of alerts; those beyond twice ``--alerts`` are left out.
COUNTS = (500, 1000, 2000, 5000, 10_000, 20_000)
BATCH = 512
#: Points of each light curve, and alerts that have so many.
LENGTHS = (10, 30, 100, 300, 1000)
LONG_ALERTS = 256
#: Modules drawn, the costliest.
DRAWN = 6
#: What takes less than this part of the total is not drawn.
FAINTEST = 1000
FIGURE = "science_growth.png"
TOTAL = "all modules"

Runs = dict[int, list[Run]]
#: Power of each module over all sizes, and over the two largest.
Powers = dict[str, list[float]]


def measure(config: Config, alerts: Alerts, rounds: int, console: Console, figures: Path) -> dict[str, Any]:
    """Measure all sizes in turn, draw them; print and return the figures."""
    pipeline = build_pipeline(config)
    counts = [count for count in COUNTS if count <= 2 * alerts.count] or [alerts.count]
    long = {points: make_batch(pipeline, points, LONG_ALERTS, seed=points) for points in LENGTHS}
    run_batches(pipeline, [long[LENGTHS[0]]])
    in_batches: Runs = {count: [] for count in counts}
    at_once: Runs = {count: [] for count in counts}
    by_length: Runs = {points: [] for points in LENGTHS}
    for number in track(range(rounds), description="growth", transient=True):
        for count in counts if number % 2 else counts[::-1]:
            in_batches[count].append(run_batches(pipeline, alerts.batches(pipeline, BATCH, count)))
            at_once[count].append(run_batches(pipeline, _without_images(alerts.batches(pipeline, count, count))))
        for points in LENGTHS if number % 2 else LENGTHS[::-1]:
            by_length[points].append(run_batches(pipeline, [long[points]]))
    looked = {points: looked_at(pipeline, batch) for points, batch in long.items()}
    powers = [exponents(in_batches), exponents(at_once), exponents(by_length, looked)]
    series = {
        f"alerts, in batches of {BATCH}": in_batches,
        "alerts, in one batch, without images": at_once,
        "points of each light curve": by_length,
    }
    _report(console, series, powers)
    _report_lengths(console, by_length, looked)
    figures.mkdir(parents=True, exist_ok=True)
    draw(series, powers, figures / FIGURE)
    console.print(f"  drawn: {figures / FIGURE}\n")
    return {
        "runs": {
            title: {size: [vars(run) for run in done] for size, done in runs.items()} for title, runs in series.items()
        },
        "exponents": dict(zip(series, powers, strict=True)),
        "looked_at": looked,
    }


def _without_images(batches: Iterable[pa.StructArray]) -> Iterator[pa.StructArray]:
    """Yield batches whose images are null: thousands at once are gigabytes."""
    for batch in batches:
        columns = dict(zip(batch.type.names, batch.flatten(), strict=True))
        blank = {name: pa.nulls(len(batch), pa.binary()) for name in columns if name.startswith("cutout")}
        columns |= blank
        yield pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def looked_at(pipeline: Pipeline, batch: pa.StructArray) -> dict[str, float]:
    """Return for each module the share of alerts that its own rule let pass."""
    skipped = [name for names in pipeline.run(batch).field(SKIPPED).to_pylist() for name in names]
    return {module.name: 1 - skipped.count(module.name) / len(batch) for module in pipeline.modules}


def medians(runs: Runs) -> dict[str, list[float]]:
    """Return the median seconds at each size, of all and of each module."""
    first = next(iter(runs.values()))[0]
    told = {TOTAL: [statistics.median(run.seconds for run in done) for done in runs.values()]}
    for name in first.modules:
        told[name] = [statistics.median(run.modules[name] for run in done) for done in runs.values()]
    return told


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the power of the size that the time follows, fitted to the logarithms; NaN for a single size."""
    if len(sizes) < 2:
        return float("nan")
    # what takes no time at all has no logarithm
    times = np.maximum(np.asarray(seconds), 1e-9)
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def exponents(runs: Runs, looked: Mapping[int, Mapping[str, float]] | None = None) -> Powers:
    """Return the fitted powers: over all sizes, and over the two largest.

    Parameters
    ----------
    runs : dict
        The measurements at each size.
    looked : mapping, optional
        Share of alerts each module looks at, by size: sizes at which it looks at none tell nothing of it.
    """
    powers = {}
    for name, times in medians(runs).items():
        counts = [(size, time) for size, time in zip(runs, times, strict=True)
                  if not looked or looked[size].get(name, 1.0)]  # fmt: skip
        sizes, seconds = [size for size, _ in counts], [time for _, time in counts]
        powers[name] = [exponent(sizes, seconds), exponent(sizes[-2:], seconds[-2:])]
    return powers


def costliest(runs: Runs) -> list[str]:
    """Return the names of the costliest modules at the largest size, the total first."""
    times = medians(runs)
    modules = sorted(times.keys() - {TOTAL, BESIDES}, key=lambda name: -times[name][-1])
    return [TOTAL, *modules[:DRAWN]]


def draw(series: Mapping[str, Runs], powers: Sequence[Powers], file: Path) -> None:
    """Draw time against size, with lines of n and n log n through the first point of the total."""
    figure, axes = plt.subplots(1, len(series), figsize=(5.0 * len(series), 5.6), constrained_layout=True)
    for axis, (title, runs), power in zip(axes, series.items(), powers, strict=True):
        sizes, times = np.array(list(runs)), medians(runs)
        for name in costliest(runs):
            style = {"color": "black", "linewidth": 2.0} if name == TOTAL else {"linewidth": 1.0}
            axis.loglog(
                sizes, times[name], marker="o", markersize=3, label=f"{name}: power {power[name][0]:.2f}", **style
            )
        start = times[TOTAL][0]
        axis.loglog(sizes, start * sizes / sizes[0], color="grey", linestyle="--", linewidth=0.8, label="n")
        n_log_n = start * sizes * np.log(sizes) / (sizes[0] * np.log(sizes[0]))
        axis.loglog(sizes, n_log_n, color="grey", linestyle=":", linewidth=0.8, label="n log n")
        axis.set_xlabel(title)
        axis.set_ylabel("seconds, one core (median)")
        axis.set_ylim(bottom=min(times[TOTAL]) / FAINTEST)
        axis.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14))
        axis.grid(alpha=0.2)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _report(console: Console, series: Mapping[str, Runs], powers: Sequence[Powers]) -> None:
    table = Table(title="Power of the size that the time follows (of the two largest sizes)", title_justify="left")
    table.add_column("seconds against")
    for title in series:
        table.add_column(title, justify="right")
    # the time of cheap modules is mostly that of a call
    names = dict.fromkeys(name for runs in series.values() for name in costliest(runs))
    for name in names:
        table.add_row(name, *[f"{told[name][0]:.2f} ({told[name][1]:.2f})" for told in powers])
    console.print(table)


def _report_lengths(console: Console, runs: Runs, looked: Mapping[int, Mapping[str, float]]) -> None:
    table = Table(title=f"Length of history: ms an alert, of {LONG_ALERTS} alerts", title_justify="left")
    table.add_column("median (least to most)")
    for points in runs:
        table.add_column(f"{points:,} points", justify="right")
    table.add_column("looked at", justify="right")
    table.add_row(TOTAL, *[spread([run.ms for run in done], digits=2) for done in runs.values()], "")
    table.add_section()
    for name in costliest(runs)[1:]:
        shares = [told[name] for told in looked.values()]
        table.add_row(
            name,
            *[spread([run.ms_of(name) for run in done], digits=3) for done in runs.values()],
            f"{min(shares):.0%} to {max(shares):.0%}",
        )
    console.print(table)
