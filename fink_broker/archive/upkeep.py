"""Keeping the tables of a broker in order: which nights are merged, what is waited for, and what goes for its age."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyarrow import fs

from fink_broker.archive.additions import additions_of
from fink_broker.archive.commits import COMMITS
from fink_broker.archive.following import settled
from fink_broker.archive.layout import Layout
from fink_broker.archive.merged_night import MERGED, MergedNight
from fink_broker.archive.merging import MERGING, Progress, clear_leftovers, merge_night
from fink_broker.archive.night_writer import committed_paths
from fink_broker.archive.reading import nights_of
from fink_broker.archive.retiring import GRACE_SECONDS, RETIRED, Freed, purge, remove, retire, retired_paths
from fink_broker.archive.storage import TEMPORARY
from fink_broker.archive.table import STAGING, AlertTable
from fink_broker.config import Config

#: Tables whose nights are merged.
NIGHTLY = ("raw", "science", "topics")
#: Tables that have a commit log.
LOGGED = (*NIGHTLY, "archived")
#: What was staged longer ago than this belongs to a batch that is not worked on.
STAGING_DAYS = 1.0
_DATE = "%Y%m%d"


@dataclass(frozen=True)
class MergedTable:
    """What became of a night of a table.

    Parameters
    ----------
    name : str
        The table.
    merged : MergedNight or None
        What it consists of now, None if there was nothing to do.
    files : int
        How many files it had before.
    waiting : int
        Files that are left out, because a later job has not taken in what they hold.
    waits_for : str
        The table of that job.
    retold : frozenset of int
        Candids of alerts of which the merged night says something else than was said before: of their tracklet.
    """

    name: str
    merged: MergedNight | None
    files: int
    waiting: int = 0
    waits_for: str = ""
    retold: frozenset[int] = frozenset()


def nights_there(config: Config) -> list[str]:
    """Return all observing nights the broker holds, the oldest first."""
    layout = Layout(config.storage.online)
    return sorted({night for name in NIGHTLY for night in nights_of(AlertTable(layout.table(name)))})


def merge_table(config: Config, name: str, night: str, progress: Progress) -> MergedTable:
    """Merge a night of a table, as far as later jobs have taken it in.

    Raises
    ------
    FinkError
        What `fink_broker.archive.merging.merge_night` raises.
    """
    layout = Layout(config.storage.online)
    table = AlertTable(layout.table(name))
    until, last = settled(layout, name)
    before = table.merged.read(night)
    late = committed_paths(table, night, before.until if before else 0, until)
    waiting = committed_paths(table, night, max(until, before.until if before else 0))
    merged, additions = None, additions_of(name)
    if late:
        merged = merge_night(
            table,
            night,
            until,
            additions,
            file_mib=config.storage.file_mib,
            least_free_gib=config.storage.min_free_gib,
            progress=progress,
        )
    files = len(late) + (len(before.files) if before else 0)
    retold = frozenset(candid for addition in additions if merged is not None for candid in addition.changed())
    return MergedTable(name, merged, files, len(waiting), last if waiting else "", retold)


def pack_logs(config: Config) -> int:
    """Pack full folders of all commit logs; return how many."""
    layout = Layout(config.storage.online)
    tables = [AlertTable(layout.table(name)) for name in LOGGED]
    return sum(table.log.pack() for table in tables if table.storage.exists(COMMITS))


def purge_tables(
    config: Config, needed: Collection[str], *, at_once: Collection[str] = (), dry_run: bool = False
) -> Freed:
    """Remove files that were merged away some time ago, or at once.

    Parameters
    ----------
    config : Config
        The configuration.
    needed : collection of str
        Files of the science table that unfinished transfers name.
    at_once : collection of str
        Observing nights of which also goes what somebody may still be reading.
    dry_run : bool
        Whether only to tell.
    """
    layout, freed = Layout(config.storage.online), Freed()
    for name in NIGHTLY:
        table = AlertTable(layout.table(name))
        kept = needed if name == "science" else ()
        if table.storage.exists(RETIRED):
            with table.merged.alone():
                freed += purge(table.storage, GRACE_SECONDS, kept, at_once=at_once, dry_run=dry_run)
    return freed


def too_old(nights: Collection[str], keep_days: int, today: datetime | None = None) -> list[str]:
    """Return the nights that are over for more than some days; none if these are 0."""
    if keep_days == 0:
        return []
    first_kept = (today or datetime.now(UTC)) - timedelta(days=keep_days)
    return sorted(night for night in nights if night < first_kept.strftime(_DATE))


def remove_night(config: Config, name: str, night: str, needed: Collection[str] = (), *, dry_run: bool) -> Freed | None:
    """Remove a night of a table; None if it must stay, because a later job or a transfer still needs it."""
    layout = Layout(config.storage.online)
    table = AlertTable(layout.table(name))
    until, _ = settled(layout, name)
    with table.merged.alone():
        if not dry_run:
            clear_leftovers(table, night)
        before = table.merged.read(night)
        first = before.until if before else 0
        paths = committed_paths(table, night, first)
        late = len(paths) != len(committed_paths(table, night, first, until))
        paths += [file.path for file in before.files] if before else []
        if late or set(needed).intersection([*paths, *retired_paths(table.storage, night)]):
            return None
        if not paths:
            table.storage.remove_empty_folder(f"night={night}", STAGING_DAYS * 86400)
        if dry_run or not paths:
            return sum((remove(table.storage, path, dry_run=True) for path in paths), Freed())
        generation = before.generation + 1 if before else 1
        details = {**(before.details if before else {}), "removed": True}
        retire(table.storage, night, generation, paths)
        table.merged.write(MergedNight(night, generation, max(until, first), (), details))
        return purge(table.storage, 0.0, needed, night=night)


def remove_rejected(config: Config, *, dry_run: bool) -> tuple[list[str], Freed]:
    """Remove rejected packets of days that are too old; return these days and what it frees."""
    table = AlertTable(Layout(config.storage.online).table("rejected"))
    days = [name.removeprefix("date=") for name in table.storage.folders("") if name.startswith("date=")]
    old, freed = too_old(days, config.storage.keep_rejected_days), Freed()
    for day in old:
        freed += remove(table.storage, f"date={day}", dry_run=dry_run)
    return old, freed


def remove_staging(config: Config, *, dry_run: bool, now: float) -> Freed:
    """Remove what batches that were cut short long ago had staged; their jobs no longer know of it."""
    layout, freed = Layout(config.storage.online), Freed()
    for name in (*LOGGED, "rejected"):
        storage = AlertTable(layout.table(name)).storage
        for commit_id in storage.folders(STAGING):
            path = f"{STAGING}/{commit_id}"
            infos = [storage.info(path), *storage.find(path, recursive=True)]
            times = [info.mtime_ns / 1e9 for info in infos if info.type != fs.FileType.NotFound and info.mtime_ns]
            if times and max(times) < now - STAGING_DAYS * 86400:
                freed += remove(storage, path, dry_run=dry_run)
    return freed


def remove_unfinished(config: Config, *, dry_run: bool, now: float) -> Freed:
    """Remove what merges and reprocessings that were killed have left, and files nobody has finished writing."""
    layout, freed = Layout(config.storage.online), Freed()
    for name in NIGHTLY:
        table = AlertTable(layout.table(name))
        if table.storage.is_local and table.storage.folders(MERGING):
            with table.merged.alone():  # who writes there holds the lock
                freed += remove(table.storage, MERGING, dry_run=dry_run)
    for name in LOGGED:
        storage = AlertTable(layout.table(name)).storage
        for folder in (COMMITS, MERGED, RETIRED):
            for info in storage.find(folder, TEMPORARY):
                if info.mtime_ns and info.mtime_ns / 1e9 < now - STAGING_DAYS * 86400:
                    freed += remove(storage, f"{folder}/{info.base_name}", dry_run=dry_run)
    return freed
