"""What the science modules cost, on one core: by themselves, in Spark, beside fink-science, and as alerts grow.

    pure      the modules on batches in memory: ms an alert and module, time and memory to start
    spark     all modules in one trip to Python, as raw2science runs them, against a pandas UDF a module
    upstream  the modules against the processors of fink-science 7.4.0, on the same alerts
    growth    cost against the number of alerts and against the length of their history, with a figure

Ways that are compared run in turn in the same run, and every figure comes with its spread. Ratios carry over to another
machine, alerts a second do not. Nobody outside is asked: the SIMBAD type is Unknown for all, which leaves the most
alerts for the modules to look at.

    python -m benchmarks.science --real <folder of packets> --night <folder of packets with edited times>
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import science_growth, science_pure, science_spark, science_upstream
from benchmarks.measure import machine
from benchmarks.science_alerts import Alerts, read_packets
from fink_broker.config import Config
from fink_broker.errors import FinkError
from fink_broker.science.registry import MODULES, build_pipeline
from fink_broker.science.testing import offline_config

PARTS = ("pure", "spark", "upstream", "growth")
#: Libraries that would use more than one thread.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ROOT = Path(__file__).resolve().parent.parent


def use_one_core() -> None:
    """Keep this process and all it starts on one core, with one thread in libraries.

    Libraries read both when they are loaded: the process begins anew.
    """
    # Python workers of Spark, and the processes started here, find this package by it
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    if len(os.sched_getaffinity(0)) > 1 or any(os.environ.get(name) != "1" for name in THREADS):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.science", *sys.argv[1:]])  # noqa: S606 - itself


def science_config(modules: str, user_modules: list[str]) -> Config:
    """Return a configuration of the named modules that asks nobody outside."""
    names = [name for name in modules.split(",") if name] or list(MODULES)
    config = offline_config()
    science = config.science.model_copy(update={"modules": names, "user_modules": user_modules})
    return config.model_copy(update={"science": science})


def main(
    real: Annotated[str, typer.Option(help="Folder or file of packets taken as they are, or synthetic.")] = "synthetic",
    night: Annotated[
        str, typer.Option(help="Folder or file of packets with edited times, which get those of their images back.")
    ] = "",
    alerts: Annotated[int, typer.Option(help="How many alerts: the packets again, under fresh candids.")] = 10_000,
    rounds: Annotated[int, typer.Option(help="How often each way is measured.")] = 5,
    only: Annotated[str, typer.Option(help="Parts to run, in this order, with commas.")] = ",".join(PARTS),
    modules: Annotated[str, typer.Option(help="Science modules, with commas; empty: every one there is.")] = "",
    user_module: Annotated[
        list[str] | None, typer.Option(help="A module of your own, as package.module:function; may be repeated.")
    ] = None,
    upstream_python: Annotated[
        str, typer.Option(help="Python with what benchmarks/upstream.txt lists, for the part upstream.")
    ] = "",
    figures: Annotated[Path, typer.Option(help="Folder for the figure of the part growth.")] = Path("docs/figures"),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for all raw figures; rewritten after each part.")
    ] = None,
) -> None:
    """Measure what science costs, on one core.

    pure: the modules on batches in memory; time and memory to start.

    spark: all modules in one trip to Python against a pandas UDF a module.

    upstream: the modules against the processors of fink-science 7.4.0; needs --upstream-python.

    growth: cost against the number of alerts and the length of their history, with a figure.

    Try it with --alerts 1000 --rounds 1 first: that takes two minutes. Other work on the machine shows in the spread.
    """
    parts = [part.strip() for part in only.split(",")]
    if unknown := sorted(set(parts) - set(PARTS)):
        raise typer.BadParameter(f"{', '.join(unknown)}; known are {', '.join(PARTS)}", param_hint="--only")
    use_one_core()
    console = Console(width=None if sys.stdout.isatty() else 120)
    config = science_config(modules, user_module or [])
    try:
        names = [module.name for module in build_pipeline(config).modules]
        stream = Alerts(read_packets(real, night), alerts)
    except FinkError as error:
        raise SystemExit(str(error)) from error
    console.print(machine(), highlight=False)
    console.print(f"{len(names)} modules: {', '.join(names)}", highlight=False)
    told: dict[str, Any] = {
        "machine": machine(), "modules": names, "alerts": alerts, "rounds": rounds, "real": real, "night": night,
    }  # fmt: skip
    console.print(f"{alerts:,} alerts made of {len(stream.packets):,} packets, on one core\n", highlight=False)
    for part in parts:
        if part == "pure":
            told[part] = science_pure.measure(config, stream, rounds, console)
        elif part == "spark":
            told[part] = science_spark.measure(config, stream, rounds, console)
        elif part == "upstream":
            told[part] = science_upstream.measure(config, stream, rounds, console, upstream_python)
        else:
            told[part] = science_growth.measure(config, stream, rounds, console, figures)
        if json_file is not None:
            json_file.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
