"""Alerts a second into SkyPortal, requests a candidate, and memory over many alerts.

The client runs as its users run it, on a topic of a real Kafka, against the strict SkyPortal of the tests in a process
of its own that answers after a set time (``--delay-ms``). Two ways take turns: as shipped (several objects at once,
photometry of a batch in one request) and one alert after the other, one request after the other, as a script would:

    python -m benchmarks.skyportal
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import requests
import typer
import yaml
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.filled_topic import PARTITIONS, TopicFiller, own_kafka
from benchmarks.measure import MIB, machine, memory_of, spread

ROOT = Path(__file__).parents[1]
TOKEN = "token-of-the-benchmark"  # noqa: S105 - of a server of our own
TOPIC = "fink_sn_candidates_ztf"
#: runs the client with batches of so many alerts
LINES = """
import sys
from fink_skyportal import loop
from fink_skyportal.cli import main
loop.BATCH = {batch}
sys.exit(main())
"""


@dataclass(frozen=True)
class Way:
    """How alerts are posted: side by side, and how many share a request of photometry."""

    name: str
    connections: int
    batch: int


SHIPPED = Way("as shipped", 8, 50)
ONE_BY_ONE = Way("one by one", 1, 1)


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    per_second: float
    requests: float
    most_in_a_second: int
    too_many: int
    memory: list[float]


@contextmanager
def far_end(delay_ms: float, *, limited: bool = False) -> Iterator[str]:
    """Run a SkyPortal that answers after so long; give its address."""
    command = [sys.executable, str(ROOT / "tests/skyportal_server.py"), "--token", TOKEN, "--delay-ms", f"{delay_ms}"]
    command += ["--limited"] if limited else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield next(iter(process.stdout or ())).strip()
        finally:
            process.terminate()
            process.communicate()  # it tells what it counted


@contextmanager
def client(way: Way, servers: str, topic: str, url: str, folder: Path, *, limited: bool) -> Iterator[subprocess.Popen]:
    """Run the client on a topic, in a group of its own."""
    folder.mkdir(parents=True)
    settings = {
        "fink_topics": [topic],
        "fink_username": None,
        "fink_password": None,
        "fink_group_id": topic,
        "fink_servers": servers,
        "skyportal_token": TOKEN,
        "skyportal_url": url,
        "skyportal_group": "Fink",
        "skyportal_name": "fink_bot",
        "testing": False,
        "whitelisted": not limited,
        "connections": way.connections,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-c", LINES.format(batch=way.batch), "poll", "--config", str(folder / "config.yaml")]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "integrations/skyportal")}
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log, stdout=log, env=environ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            if process.wait(60):
                raise RuntimeError(
                    f"the client ended with {process.returncode}: {(folder / 'log').read_text()[-2000:]}"
                )


def counts(url: str) -> dict[str, Any]:
    """Return how much a SkyPortal has."""
    return requests.get(f"{url}/counts", timeout=30).json()


def run(
    way: Way, servers: str, topic: str, alerts: int, folder: Path, *, delay_ms: float, limited: bool = False
) -> Outcome:
    """Let all alerts of a topic through; time begins with the first candidates and ends when the last are committed."""
    memory: list[float] = []
    first, deadline = (0.0, 0), time.monotonic() + 1800
    with (
        far_end(delay_ms, limited=limited) as url,
        client(way, servers, topic, url, folder, limited=limited) as process,
    ):
        while True:
            now, held = time.monotonic(), counts(url)
            done = held["candidates"]
            if done and not first[1]:
                first = now, done
            if done // max(alerts // 10, 1) > len(memory):
                memory.append(memory_of(process.pid) / MIB)
            if done == alerts and committed(servers, topic) == alerts:
                break
            if process.poll() is not None or now > deadline:
                raise RuntimeError(f"{done} of {alerts} candidates: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
    asked = sum(
        number for name, number in held["requests"].items() if re.search("source|candid|photom|class|thumb", name)
    )
    rate = (alerts - first[1]) / (now - first[0])
    too_many = held["statuses"].get("429", 0)
    return Outcome(rate, asked / alerts, held["most_in_a_second"], too_many, memory)


def committed(servers: str, topic: str) -> int:
    """Return how many alerts of a topic its group is done with."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic})
    try:
        places = consumer.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], timeout=10)
        return sum(max(place.offset, 0) for place in places)
    finally:
        consumer.close()


