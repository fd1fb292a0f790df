"""Bringing a night that has changed in Parquet to HBase."""

from __future__ import annotations

from rich.console import Console

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.commits import COMMITS
from fink_broker.config import Config
from fink_broker.errors import FinkError


def is_archived(config: Config) -> bool:
    """Tell whether alerts are brought to HBase at all."""
    table = AlertTable(Layout(config.storage.online).table("archived"))
    return table.storage.exists(COMMITS) and table.log.end() > 0


def rewrite_in_hbase(config: Config, night: str, console: Console) -> int | None:
    """Write a night to HBase as it is in Parquet now; return how many rows, None if that could not be done.

    What went wrong is told in a sentence: the night in Parquet is done, and `fink archive check --repair` does the
    rest.
    """
    if not is_archived(config):
        return None
    from fink_broker.stream.archiving import rewrite_night  # noqa: PLC0415

    try:
        rows = int(rewrite_night(config, night, console))
    except FinkError as error:
        again = f"`fink archive check --night {night} --repair` does it later."
        console.print(f"HBase was not brought up to date: {error} {again}", markup=False, highlight=False)
        return None
    console.print(f"{night} HBase: {rows:,} rows written", highlight=False)
    return rows
