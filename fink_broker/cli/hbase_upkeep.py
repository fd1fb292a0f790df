"""Bringing nights to HBase as they are in Parquet: one that has changed there, or all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import Console

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.commits import COMMITS
from fink_broker.archive.reading import nights_of
from fink_broker.cli.configuration import load
from fink_broker.cli.table_upkeep import night_of, there_is
from fink_broker.config import Config
from fink_broker.errors import FinkError, UsageError
from fink_broker.stream.archive_marks import Marks


def is_archived(config: Config) -> bool:
    """Tell whether alerts are brought to HBase at all."""
    table = AlertTable(Layout(config.storage.online).table("archived"))
    return table.storage.exists(COMMITS) and table.log.end() > 0


def rewrite_in_hbase(
    config: Config, night: str, console: Console, candids: Collection[int] | None = None
) -> int | None:
    """Write a night, or some of its alerts, to HBase as it is in Parquet now; return how many rows.

    It is None if that could not be done.

    What went wrong is told in a sentence: the night in Parquet is done, and `fink archive check --repair` does the
    rest. Until then the night is marked.
    """
    if not is_archived(config):
        return None
    from fink_broker.stream.archiving import rewrite_night  # noqa: PLC0415

    Marks(config).set(night)
    try:
        rows = int(rewrite_night(config, night, console, candids=candids))
    except FinkError as error:
        again = f"`fink archive check --night {night} --repair` does it later."
        console.print(f"HBase was not brought up to date: {error} {again}", markup=False, highlight=False)
        return None
    console.print(f"{night} HBase: {rows:,} rows written", highlight=False)
    return rows


def rebuild(conf: str | None, nights: Sequence[str]) -> int:
    """Write nights of the science table to HBase anew; return the exit code.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    nights : sequence of str
        Observing nights; none: all, and what HBase tells of nights, and of objects that are gone.

    Raises
    ------
    FinkError
        If HBase does not answer or a night cannot be read; nights that were written stay written.
    """
    from fink_broker.archive.hbase.open import open_archive  # noqa: PLC0415
    from fink_broker.archive.hbase.statistics import NightStatistics  # noqa: PLC0415
    from fink_broker.archive.hbase.writing import create_tables  # noqa: PLC0415
    from fink_broker.stream.archive_positions import Positions  # noqa: PLC0415
    from fink_broker.stream.archiving import rewrite_night  # noqa: PLC0415

    config = load(conf, quiet=True).config
    console, talk = Console(highlight=False), Console(stderr=True, highlight=False)
    layout = Layout(config.storage.online)
    science = AlertTable(layout.table("science"))
    there = nights_of(science)
    chosen = [night_of(night) for night in nights]
    if unknown := [night for night in chosen if night not in there]:
        raise UsageError(f"The science table holds nothing of the night {unknown[0]}.", there_is(there))
    archive = open_archive(config)
    try:
        create_tables(archive)
        for night in chosen or there:
            console.print(f"{night} HBase: {rewrite_night(config, night, talk, archive):,} rows written")
        if not chosen:
            with talk.status("looking at positions and records of nights"):
                Positions(archive).mend_all()
                NightStatistics(AlertTable(layout.table("archived")), archive).put_all()
    finally:
        archive.close()
    removed = [night for night in chosen or there if science.merged.removed(night)]
    if removed:
        console.print(
            f"{len(removed):,} nights were removed from the science table for their age: HBase keeps what it has."
        )
    return 0