def main(
    source: Annotated[str, typer.Option(help="folder or file of packets, or synthetic")] = "synthetic",
    alerts: Annotated[int, typer.Option(help="alerts of a run as shipped; a fifth of them one by one")] = 400,
    rounds: Annotated[int, typer.Option(help="how often each way takes its turn")] = 3,
    delay_ms: Annotated[float, typer.Option(help="how long SkyPortal takes for an answer")] = 20,
    many: Annotated[int, typer.Option(help="alerts of the run that shows the memory; 0: none")] = 10_000,
    report: Annotated[Path | None, typer.Option(help="write all figures here, as JSON")] = None,
) -> None:
    """Measure both ways in turn, and print ratios."""
    console, told = Console(), machine()
    filler = TopicFiller(source)
    figures: dict[str, Any] = {"machine": told}
    with tempfile.TemporaryDirectory() as name, own_kafka(Path(name, "kafka"), console) as servers:

        def measured(way: Way, label: str, count: int, an_object: int = 1, **told: Any) -> Outcome:
            topic = f"{TOPIC}_{label}_{an_object}_{way.batch}"
            filler.fill(servers, topic, count, an_object)
            return run(way, servers, topic, count, Path(name, topic), **{"delay_ms": delay_ms, **told})

        table = Table(title=f"into a SkyPortal that answers in {delay_ms:g} ms; {told}", title_justify="left")
        for column in ("", SHIPPED.name, ONE_BY_ONE.name, "ratio"):
            table.add_column(column)
        for an_object in (1, 4):
            taken: dict[Way, list[Outcome]] = {SHIPPED: [], ONE_BY_ONE: []}
            for number in track(range(rounds), description=f"{an_object} alerts an object", transient=True):
                for way, outcomes in taken.items():
                    outcomes.append(measured(way, f"{number}", alerts if way is SHIPPED else alerts // 5, an_object))
            one, other = ([outcome.per_second for outcome in taken[way]] for way in taken)
            about = "each object new" if an_object == 1 else f"{an_object} alerts an object"
            ratios = spread([a / b for a, b in zip(one, other, strict=True)])
            table.add_row(f"{about}: alerts/s", spread(one), spread(other), ratios)
            asked = [statistics.median(outcome.requests for outcome in taken[way]) for way in taken]
            table.add_row(f"{about}: requests a candidate", f"{asked[0]:.2f}", f"{asked[1]:.2f}", "")
            figures[about] = {"shipped": one, "one by one": other, "requests": asked}
        console.print(table)
        limited = [measured(SHIPPED, "limited", 40, an_object, limited=True) for an_object in (1, 4)]
        figures["limited"] = [vars(outcome) for outcome in limited]
        console.print(
            f"within 5 requests a second: {limited[0].per_second:.2f} alerts/s of new objects, "
            f"{limited[1].per_second:.2f} with 4 alerts an object; at most "
            f"{max(o.most_in_a_second for o in limited)} requests in a second, "
            f"{sum(o.too_many for o in limited)} refused as too many"
        )
        if many:
            outcome = measured(SHIPPED, "many", many, 4, delay_ms=0)
            figures["memory"] = outcome.memory
            mib = ", ".join(f"{value:.0f}" for value in outcome.memory)
            console.print(
                f"memory in MiB at each tenth of {many:,} alerts: {mib}; {outcome.per_second:.0f} alerts/s at 0 ms"
            )
    if report:
        report.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    typer.run(main)
