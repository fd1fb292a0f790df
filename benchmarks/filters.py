"""What topics cost, on one core: all filters in one pass over stored alerts, against one query a topic.

    topics     the broker's own topics
    rules      many SQL rules of users
    functions  Python functions of users, in a process of their own, against the same functions called here
    places     lists of positions and maps of the sky (the same as benchmarks.watchlists)
    delivery   what the distribution does with an alert but for Kafka: read, judge, encode

Alerts are real packets with our own science, in Parquet files of one batch each. Ways that are compared run in turn in
the same run, and every figure comes with its spread; that they say the same of every alert is checked. What is told is
time of the processor, which others on the machine stretch less than time by the clock; users' functions, in two
processes, and single topics go by the clock. Nobody outside is asked: SIMBAD types come from catalogues on disk, and
nobody tells stars of the SDSS.

    python -m benchmarks.filters --source <folder of packets> --night <folder of packets with edited times>
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import filter_delivery, filter_users, watchlists
from benchmarks.filter_rules import user_rules
from benchmarks.filter_table import StoredAlerts, quiet_config, science_alerts, store
from benchmarks.measure import machine, spread
from benchmarks.science_alerts import read_packets
from fink_broker.filters.engine import Engine
from fink_broker.filters.filter import Filter
from fink_broker.filters.registry import find_filters
from fink_broker.filters.verdict import Verdict
from fink_broker.filters.view import AlertView

PARTS = ("topics", "rules", "functions", "places", "delivery")
#: Alerts in a batch: what the broker takes at once when there is much to do, and what a quiet second brings.
SIZES = (512, 50)
GOAL_TOPICS_MS, GOAL_RULES_MS, GOAL_PLACES_MS = 0.1, 1.0, watchlists.GOAL_MS
ONE_PASS, JUDGE = "one pass: read once, judge all", "… of it judging, columns in memory"
ALONE, QUERIES = "each rule by itself, columns in memory", "one query a topic: read and judge"

#: Does all the work once.
Way = Callable[[], object]


def one_query(entry: Filter, stored: StoredAlerts) -> list[np.ndarray]:
    """Read the columns of one filter and evaluate it, batch by batch, without what the engine does besides."""
    return [entry.rule.decide(AlertView(batch)) for batch in stored.batches(entry.rule.reads)]


def seconds_of(way: Way) -> float:
    """Return how long a way keeps the processor busy."""
    gc.collect()
    began = time.process_time()
    way()
    return time.process_time() - began


def in_turn(ways: dict[str, Way], rounds: int, title: str) -> dict[str, list[float]]:
    """Run ways in turn; return seconds. A round that warms up goes before and is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in track(range(rounds + 1), description=title, transient=True):
        for name in list(ways) if number % 2 else reversed(ways):
            seconds = seconds_of(ways[name])
            if number:
                taken[name].append(seconds)
    return taken


