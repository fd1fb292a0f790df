"""``fink filter check``."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.cli.configuration import load
from fink_broker.cli.filter_lookup import rule_meant, science_schema
from fink_broker.config import Config
from fink_broker.errors import ConfigError, DataError
from fink_broker.filters.engine import Engine
from fink_broker.filters.filter import Filter
from fink_broker.filters.names import near_names
from fink_broker.filters.topics_file import read_topics, topic_files

#: Columns that are named of a rule that reads many.
MOST_COLUMNS = 30


def check(conf: str | None, given: str) -> int:
    """Check a rule, a topic or a topics file; return the exit code."""
    config = load(conf, quiet=True).config
    path = Path(given)
    if given.endswith(".toml") or path.is_dir():
        return _check_file(path, config)
    schema = science_schema(config)
    entry = rule_meant(given, config, schema)
    reads, unfit = _fit([entry], config)
    if entry.name in unfit:
        message = unfit[entry.name].rstrip("?.")
        raise ConfigError(message + ("?" if unfit[entry.name].endswith("?") else "."))
    Console().print(f"The rule can be used. It reads {escape(_listed(reads))}.")
    return 0


def _check_file(path: Path, config: Config) -> int:
    if not topic_files(path):
        raise DataError(f"There is no topics file at {path}.", "The key filters.file names the one in force.")
    filters, problems = read_topics(path)
    _, unfit = _fit(filters, config)
    console = Console()
    table = Table("topic", "owner", "version", "rule")
    for entry in filters:
        told = f"[red]{escape(unfit[entry.name])}[/]" if entry.name in unfit else escape(_short(entry.rule.text))
        table.add_row(entry.name, escape(entry.owner), escape(entry.version), told)
    if filters:
        console.print(table)
    for problem in problems:
        console.print(str(problem), markup=False, highlight=False)
    wrong = len(problems) + len(unfit)
    fit = len(filters) - len(unfit)
    mistakes = f", {wrong} mistake{'' if wrong == 1 else 's'}" if wrong else ""
    console.print(f"{fit} topic{'' if fit == 1 else 's'} can be used{mistakes}.")
    return 2 if wrong else 0


def _fit(filters: list[Filter], config: Config) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the columns that filters read, and which cannot be evaluated and why."""
    schema = science_schema(config)
    with Engine(filters, None, config.filters.function_seconds) as engine:
        engine.fit(schema)
        unfit = engine.off
        reads = engine.reads
    for entry in filters:
        absent = [name for name in entry.columns if name.partition(".")[0] not in schema.names]
        if absent:
            unfit.setdefault(entry.name, f"Its 'columns' has '{absent[0]}'. {_hint(absent[0], schema)}")
    return reads, unfit


def _hint(name: str, schema: pa.Schema) -> str:
    return near_names(name, schema.names, "columns")


def _listed(reads: tuple[str, ...]) -> str:
    more = f" and {len(reads) - MOST_COLUMNS} more" if len(reads) > MOST_COLUMNS else ""
    return (", ".join(reads[:MOST_COLUMNS]) + more) if reads else "no column"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 160 else words[:159] + "…"
