"""Alerts a second into a TOM, statements of the database an alert, and memory over many alerts.

``manage.py readstreams`` runs in real TOM projects on a topic of a real Kafka. The far end of a TOM is its database:
each statement takes ``--delay-ms`` longer than sqlite needs, as if it were elsewhere. Ours and the public module
(0.7.6) take turns on the same toolkit, each with its handler that makes targets; ours with light curves beside them:

    python -m benchmarks.tom
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.filled_topic import TopicFiller, own_kafka
from benchmarks.measure import MIB, machine, memory_of, spread

sys.path += [str(Path(__file__).parents[1] / "tests/integration")]

import tom_project

TOPIC = "fink_sn_candidates_ztf"
#: goes into each project: a handler that counts statements, lets each take longer, and notes when it was done
HANDLERS = """
import time
from django.db import connection
from tom_fink import alertstream

counted = {{"statements": 0}}


def slowly(execute, sql, params, many, context):
    counted["statements"] += 1
    time.sleep({delay})
    return execute(sql, params, many, context)


def timed(alert, topic):
    with connection.execute_wrapper(slowly):
        alertstream.{handler}(alert, topic)
    with open("handled", "a") as file:
        file.write(f"{{time.monotonic()}} {{counted['statements']}}\\n")
"""
SETTINGS = """
INSTALLED_APPS = [*INSTALLED_APPS, "tom_alertstreams", "tom_fink"]
LOGGING["loggers"][""]["level"] = "ERROR"
ALERT_STREAMS = [{{
    "ACTIVE": True,
    "NAME": "tom_fink.alertstream.FinkAlertStream",
    "OPTIONS": {{
        "URL": "{servers}", "USERNAME": "benchmark", "GROUP_ID": "{topic}", "TOPIC": "{topic}",
        "MAX_POLL_NUMBER": {polls}, "TIMEOUT": 10, "TOPIC_HANDLERS": {{"fink.stream": "handlers_of_benchmark.timed"}},
    }},
}}]
"""


@dataclass(frozen=True)
class Way:
    """A module, its handler and its toolkit."""

    name: str
    toolkit: str
    handler: str
    is_public: bool = False

    def programs(self) -> Path:
        """Return the folder of programs of its environment."""
        return tom_project.public_programs() if self.is_public else tom_project.our_programs(self.toolkit)


PUBLIC = Way("public 0.7.6, targets", "2.32.4", "alert_logger", is_public=True)
TARGETS = Way("ours, targets", "2.32.4", "alert_logger")
CURVES = Way("ours, light curves too", "2.32.4", "alert_with_photometry")
NEWEST = Way("ours, light curves too", "3.1.0", "alert_with_photometry")


@dataclass(frozen=True)
class Outcome:
    """What a run came to: alerts and statements after the first tenth, memory at each tenth."""

    per_second: float
    statements: float
    memory: list[float]


def run(way: Way, servers: str, topic: str, alerts: int, folder: Path, delay_ms: float) -> Outcome:
    """Let all alerts of a topic into a new TOM."""
    folder.mkdir()
    handlers = HANDLERS.format(delay=delay_ms / 1000, handler=way.handler)
    settings = SETTINGS.format(servers=servers, topic=topic, polls=alerts + 5)
    files = {"handlers_of_benchmark.py": handlers}
    project = tom_project.TomProject(way.toolkit, way.programs(), folder, settings, files)
    reader, noted = project.manage("readstreams"), project.folder / "handled"
    memory: list[float] = []
    try:
        while (done := _lines(noted)) < alerts:
            if done // max(alerts // 10, 1) > len(memory):
                memory.append(memory_of(reader.pid) / MIB)
            if reader.code is not None:
                raise RuntimeError(f"readstreams ended after {done} of {alerts} alerts: {reader.said[-2000:]}")
            time.sleep(0.2)
    finally:
        reader.end()
    rows = [[float(value) for value in line.split()] for line in noted.read_text().splitlines()]
    first, last = rows[alerts // 10], rows[-1]
    count = len(rows) - 1 - alerts // 10
    return Outcome(count / (last[0] - first[0]), (last[1] - first[1]) / count, memory)


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def main(
    source: Annotated[str, typer.Option(help="folder or file of packets, or synthetic")] = "synthetic",
    alerts: Annotated[int, typer.Option(help="alerts of a run")] = 200,
    rounds: Annotated[int, typer.Option(help="how often each way takes its turn")] = 3,
    delay_ms: Annotated[float, typer.Option(help="how much longer each statement of the database takes")] = 20,
    many: Annotated[int, typer.Option(help="alerts of the run that shows the memory; 0: none")] = 10_000,
    report: Annotated[Path | None, typer.Option(help="write all figures here, as JSON")] = None,
) -> None:
    """Measure all ways in turn, and print ratios."""
    console, told = Console(), machine()
    filler, figures = TopicFiller(source), {"machine": told}
    with tempfile.TemporaryDirectory() as name, own_kafka(Path(name, "kafka"), console) as servers:
        topics = 0

        def measured(way: Way, delay: float, count: int) -> Outcome:
            nonlocal topics
            topics += 1
            topic = f"{TOPIC}_{topics}"
            filler.fill(servers, topic, count)
            return run(way, servers, topic, count, Path(name, topic), delay)

        for delay in (0, delay_ms):
            taken: dict[Way, list[Outcome]] = {way: [] for way in (PUBLIC, TARGETS, CURVES, NEWEST)}
            for _ in track(range(rounds), description=f"{delay:g} ms a statement", transient=True):
                for way, outcomes in taken.items():
                    outcomes.append(measured(way, delay, alerts))
            console.print(_table(taken, f"a TOM whose statements take {delay:g} ms longer; {told}"))
            figures[f"{delay:g} ms"] = {
                f"{way.name}, {way.toolkit}": [vars(outcome) for outcome in outcomes] for way, outcomes in taken.items()
            }
        if many:
            outcome = measured(NEWEST, 0, many)
            figures["memory"] = vars(outcome)
            mib = ", ".join(f"{value:.0f}" for value in outcome.memory)
            console.print(f"memory in MiB at each tenth of {many:,} alerts: {mib}; {outcome.per_second:.1f} alerts/s")
    if report:
        report.write_text(json.dumps(figures, indent=1))


def _table(taken: dict[Way, list[Outcome]], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("", "toolkit", "alerts/s", "statements an alert", "alerts/s over the public module's"):
        table.add_column(column)
    base = [outcome.per_second for outcome in taken[PUBLIC]]
    for way, outcomes in taken.items():
        rates = [outcome.per_second for outcome in outcomes]
        ratios = spread([a / b for a, b in zip(rates, base, strict=True)]) if way is not PUBLIC else ""
        statements = spread([outcome.statements for outcome in outcomes], digits=1)
        table.add_row(way.name, way.toolkit, spread(rates), statements, ratios)
    return table


if __name__ == "__main__":
    typer.run(main)
