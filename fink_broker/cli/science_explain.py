"""``fink science explain``: one alert, module by module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fink_broker.archive import Layout
from fink_broker.cli.alert_files import SYNTHETIC_ALERTS, Fields
from fink_broker.cli.configuration import load
from fink_broker.cli.light_curve_plot import draw
from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.science.describe import absent_text
from fink_broker.science.module import Module
from fink_broker.science.outcome import FAILED, MADE_WITH, NOTHING, SKIPPED
from fink_broker.science.registry import Pipeline, select
from fink_broker.simulate.sources import SYNTHETIC, find_files, open_source

#: History fields the drawing needs, whatever the modules read.
DRAWN = ("jd", "fid", "magpsf", "sigmapsf", "diffmaglim")
_OUTCOMES = {FAILED: ("failed", "red"), SKIPPED: ("skipped by its own rule", "yellow"), NOTHING: ("nothing", "dim")}


def explain(conf: str | None, candid: int, source: Path | None, modules: list[str]) -> int:
    """Print an alert, its light curve, and what each module read and said; return the exit code."""
    config = load(conf, quiet=True).config
    console = Console()
    pipeline = select(config, modules)
    with Console(stderr=True).status("looking for the alert"):
        alert = _find(candid, source, config, pipeline)
    with Console(stderr=True).status("loading models and catalogues"):
        pipeline.prepare()
    science = pipeline.run(alert).to_pylist()[0]
    values = alert.to_pylist()[0]
    console.print(Text.assemble((str(values["objectId"]), "bold"), f"  candid {candid}  jd {values['jd']}"))
    console.print(Text.from_ansi(draw(values, width=min(console.width, 100))))
    for module in pipeline.modules:
        console.print(_table(module, values, science))
    return 0


def _find(candid: int, source: Path | None, config: Config, pipeline: Pipeline) -> pa.StructArray:
    """Return the alert as a batch of one.

    Raises
    ------
    DataError
        If it is not there.
    """
    fields = Fields.of(pipeline, DRAWN)
    if source is None:
        table = _in_dataset(Layout(config.storage.online).table("raw"), candid)
    elif not source.exists() and str(source) != SYNTHETIC:
        raise DataError(f"There is no file or folder {source}.", "Name one that has the alert with --source.")
    elif source.exists() and all(file.suffix.lower() == ".parquet" for file in find_files(source)):
        table = _in_dataset(str(source), candid)
    else:
        for stored in open_source(str(source), print, synthetic_count=SYNTHETIC_ALERTS, seed=0).alerts():
            if stored.record["candid"] == candid:
                return fields.of_packets([stored.record])
        table = pa.table({})
    if not len(table):
        where = source or "the raw table"
        raise DataError(f"There is no alert {candid} in {where}.", "Name a file or folder that has it with --source.")
    return fields.of_table(table.slice(0, 1))


def _in_dataset(location: str, candid: int) -> pa.Table:
    try:
        system, path = fs.FileSystem.from_uri(location) if "://" in location else (fs.LocalFileSystem(), location)
        files = ds.dataset(path, filesystem=system, format="parquet", exclude_invalid_files=False)
        return files.filter(pa.compute.field("candid") == candid).head(1) if len(files.files) else pa.table({})
    except FileNotFoundError:
        return pa.table({})
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"The alerts in {location} cannot be read: {error}.", "Name others with --source.") from error


def _table(module: Module, values: dict[str, Any], science: dict[str, Any]) -> Table:
    word, colour = next((told for name, told in _OUTCOMES.items() if module.name in science[name]), ("found", "green"))
    made_with = dict(science[MADE_WITH])[module.name]
    table = Table(
        title=Text(f"{module.name} {made_with}: {word}", style=colour), title_justify="left", show_header=False
    )
    table.add_column(width=8)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", style="dim")
    for name in (*module.needs.root, *module.needs.candidate):
        table.add_row("reads", name, escape(_short(values[name])), "")
    for name in module.needs.history:
        points = values[f"prv_{name}"]
        table.add_row("reads", f"c{name}", escape(_points(points, values[name])), "")
    for name in module.needs.cutouts:
        image = values[f"cutout{name}"]
        table.add_row("reads", f"cutout{name}", "none" if image is None else f"{len(image):,} bytes", "")
    for name in module.needs.outputs:
        table.add_row("reads", name, escape(_short(science[name])), "from another module")
    for column in module.outputs:
        unit = f" ({column.unit})" if column.unit else ""
        told = f"{column.meaning}{unit}; {absent_text(column.absent)}: nothing to say"
        table.add_row("gives", column.name, Text(_short(science[column.name]), style="bold"), escape(told))
    return table


def _short(value: Any) -> str:
    """Return a value as text of a few words."""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return _short(dict(value))
    return "null" if value is None else str(value)


def _points(past: Sequence[Any] | None, now: Any, most: int = 6) -> str:
    """Return the values of a light curve, the last few spelled out."""
    points = [*(past or []), now]
    last = ", ".join(_short(value) for value in points[-most:])
    return f"{len(points)} points: {'… ' if len(points) > most else ''}{last}"
