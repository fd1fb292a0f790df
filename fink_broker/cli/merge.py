"""``fink merge``: many small files of a night become few sorted ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from fink_broker.archive import Layout
from fink_broker.archive.upkeep import NIGHTLY, MergedTable, merge_table, nights_there, pack_logs, purge_tables
from fink_broker.cli.configuration import load
from fink_broker.cli.hbase_upkeep import rewrite_in_hbase
from fink_broker.cli.table_upkeep import chosen_nights, files_text, needed_files, progress_bar, size_text
from fink_broker.config import Config
from fink_broker.stream.archive_marks import Marks


def merge(conf: str | None, nights: Sequence[str], *, now: bool = False) -> int:
    """Merge nights of all tables; return the exit code.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    nights : sequence of str
        Observing nights; none: every one but the latest.
    now : bool
        Whether to remove files that have been merged away at once, not after a quarter of an hour.

    Raises
    ------
    FinkError
        What cannot be done; nights already merged stay merged.
    """
    config = load(conf, quiet=True).config
    console, talk = Console(highlight=False), Console(stderr=True, highlight=False)
    chosen = chosen_nights(nights, nights_there(config))
    done = 0
    for night in chosen:
        for name in NIGHTLY:
            with _hbase_follows(config, name, night, talk) as found:
                with progress_bar(f"merging {name} {night}", talk) as progress:
                    result = merge_table(config, name, night, progress)
                found.extend(result.retold)
                _tell(result, night, console, config)
            done += result.merged is not None
    if not done:
        console.print("Nothing to merge." if chosen else "Nothing to merge: there is no night before the latest.")
    pack_logs(config)
    freed = purge_tables(config, needed_files(config), at_once=chosen if now else ())
    if freed.files:
        console.print(f"{files_text(freed.files)} merged away earlier removed, {size_text(freed.bytes)}.")
    return 0


@contextmanager
def _hbase_follows(config: Config, name: str, night: str, talk: Console) -> Iterator[list[int]]:
    """Bring to HBase the alerts that the block lists; the night is marked meanwhile, so that a kill leaves a trace."""
    changed: list[int] = []
    marks = Marks(config)
    behind = marks.read(night) is not None
    if name == "science" and not behind:
        marks.set(night)
    ours = marks.read(night)
    try:
        yield changed
    finally:
        if not changed and not behind:
            marks.remove(night, ours)
    if changed:
        rewrite_in_hbase(config, night, talk, None if behind else frozenset(changed))


def _tell(result: MergedTable, night: str, console: Console, config: Config) -> None:
    merged = result.merged
    if merged is not None:
        size = size_text(sum(file.bytes for file in merged.files))
        found = f", {merged.details['tracklets']} tracklets" if "tracklets" in merged.details else ""
        now = files_text(len(merged.files))
        console.print(f"{night} {result.name}: {files_text(result.files)} → {now}, {merged.rows:,} rows, {size}{found}")
    if result.waiting:
        left = f"{files_text(result.waiting)} left as {'it is' if result.waiting == 1 else 'they are'}"
        console.print(f"{night} {result.name}: {left}, until they are in {result.waits_for}.")
    if result.waiting and result.waits_for == "archived":
        folder = Layout(config.storage.online).table("archived")
        console.print(
            f"`fink start archive` brings them to HBase; where there is no HBase any more, remove {folder}.",
            markup=False,
        )
