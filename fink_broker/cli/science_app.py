"""``fink science``: list the science modules, run them on a file, explain what they say of an alert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fink_broker.cli.options import HELP, Conf

science_app = typer.Typer(context_settings=HELP)


@science_app.command("list")
def science_list(
    columns: Annotated[bool, typer.Option("--columns", help="List the columns they give instead.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, for a document.")] = False,
    conf: Conf = None,
) -> int:
    """List the science modules that are configured: what each reads and gives."""
    from fink_broker.cli.science_list import show_list  # noqa: PLC0415

    return show_list(conf, columns=columns, markdown=markdown)


@science_app.command("run")
def science_run(
    file: Annotated[
        Path, typer.Argument(help="Parquet or Avro file of alerts, archive (.tar.gz), folder, or synthetic.")
    ],
    module: Annotated[
        list[str] | None, typer.Option("-m", "--module", help="Only this module and those it needs; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the columns: .parquet, .csv or .jsonl.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many alerts; 0: all.")] = 0,
    conf: Conf = None,
) -> int:
    """Run science modules on a file of alerts: no Kafka, no Spark.

    Example: fink science run datasim/ --module supernnova --out scores.csv
    """
    from fink_broker.cli.science_run import run_file  # noqa: PLC0415

    return run_file(conf, file, module or [], out, limit)


@science_app.command("explain")
def science_explain(
    candid: Annotated[int, typer.Argument(help="The alert.")],
    source: Annotated[
        Path | None, typer.Option("-s", "--source", help="File or folder of alerts; else the alerts the broker holds.")
    ] = None,
    module: Annotated[
        list[str] | None, typer.Option("-m", "--module", help="Only this module and those it needs; may be repeated.")
    ] = None,
    conf: Conf = None,
) -> int:
    """Show what each module read and said of one alert, with its light curve drawn.

    Example: fink science explain 2480259021315015001 --source datasim/
    """
    from fink_broker.cli.science_explain import explain  # noqa: PLC0415

    return explain(conf, candid, source, module or [])


@science_app.command("tracklets")
def science_tracklets(
    file: Annotated[Path, typer.Argument(help="Alerts of a whole night: Parquet or Avro file, archive, folder.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write a row an alert: .parquet, .csv, .jsonl.")
    ] = None,
) -> int:
    """Find the tracklets of a night: alerts of one exposure along a line, left by a satellite that glinted."""
    from fink_broker.cli.science_tracklets import find  # noqa: PLC0415

    return find(file, out)
