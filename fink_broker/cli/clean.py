"""``fink clean``: what is older than it is to be kept goes."""

from __future__ import annotations

import time

from rich.console import Console

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.reading import nights_of
from fink_broker.archive.retiring import Freed
from fink_broker.archive.upkeep import (
    purge_tables,
    remove_night,
    remove_rejected,
    remove_staging,
    remove_unfinished,
    too_old,
)
from fink_broker.cli.configuration import load
from fink_broker.cli.table_upkeep import files_text, needed_files, size_text
from fink_broker.config import Config
from fink_broker.config.paths import nearly_full


def clean(conf: str | None, *, dry_run: bool = False) -> int:
    """Remove nights that are too old, files out of use and old staging; return the exit code.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    dry_run : bool
        Whether only to tell what would go.

    Raises
    ------
    UsageError
        If a table is being merged.
    DataError
        If it cannot be told what unfinished transfers need.
    """
    config = load(conf, quiet=True).config
    console, storage = Console(highlight=False), config.storage
    needed = needed_files(config)
    keep = {"raw": storage.keep_raw_days, "science": storage.keep_science_days, "topics": storage.keep_science_days}
    freed = Freed()
    for name, days in keep.items():
        freed += _clean_table(
            config, name, days, needed if name == "science" else frozenset(), console, dry_run=dry_run
        )
    days_gone, rejected = remove_rejected(config, dry_run=dry_run)
    _tell(console, f"rejected packets of {len(days_gone)} days", rejected)
    retired = purge_tables(config, needed, dry_run=dry_run)
    _tell(console, "merged away", retired)
    staged = remove_staging(config, dry_run=dry_run, now=time.time())
    _tell(console, "batches cut short long ago", staged)
    unfinished = remove_unfinished(config, dry_run=dry_run, now=time.time())
    _tell(console, "merges cut short", unfinished)
    freed += rejected + retired + staged + unfinished
    verb = "would be freed" if dry_run else "freed"
    console.print(f"{size_text(freed.bytes)} in {files_text(freed.files)} {verb}.")
    if warning := nearly_full(config.storage.online, config.storage.warn_free_gib):
        console.print(warning, style="yellow")
    return 0


def _clean_table(
    config: Config, name: str, days: int, needed: frozenset[str], console: Console, *, dry_run: bool
) -> Freed:
    table, freed = AlertTable(Layout(config.storage.online).table(name)), Freed()
    for night in too_old(nights_of(table), days):
        gone = remove_night(config, name, night, needed, dry_run=dry_run)
        if gone is None:
            console.print(f"{name} {night} stays: a later job, or a transfer, has not done with it.")
        else:
            _tell(console, f"{name} {night}", gone)
            freed += gone
    return freed


def _tell(console: Console, what: str, freed: Freed) -> None:
    if freed.files:
        console.print(f"{what}: {files_text(freed.files)}, {size_text(freed.bytes)}")
