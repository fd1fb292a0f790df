"""Our modules against the processors of fink-science 7.4.0, on the same alerts and the same core, in turn.

The processors run in a second interpreter that has the packages they import (``benchmarks/upstream.txt``). They are
called without Spark, which favours them: the light curves are there as arrays already.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measure import spread
from benchmarks.science_alerts import FIRST_CANDID, Alerts
from benchmarks.science_pure import Run, run_batches
from fink_broker.config import Config
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline

SIZE = 500
#: Processor to columns of ours that say the same. Two processors of one column are compared together.
COLUMNS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("asteroids",): ("roid",),
    ("nalerthist",): ("nalerthist",),
    ("fast_transient_rate",): ("mag_rate",),
    ("ad_features",): ("lc_features_g",),
    ("anomaly_detection",): ("anomaly_score",),
    ("standardized_flux", "blazar_low_state"): ("blazar_stats",),
    ("xmatch gcvs",): ("gcvs",),
    ("xmatch vsx",): ("vsx",),
    ("xmatch 3hsp",): ("x3hsp",),
    ("xmatch 4lac",): ("x4lac",),
    ("xmatch mangrove",): ("mangrove",),
}
HOW_TO = """Left out: no --upstream-python was given. The processors import packages that the broker does
without. To make an environment that has them:

    python -m venv upstream
    upstream/bin/pip install -r requirements.txt
    upstream/bin/pip install --no-deps -r benchmarks/upstream.txt

and add --upstream-python upstream/bin/python
"""


class Upstream:
    """The second interpreter, kept alive between rounds.

    Parameters
    ----------
    python : str
        The interpreter.
    """

    def __init__(self, python: str) -> None:
        worker = Path(__file__).with_name("upstream_worker.py")
        self._noise = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [python, str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        self._process.stdin.close()
        self._process.wait()
        self._noise.close()

    def ask(self, what: str, **values: Any) -> dict[str, Any]:
        """Ask for something and return the answer.

        Raises
        ------
        SystemExit
            If the process has ended, with the last lines it wrote.
        """
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101 - pipes
        answer = ""
        try:
            print(json.dumps({"do": what, **values}), file=self._process.stdin)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not answer:
            self._noise.seek(0)
            raise SystemExit(f"the interpreter of upstream ended: {self._noise.read()[-1000:]}")
        return dict(json.loads(answer))


def measure(config: Config, alerts: Alerts, rounds: int, console: Console, python: str) -> dict[str, Any]:
    """Measure both in turn; print and return the figures."""
    if not python:
        console.print(HOW_TO, highlight=False)
        return {"left_out": "no --upstream-python"}
    pipeline = build_pipeline(config)
    with tempfile.TemporaryDirectory(prefix="fink-science-") as folder, Upstream(python) as upstream:
        file = Path(folder) / "curves.parquet"
        alerts.write_curves(file)
        upstream.ask("load", file=str(file), count=alerts.count, size=SIZE, first_candid=FIRST_CANDID)
        names = upstream.ask("names")["names"]
        shipped = {name: upstream.ask("attempt", name=name)["error"] for name in names}
        upstream.ask("supply")
        supplied = {name: upstream.ask("attempt", name=name)["error"] for name in names if shipped[name]}
        errors = {name: supplied.get(name, "") for name in names}
        run_batches(pipeline, alerts.batches(pipeline, SIZE, min(alerts.count, 2 * SIZE)))
        theirs: dict[str, list[float]] = {name: [] for name in names if not errors[name]}
        ours: list[Run] = []
        for number in track(range(rounds), description="beside fink-science", transient=True):
            if number % 2:
                ours.append(run_batches(pipeline, alerts.batches(pipeline, SIZE)))
            for name in list(theirs):
                told = upstream.ask("run", name=name)
                errors[name] = errors[name] or told["error"]
                theirs[name].append(told.get("seconds", 0.0))
            if not number % 2:
                ours.append(run_batches(pipeline, alerts.batches(pipeline, SIZE)))
    theirs = {name: seconds for name, seconds in theirs.items() if not errors[name]}
    _report(console, pipeline, theirs, ours, alerts.count)
    _report_errors(console, shipped, errors)
    return {"seconds": theirs, "ours": [vars(run) for run in ours], "as_shipped": shipped, "errors": errors}


def _report(console: Console, pipeline: Pipeline, theirs: dict[str, list[float]], ours: list[Run], alerts: int) -> None:
    giver = {column.name: module.name for module in pipeline.modules for column in module.outputs}
    table = Table(title=f"Beside fink-science 7.4.0, batches of {SIZE}, one core: ms an alert", title_justify="left")
    table.add_column("processor of fink-science")
    table.add_column("module")
    for title in ("fink-science", "ours", "ratio"):
        table.add_column(title, justify="right")
    sums = [[0.0] * len(ours), [0.0] * len(ours)]
    for names, columns in COLUMNS.items():
        modules = sorted({giver[name] for name in columns if name in giver})
        if not set(names) <= set(theirs):
            continue
        their = [1000 * sum(values) / alerts for values in zip(*[theirs[name] for name in names], strict=True)]
        if not modules:
            table.add_row(" + ".join(names), "(not run)", spread(their, digits=4), "", "")
            continue
        our = [run.ms_of(*modules) for run in ours]
        table.add_row(
            " + ".join(names), ", ".join(modules), spread(their, digits=4), spread(our, digits=4), _ratio(their, our)
        )
        sums = [
            [a + b for a, b in zip(total, more, strict=True)] for total, more in zip(sums, (their, our), strict=True)
        ]
    table.add_section()
    if any(sums[1]):
        table.add_row("all compared", "", *[spread(total, digits=3) for total in sums], _ratio(*sums))
    console.print(table)


def _ratio(theirs: list[float], ours: list[float]) -> str:
    return spread([their / our for their, our in zip(theirs, ours, strict=True)], " ×", 1)


def _report_errors(console: Console, shipped: dict[str, str], errors: dict[str, str]) -> None:
    for name, error in shipped.items():
        if error and not errors[name]:
            console.print(f"  {name} raised as shipped ({error}) and ran with what newer packages dropped supplied")
    for name, error in errors.items():
        if error:
            console.print(f"  {name} is left out: {error}")
    console.print()