def compare(filters: Sequence[Filter], stored: StoredAlerts, rounds: int, queried: int, title: str) -> dict[str, Any]:
    """Measure the ways to evaluate filters; return milliseconds an alert, and what each filter took and passed.

    Parameters
    ----------
    filters : sequence of Filter
        All of them.
    stored : StoredAlerts
        The alerts.
    rounds : int
        How often.
    queried : int
        So many filters, spread over all, get a query each; the time is scaled to all.
    title : str
        What is shown meanwhile.

    Raises
    ------
    SystemExit
        If two ways say different things of an alert, or a filter fails.
    """
    chosen = list(filters)[:: max(1, len(filters) // queried)]
    scale = len(filters) / len(chosen)
    taken: list[dict[str, float]] = []
    with Engine(filters) as engine:
        schema = next(stored.batches()).schema
        ready = seconds_of(lambda: engine.fit(schema))
        kept = [batch.combine_chunks() for batch in stored.batches(engine.reads)]
        narrow = {entry.name: list(stored.batches(entry.rule.reads)) for entry in chosen}
        passed = _check_same(engine, chosen, stored, kept)
        ways: dict[str, Way] = {
            ONE_PASS: lambda: [engine.judge(batch) for batch in stored.batches(engine.reads)],
            JUDGE: lambda: taken.append(_by_topic(engine.judge(batch) for batch in kept)),
            ALONE: lambda: [e.rule.decide(AlertView(batch)) for e in chosen for batch in narrow[e.name]],
            QUERIES: lambda: [one_query(entry, stored) for entry in chosen],
        }
        seconds = in_turn(ways, rounds, title)
    ms = {name: [1000 * one / stored.count for one in of] for name, of in seconds.items()}
    ms |= {name: [scale * one for one in ms[name]] for name in (ALONE, QUERIES)}
    topics = {
        name: {"ms": [1000 * one[name] / stored.count for one in taken[1:]], "passed": number / stored.count}
        for name, number in passed.items()
    }
    return {"ms": ms, "topics": topics, "scale": scale, "ready_seconds": ready}


def _check_same(
    engine: Engine, chosen: Sequence[Filter], stored: StoredAlerts, kept: Sequence[pa.Table]
) -> dict[str, int]:
    """See that filters say the same together and alone; return how many alerts each of them all takes."""
    said = [{verdict.filter.name: verdict for verdict in engine.judge(batch)} for batch in kept]
    for entry in chosen:
        together = [verdicts[entry.name] for verdicts in said]
        if any(verdict.failed.any() for verdict in together):
            raise SystemExit(f"{entry.name} failed: {together[0].error}")
        if not np.array_equal(np.concatenate([v.passed for v in together]), np.concatenate(one_query(entry, stored))):
            raise SystemExit(f"{entry.name} says otherwise when it is asked alone")
    return {name: sum(int(verdicts[name].passed.sum()) for verdicts in said) for name in said[0]}


def _by_topic(batches: Iterable[Sequence[Verdict]]) -> dict[str, float]:
    """Return the seconds each filter took."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for verdicts in batches:
        for verdict in verdicts:
            seconds[verdict.filter.name] += verdict.seconds
    return dict(seconds)


def report(told: dict[int, dict[str, Any]], title: str, goal: float, console: Console) -> None:
    """Print milliseconds an alert of the ways, ratios, and whether the goal is met."""
    table = Table(title=f"{title}; ms an alert", title_justify="left")
    table.add_column("median (least to most)")
    for size in told:
        table.add_column(f"batches of {size}", justify="right")
    for way in (ONE_PASS, JUDGE, ALONE, QUERIES):
        scaled = " (scaled)" if way in (ALONE, QUERIES) and next(iter(told.values()))["scale"] > 1 else ""
        table.add_row(way + scaled, *[spread(one["ms"][way], digits=4) for one in told.values()])
    console.print(table)
    for size, one in told.items():
        ratios = [theirs / ours for ours, theirs in zip(one["ms"][ONE_PASS], one["ms"][QUERIES], strict=True)]
        shared = [theirs / ours for ours, theirs in zip(one["ms"][JUDGE], one["ms"][ALONE], strict=True)]
        middle = statistics.median(one["ms"][ONE_PASS])
        console.print(
            f"  batches of {size}: one pass is {spread(ratios, digits=1)} times as fast as one query a topic, judging "
            f"alone {spread(shared, digits=1)} times; goal {goal:g} ms: {'met' if middle <= goal else 'MISSED'}",
            highlight=False,
        )


def report_topics(told: dict[int, dict[str, Any]], console: Console) -> None:
    """Print what each topic took in the pass; the first to ask for something pays for those who share it."""
    table = Table(title="by topic, in the pass; the first to ask pays for what is shared", title_justify="left")
    for name in ("topic", *(f"ms, batches of {size}" for size in told), "share", "passed"):
        table.add_column(name, justify="left" if name == "topic" else "right")
    largest = told[next(iter(told))]["topics"]
    total = sum(statistics.median(entry["ms"]) for entry in largest.values())
    for name in sorted(largest, key=lambda name: -statistics.median(largest[name]["ms"])):
        cells = [spread(one["topics"][name]["ms"], digits=5) for one in told.values()]
        share = statistics.median(largest[name]["ms"]) / total
        table.add_row(name, *cells, f"{share:.1%}", f"{largest[name]['passed']:.2%}")
    console.print(table)
    console.print()


def use_one_core() -> None:
    """Keep this process, and the one of users' functions, on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def main(
    source: Annotated[
        str, typer.Option(help="Folder or file of packets taken as they are, or synthetic.")
    ] = "synthetic",
    night: Annotated[
        str, typer.Option(help="Folder or file of packets with edited times, which get those of their images back.")
    ] = "",
    alerts: Annotated[int, typer.Option(help="How many alerts: the packets again, under fresh candids.")] = 2560,
    rounds: Annotated[int, typer.Option(help="How often each way is measured.")] = 7,
    only: Annotated[str, typer.Option(help="Parts to run, in this order, with commas.")] = ",".join(PARTS),
    rules: Annotated[int, typer.Option(help="SQL rules of users.")] = 200,
    queried: Annotated[int, typer.Option(help="So many of the rules get a query each; the time is scaled.")] = 40,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all raw figures.")] = None,
) -> None:
    """Measure what topics cost, on one core. Try it with --alerts 512 --rounds 1 first."""
    parts = [part.strip() for part in only.split(",")]
    if unknown := sorted(set(parts) - set(PARTS)):
        raise typer.BadParameter(f"{', '.join(unknown)}; known are {', '.join(PARTS)}", param_hint="--only")
    use_one_core()
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(machine(), highlight=False)
    config = quiet_config()
    own = find_filters(config.distribution.topics, config)
    told: dict[str, Any] = {"machine": machine(), "alerts": alerts, "rounds": rounds, "source": source, "night": night}
    with tempfile.TemporaryDirectory(prefix="fink-filters-") as folder:
        packets = read_packets(source, night)
        distinct = science_alerts(packets, config)
        stored = {size: store(distinct, alerts, size, Path(folder) / str(size)) for size in SIZES}
        console.print(f"{alerts:,} alerts made of {len(packets):,} packets, on one core\n", highlight=False)
        for part in parts:
            if part == "topics":
                told[part] = {size: compare(own, of, rounds, len(own), "topics") for size, of in stored.items()}
                report(told[part], f"{len(own)} topics of the broker", GOAL_TOPICS_MS, console)
                report_topics(told[part], console)
            elif part == "rules":
                began = time.process_time()
                many = user_rules(rules)
                parsed = time.process_time() - began
                told[part] = {size: compare(many, of, rounds, queried, "rules") for size, of in stored.items()}
                report(told[part], f"{rules} SQL rules of users", GOAL_RULES_MS, console)
                ready = told[part][SIZES[0]]["ready_seconds"]
                console.print(f"  once: rules parsed in {parsed:.2f} s, compiled in {ready:.2f} s\n", highlight=False)
            elif part == "functions":
                told[part] = filter_users.measure(stored, rounds, console)
            elif part == "places":
                told[part] = {
                    "lists": watchlists.watch(100_000, alerts, rounds, Path(folder), console),
                    "maps": watchlists.areas(alerts, rounds, Path(folder), console),
                }
                console.print(f"goal of a list or map: {GOAL_PLACES_MS:g} ms an alert\n", highlight=False)
            else:
                told[part] = filter_delivery.measure(own, stored, rounds, console)
            if json_file is not None:
                json_file.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
