"""How fast the API answers with a million alerts in HBase: p50 and p99 of its routes, alone and with many clients.

python -m benchmarks.api
python -m benchmarks.api --alerts 20000
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.api_server import LARGEST, NIGHTS, USUAL, filled_hbase, serve, wait_until_up
from benchmarks.api_ways import naive_ways
from benchmarks.measure import MIB, machine, memory_of
from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.service.hbase import HBaseServer

CLIENTS = 20


@dataclass(frozen=True)
class Question:
    """Something clients ask.

    Parameters
    ----------
    name : str
        For the report.
    route : str
        Which route.
    bodies : list of dict
        Arguments, taken in turn.
    goal_ms : float, optional
        What the median must be below, one client alone.
    share : float
        Of the number of requests of the others: slow questions are asked less often.
    """

    name: str
    route: str
    bodies: list[dict[str, Any]]
    goal_ms: float | None = None
    share: float = 1.0


def main(
    alerts: Annotated[int, typer.Option(help="alerts in HBase")] = 1_000_000,
    requests: Annotated[int, typer.Option(help="requests of each question and way")] = 300,
    heap_mib: Annotated[int, typer.Option(help="heap of HBase in MiB")] = 2048,
    folder: Annotated[Path | None, typer.Option(help="where HBase lies; a temporary folder where absent")] = None,
    seed: Annotated[int, typer.Option(help="which sky")] = 0,
) -> None:
    """Measure the API."""
    console = Console(width=140)
    console.print(machine())
    with (
        tempfile.TemporaryDirectory() as temporary,
        filled_hbase(folder or Path(temporary), alerts, heap_mib, seed, console) as (config, hbase, archive),
    ):
        _measure(archive, config, hbase, requests, seed, console)


def _questions(archive: Archive, seed: int) -> list[Question]:
    """Return what is asked: cones around positions of objects that are there, all over the sky."""
    rng = np.random.default_rng(seed + 1)
    newest = next(iter(archive.in_time("jd", page=2000)))
    chosen = newest.take(rng.integers(0, len(newest), 200))
    places = list(zip(chosen["i:ra"].to_pylist(), chosen["i:dec"].to_pylist(), strict=True))
    label = statistics.mode(newest["d:classification"].to_pylist())
    cones = [[{"ra": ra, "dec": dec, "radius": radius} for ra, dec in places] for radius in (5, 3600)]
    images = [{"objectId": USUAL[0], "kind": kind} for kind in ("Science", "Template", "Difference")]
    few = "i:jd,i:magpsf,i:fid"
    return [
        Question("object of 300 alerts, all columns", "objects", [{"objectId": USUAL[0]}], share=0.3),
        Question("object of 1,575 alerts, all columns", "objects", [{"objectId": LARGEST[0]}], 500.0, 0.1),
        Question("object of 1,575 alerts, 3 columns", "objects", [{"objectId": LARGEST[0], "columns": few}], share=0.3),
        Question("cone of 5″", "conesearch", cones[0], 50.0),
        Question("cone of 1°", "conesearch", cones[1], share=0.3),
        Question("latest 100 of a class", "latests", [{"class": label, "n": 100}], share=0.3),
        Question("one cutout, PNG", "cutouts", images, 30.0),
        Question(f"statistics of {NIGHTS:,} nights", "statistics", [{"date": ""}], share=0.1),
    ]


def _measure(archive: Archive, config: Config, hbase: HBaseServer, requests: int, seed: int, console: Console) -> None:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    server = context.Process(target=serve, args=(config.model_dump(mode="json"), stop))
    server.start()
    try:
        pid = wait_until_up(server, config.api.port)
        questions = _questions(archive, seed)
        for question in questions:
            _ask(config.api.port, question, 3)
        fresh = memory_of(pid)
        _ask_together(config.api.port, questions[1], 3)  # as much as it ever has to do at once
        before = memory_of(pid)
        report = _report()
        for question in questions:
            _add(report, question, config.api.port, max(10, round(requests * question.share)))
        console.print(report)
        after = memory_of(pid)
        _ask_together(config.api.port, questions[1], max(2, requests // 50))
        again = memory_of(pid)
        java = sum(memory_of(part.pid) for part in (hbase.master, hbase.thrift) if part.pid)
        console.print(
            f"memory of the server: {fresh / MIB:,.0f} MiB fresh; after {CLIENTS} clients asked for the largest object "
            f"{before / MIB:,.0f} MiB, after all questions {after / MIB:,.0f} MiB, after the largest object once more "
            f"{again / MIB:,.0f} MiB; of HBase {java / MIB:,.0f} MiB"
        )
        console.print(naive_ways(archive, LARGEST[0], questions[3].bodies[:20]))
    finally:
        stop.set()
        server.join(30)
        if server.is_alive():
            server.kill()


def _report() -> Table:
    report = Table(title=f"milliseconds a request, one client and {CLIENTS} clients at once")
    for heading in ("", "kB", "p50", "p99", "goal p50", f"p50 of {CLIENTS}", f"p99 of {CLIENTS}", "requests/s"):
        report.add_column(heading, justify="left" if not heading else "right")
    return report


def _add(report: Table, question: Question, port: int, requests: int) -> None:
    alone, size = _ask(port, question, requests)
    started = time.perf_counter()
    together = _ask_together(port, question, max(2, requests // 5))
    seconds = time.perf_counter() - started
    median = statistics.median(alone)
    goal = "" if question.goal_ms is None else f"< {question.goal_ms:g} {'✓' if median < question.goal_ms else '✗'}"
    figures = (median, _p99(alone), statistics.median(together), _p99(together))
    texts = [f"{value:,.1f}" for value in figures]
    rate = f"{len(together) / seconds:,.0f}"
    report.add_row(question.name, f"{size / 1000:,.0f}", *texts[:2], goal, *texts[2:], rate)


def _p99(values: Sequence[float]) -> float:
    return float(np.percentile(values, 99))


def _ask_together(port: int, question: Question, requests: int) -> list[float]:
    """Return the milliseconds of the requests of many clients that ask at once."""
    found: list[float] = []
    lock = threading.Lock()

    def client(number: int) -> None:
        mine, _ = _ask(port, question, requests, number)
        with lock:
            found.extend(mine)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return found


def _ask(port: int, question: Question, requests: int, first: int = 0) -> tuple[list[float], int]:
    """Return the milliseconds of requests over one connection, and the bytes of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    took = []
    size = 0
    for number in range(requests):
        body = json.dumps(question.bodies[(first + number) % len(question.bodies)])
        started = time.perf_counter()
        connection.request("POST", f"/api/v1/{question.route}", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        took.append((time.perf_counter() - started) * 1e3)
        size = max(size, len(content))
        if response.status != http.client.OK or len(content) <= len("[]"):
            raise RuntimeError(f"{question.name}: {response.status} {content[:300]!r}")
    connection.close()
    return took, size


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    typer.run(main)
