"""``fink archive check``: whether raw, science, topics and HBase hold the same alerts of a night."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.retiring import forget_unfinished
from fink_broker.cli.configuration import load
from fink_broker.cli.hbase_upkeep import is_archived, rewrite_in_hbase
from fink_broker.cli.table_upkeep import night_of
from fink_broker.config import Config
from fink_broker.errors import CountsDoNotClose, ServiceError, UsageError
from fink_broker.monitor.counts import open_ends_of_night, read_counts
from fink_broker.service.state import StateStore
from fink_broker.stream.agreement import Held, differences, held, held_in_hbase

#: The job that fills each table.
JOBS = {"raw": "stream2raw", "science": "raw2science", "topics": "distribution"}


@dataclass
class Findings:
    """What was found: what each table holds, and a sentence for each thing that is wrong."""

    tables: list[Held]
    sentences: list[str]
    hbase_differs: bool = False


def check(conf: str | None, night: str, *, repair: bool = False, hbase: bool = True) -> int:
    """Compare the tables of a night, print what was compared and what differs; return 0 if nothing does, else 5.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    night : str
        Observing night.
    repair : bool
        Whether to mend what can be mended, and look again.
    hbase : bool
        Whether to look into HBase.

    Raises
    ------
    FinkError
        If a commit cannot be read, or a table is being merged.
    """
    config = load(conf, quiet=True).config
    night = night_of(night)
    console, talk = Console(highlight=False), Console(stderr=True, highlight=False)
    with talk.status(f"comparing the tables of {night}"):
        found = look(config, night, hbase=hbase)
    if repair and found.sentences:
        _repair(config, night, found, talk)
        with talk.status("looking again"):
            found = look(config, night, hbase=hbase)
    _print(found, night, console)
    return CountsDoNotClose.exit_code if found.sentences else 0


def look(config: Config, night: str, *, hbase: bool) -> Findings:
    """Compare the tables of a night; later ones are read first, so that what they hold is in those before."""
    layout = Layout(config.storage.online)
    raw, science, topics = (AlertTable(layout.table(name)) for name in ("raw", "science", "topics"))
    in_hbase, sentences = _in_hbase(config, night) if hbase else (None, [])
    of_topics, of_science = held(topics, "topics", night), held(science, "science", night)
    of_raw = held(raw, "raw", night, config.quality)
    tables = [of_raw, of_science, of_topics]
    details = {table: _details(AlertTable(layout.table(table)), night) for table in ("raw", "science")}
    if not any(table.files for table in tables) and not details["science"].get("removed"):
        raise UsageError(f"The broker holds nothing of the night {night}.", "`fink merge` tells which nights it has.")
    for table in tables:
        sentences += table.troubles()
    sentences += open_ends_of_night(read_counts(config), night)
    raw_there = None if details["raw"].get("removed") else of_raw
    explained = details["science"].get("reprocessed") or {}
    if not details["science"].get("removed"):
        sentences += differences(raw_there, of_science, of_topics, None, explained)
        apart = differences(None, of_science, of_science, in_hbase, {})
        if in_hbase is not None:
            apart += in_hbase.troubles()
        return Findings([*tables, *([in_hbase] if in_hbase else [])], sentences + apart, bool(apart))
    return Findings(tables, sentences)


def _in_hbase(config: Config, night: str) -> tuple[Held | None, list[str]]:
    """Return what HBase holds, or a sentence if it is away; nothing where alerts are not brought there."""
    if not is_archived(config):
        return None, []
    try:
        return held_in_hbase(config, night), []
    except ServiceError as error:
        return None, [f"HBase could not be compared: {error} (--no-hbase leaves it out.)"]


def _details(table: AlertTable, night: str) -> dict[str, Any]:
    merged = table.merged.read(night)
    return {} if merged is None else merged.details


def _repair(config: Config, night: str, found: Findings, talk: Console) -> None:
    """Mend what can be: batches cut short whose job does not run, files of a merge cut short, rows of HBase."""
    layout, states = Layout(config.storage.online), StateStore(config.storage.state)
    for name, job in JOBS.items():
        try:
            with states.only_one(job):
                table = AlertTable(layout.table(name))
                if name == "raw":
                    AlertTable(layout.table("rejected")).recover(committed=table.log)
                for commit_id in table.recover():
                    talk.print(f"{name}: what the batch {commit_id} had left was removed; it runs again.", markup=False)
                with table.merged.alone():
                    forget_unfinished(table.storage, night)
        except UsageError as error:
            talk.print(f"{name} is left as it is: {error}", markup=False)
    if found.hbase_differs:
        rewrite_in_hbase(config, night, talk)


def _print(found: Findings, night: str, console: Console) -> None:
    table = Table("table", "files", "alerts", "pass the cuts", title=f"The night {night}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for entry in found.tables:
        kept = f"{len(entry.kept):,}" if entry.name == "raw" else ""
        files = f"{entry.files:,}" if entry.name != "HBase" else ""
        table.add_row(entry.name, files, f"{len(entry.candids):,}", kept)
    console.print(table)
    for sentence in found.sentences:
        console.print(f"[yellow]{escape(sentence)}[/]")
    if not found.sentences:
        console.print("All agree.")
