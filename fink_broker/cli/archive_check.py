"""``fink archive check``: whether raw, science, topics and HBase hold the same alerts of a night."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.upkeep import nights_there
from fink_broker.cli.configuration import load
from fink_broker.cli.hbase_upkeep import is_archived, rewrite_in_hbase
from fink_broker.cli.table_repair import repair_tables, running_jobs
from fink_broker.cli.table_upkeep import night_of, there_is
from fink_broker.config import Config
from fink_broker.errors import CountsDoNotClose, DataError, ServiceError, UsageError
from fink_broker.monitor.counts import open_ends_of_night, read_counts
from fink_broker.stream import archive_comparison
from fink_broker.stream.agreement import Held, differences, held, held_in_hbase, refused_alerts, without
from fink_broker.stream.archive_comparison import Comparison
from fink_broker.stream.archive_marks import Marks


@dataclass
class Findings:
    """What was found: what each table holds, a sentence for each thing that is wrong, and alerts HBase cannot take."""

    tables: list[Held]
    sentences: list[str]
    hbase_differs: bool = False
    refused: int = 0


@dataclass
class InHBase:
    """What was found in HBase: the alerts, how they differ by value if that was looked at, and why HBase is away."""

    held: Held | None = None
    compared: Comparison = field(default_factory=Comparison)
    trouble: str = ""


def check(conf: str | None, night: str, *, repair: bool = False, hbase: bool = True, quick: bool = False) -> int:
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
    quick : bool
        Whether to look for alerts alone: not at all columns of files, nor at values in HBase and what index tables
        there hold.

    Raises
    ------
    FinkError
        If a commit cannot be read, or a table is being merged.
    """
    config = load(conf, quiet=True).config
    night = night_of(night)
    console, talk = Console(highlight=False), Console(stderr=True, highlight=False)
    found = look(config, night, talk, hbase=hbase, quick=quick)
    if repair and found.sentences:
        _repair(config, night, found, talk)
        found = look(config, night, talk, hbase=hbase, quick=quick)
    _print(found, night, console)
    return CountsDoNotClose.exit_code if found.sentences else 0


def look(config: Config, night: str, talk: Console, *, hbase: bool, quick: bool) -> Findings:
    """Compare the tables of a night; later ones are read first, so that what they hold is in those before."""
    in_hbase = _in_hbase(config, night, talk, quick=quick) if hbase and is_archived(config) else InHBase()
    with talk.status(f"comparing the tables of {night}"):
        return _compare(config, night, in_hbase, quick=quick)


def _compare(config: Config, night: str, in_hbase: InHBase, *, quick: bool) -> Findings:
    layout = Layout(config.storage.online)
    raw, science, topics = (AlertTable(layout.table(name)) for name in ("raw", "science", "topics"))
    sentences = [in_hbase.trouble] if in_hbase.trouble else []
    busy = running_jobs(config)
    of_topics, of_science = (
        held(table, name, night, quick=quick, busy=name in busy)
        for table, name in ((topics, "topics"), (science, "science"))
    )
    of_raw = held(raw, "raw", night, config.quality, quick=quick, busy="raw" in busy)
    tables = [of_raw, of_science, of_topics]
    if not any(table.files or table.partial or table.unknown for table in tables):
        there = nights_there(config)
        raise UsageError(f"The broker holds nothing of the night {night}.", there_is(there))
    for table in tables:
        sentences += table.troubles()
    sentences += open_ends_of_night(read_counts(config), night)
    sentences += differences(of_raw, of_science, of_topics, None)
    if in_hbase.held is None:
        refused: set[int] = set()
    else:  # the commits tell where values were not compared
        known = in_hbase.compared.refused | refused_alerts(AlertTable(layout.table("archived")))
        refused = set(of_science.candids.tolist()) & known - set(in_hbase.held.candids.tolist())
    apart = _differences_of_hbase(config, night, of_science, in_hbase, refused)
    compared = [*tables, *([in_hbase.held] if in_hbase.held else [])]
    return Findings(compared, sentences + apart, bool(apart), len(refused))


def _differences_of_hbase(
    config: Config, night: str, of_science: Held, in_hbase: InHBase, refused: Collection[int]
) -> list[str]:
    """Return a sentence for each way in which HBase does not hold what science does."""
    found = []
    since = Marks(config).since(night)
    if since is not None:
        at = datetime.fromtimestamp(since, UTC).isoformat(" ", "seconds")
        found.append(f"HBase: the night was changed at {at}, and HBase was not brought up to date since.")
    if in_hbase.held is not None:
        archivable = without(of_science, refused)
        if of_science.partial:  # HBase keeps what was removed here for its age
            in_hbase.compared.left_over.clear()
        found += differences(None, archivable, archivable, in_hbase.held)
        found += in_hbase.held.troubles() + in_hbase.compared.sentences()
    return found


def _in_hbase(config: Config, night: str, talk: Console, *, quick: bool) -> InHBase:
    """Return what HBase holds, or a sentence if it is away."""
    try:
        with talk.status(f"looking for the alerts of {night} in HBase"):
            found = held_in_hbase(config, night)
        return InHBase(found) if quick else InHBase(found, _by_value(config, night, talk))
    except ServiceError as error:
        return InHBase(trouble=f"HBase could not be compared: {error} (--no-hbase leaves it out.)")


def _by_value(config: Config, night: str, talk: Console) -> Comparison:
    """Compare HBase with science by value, as far as science can be read: what cannot be is told of its files."""
    try:
        return archive_comparison.compare_night(config, night, talk)
    except (OSError, DataError) as error:
        talk.print(f"The values in HBase could not be compared: {error}", markup=False)
        return Comparison()


def _repair(config: Config, night: str, found: Findings, talk: Console) -> None:
    """Mend what can be of the tables; then write HBase anew, unless science itself is damaged."""
    repair_tables(config, night, talk)
    if not found.hbase_differs:
        return
    science = held(AlertTable(Layout(config.storage.online).table("science")), "science", night)
    if science.lacking or science.unreadable:
        talk.print("HBase is left as it is: files of science are gone or damaged, and HBase may have what they held.")
    else:
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
    if found.refused:
        console.print(f"Alerts of science that cannot be archived: {found.refused:,}; the log of that job tells why.")
    if not found.sentences:
        console.print("All agree.")
