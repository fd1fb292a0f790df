"""``fink reprocess``: a stored night, as the modules and filters of today see it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.cli.configuration import load
from fink_broker.cli.hbase_upkeep import rewrite_in_hbase
from fink_broker.cli.table_upkeep import night_of, progress_bar
from fink_broker.errors import ServiceError
from fink_broker.stream.archive_marks import Marks
from fink_broker.stream.differences import Changes
from fink_broker.stream.reprocessing import Reprocessed
from fink_broker.stream.reprocessing import reprocess as run

#: Columns and topics that are listed; of further ones only the number is told.
MOST_ROWS = 60


def reprocess(
    conf: str | None, night: str, modules: Sequence[str], *, dry_run: bool, accept_failures: bool = False
) -> int:
    """Reprocess a night, print what changes, and bring it to HBase; return the exit code.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    night : str
        Observing night.
    modules : sequence of str
        Modules whose columns are made anew; none: all, and the cuts.
    dry_run : bool
        Whether only to tell what would change.
    accept_failures : bool
        Whether to replace values also where modules fail in more alerts than they did.

    Raises
    ------
    FinkError
        What cannot be done; the night stays as it was.
    """
    config = load(conf, quiet=True).config
    night = night_of(night)
    console, talk = Console(highlight=False), Console(stderr=True, highlight=False)
    with progress_bar(f"reprocessing {night}", talk) as progress:
        done = run(config, night, modules, dry_run=dry_run, accept_failures=accept_failures, progress=progress)
    _print_alerts(done, console)
    _print_columns(done.changes, console)
    _print_topics(done.changes, console)
    for name, (then, now) in done.changes.worse.items():
        console.print(f"{name} failed in {then:,} alerts, and fails in {now:,} now.", style="yellow", markup=False)
    if not done.changes.any:
        console.print(f"Nothing changes: the science table holds {night} as the modules of today give it.")
        if not dry_run and Marks(config).read(night) is not None:  # an earlier run found HBase away
            rewrite_in_hbase(config, night, talk)
    elif dry_run:
        console.print("Nothing was written (--dry-run).")
    elif done.refused:
        raise ServiceError(
            "Nothing was written: values would be replaced by failures.",
            "Mend what fails, or say --accept-failures.",
        )
    else:
        console.print(f"The science files of {night} are replaced (generation {done.generation}). Nothing was sent.")
        rewrite_in_hbase(config, night, talk)
    return 0


def _print_alerts(done: Reprocessed, console: Console) -> None:
    changes = done.changes
    cuts = ", ".join(f"{name} {number:,}" for name, number in done.cuts.most_common())
    dropped = f", {sum(done.cuts.values()):,} cut ({cuts})" if cuts else ""
    console.print(f"{done.alerts:,} alerts in{dropped}, {changes.now:,} science; there were {changes.before:,}.")
    console.print(f"Alerts gained by the cuts: {changes.gained:,}; lost: {changes.lost:,}.")
    for name, pairs in sorted(changes.versions.items()):
        told = ", ".join(f"{before or 'none'} → {now or 'none'}" for before, now in sorted(pairs))
        console.print(f"Module {name}: version {told}", markup=False)


def _print_columns(changes: Changes, console: Console) -> None:
    if not changes.columns:
        return
    table = Table(
        "column", "alerts", "largest difference", "of alert", title="Values that differ", title_justify="left"
    )
    columns = sorted(changes.columns.items(), key=lambda entry: (-entry[1].alerts, entry[0]))
    for name, found in columns[:MOST_ROWS]:
        largest = f"{found.largest:.6g}" if found.largest else ""
        table.add_row(escape(name), f"{found.alerts:,}", largest, escape(found.example))
    console.print(table)
    if len(columns) > MOST_ROWS:
        console.print(f"… and {len(columns) - MOST_ROWS} more columns")


def _print_topics(changes: Changes, console: Console) -> None:
    rows = [(name, gains, losses) for name, (gains, losses) in sorted(changes.topics.items()) if gains or losses]
    if not rows:
        return
    table = Table("topic", "gains", "loses", title="Alerts each topic would take", title_justify="left")
    for name, gains, losses in rows[:MOST_ROWS]:
        table.add_row(escape(name), f"{gains:,}", f"{losses:,}")
    console.print(table)
