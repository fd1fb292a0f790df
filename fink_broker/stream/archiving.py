"""Whole nights in HBase: written anew after they changed in Parquet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.progress import Progress

from fink_broker.alert.survey import SURVEYS
from fink_broker.archive import AlertTable, DataFile, Layout
from fink_broker.archive.following import taken
from fink_broker.archive.hbase import cells
from fink_broker.archive.hbase.keys import split_key
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import Rows, database_rows, index_keys
from fink_broker.archive.hbase.statistics import NightStatistics, Tally
from fink_broker.archive.hbase.store import Row
from fink_broker.archive.hbase.stored import readable
from fink_broker.archive.hbase.tables import BY_TIME, POSITION, main_keys
from fink_broker.archive.hbase.writing import create_tables, write
from fink_broker.archive.reading import files_of_night
from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.stream.archive_marks import Marks
from fink_broker.stream.archive_night import (
    IN_TIME,
    ROWS_AT_ONCE,
    ArchivedNight,
    Numbers,
    candid_of,
    chunks,
    hashes,
    joined,
    main_key,
    unexpected,
)
from fink_broker.stream.archive_positions import Positions
from fink_broker.stream.archive_reading import Part, gathered, parts_of

log = logging.getLogger(__name__)

T = TypeVar("T")
#: objectId, jd (days) and candid of an alert.
Identity = tuple[str, float, int]
#: Lists of a night's files that are tried, if files go while they are read.
_TRIES = 5


def rewrite_night(
    config: Config,
    night: str,
    console: Console | None = None,
    archive: Archive | None = None,
    *,
    candids: Collection[int] | None = None,
) -> int:
    """Write a night to HBase as it is in the science table now; return how many alerts were written.

    Index rows that no longer hold are removed, and so are alerts the science table does not have any more; those the
    archive job writes meanwhile stay. It can be cut short at any instant and done again. Memory does not grow with the
    night, but for 16 bytes an alert and table. Of a night that was removed from the science table for its age HBase
    keeps all it has; alerts that came late are written.

    Parameters
    ----------
    config : Config
        The configuration in force.
    night : str
        Observing night, ``YYYYMMDD``.
    console : Console, optional
        Told how far it is.
    archive : Archive, optional
        The database, if it is open.
    candids : collection of int, optional
        Alerts that differ, where it is known which: only these are written, and nothing is counted anew.

    Raises
    ------
    ArchiveAway
        If HBase does not answer.
    DataError
        If files of the night cannot be read.
    """
    with opened(config, archive) as database:
        rewriting = _Rewriting(config, night, database)
        return rewriting.run(console) if candids is None else rewriting.run_some(candids, console)


def hbase_candids(config: Config, night: str, archive: Archive | None = None) -> Iterator[Identity]:
    """Give objectId, jd (days, to 1e-7) and candid of every alert of a night that HBase has, in no order.

    An alert counts if its main row is there.

    Raises
    ------
    ArchiveAway
        If HBase does not answer.
    """
    with opened(config, archive) as database:
        for chunk in chunks(ArchivedNight(database, night, SURVEYS[config.survey]).rows(), ROWS_AT_ONCE):
            main = [main_key(key) for key, _ in chunk]
            found = database.store.get(database.name(""), main, [cells.CUTOUT_CELL])
            for key, row in zip(main, found, strict=True):
                if row:
                    object_id, jd, candid = split_key(key)
                    yield object_id, float(jd), int(candid)


@contextmanager
def opened(config: Config, archive: Archive | None) -> Iterator[Archive]:
    """Give the archive, and close it if it was opened for this."""
    if archive is not None:
        yield archive
        return
    database = open_archive(config)
    try:
        yield database
    finally:
        database.close()


@dataclass(frozen=True)
class _Taken:
    """How far the archive job has come: numbers of the first commits it has not made, and not taken in."""

    archived: int
    science: int
    raw: int


class _Rewriting:
    """One night being written anew."""

    def __init__(self, config: Config, night: str, archive: Archive) -> None:
        layout = Layout(config.storage.online)
        self._night, self._archive, self._marks = night, archive, Marks(config)
        self._there = ArchivedNight(archive, night, SURVEYS[config.survey])
        self._positions = Positions(archive)
        self._raw, self._science, self._archived = (
            AlertTable(layout.table(name)) for name in ("raw", "science", "archived")
        )

    def run(self, console: Console | None) -> int:
        """Write what there is, remove what there was, set the record of the night."""
        create_tables(self._archive)
        mark = self._marks.read(self._night)
        # in this order: whatever the job archives from here on is neither removed nor counted here
        before, job = self._there.key_hashes(), self._taken()
        for _ in range(_TRIES):
            try:
                written, expected, tally = self._write(job, console)
                break
            except FileNotFoundError:  # merged meanwhile
                log.info("files of night %s were replaced while they were read", self._night)
        else:
            raise self._gone()
        gone = 0
        if not self._science.merged.removed(self._night):  # else science has only what came late
            gone = self._remove_lost(before, expected)
            total = (tally + Tally.received(self._received(job.raw))).as_whole()
            NightStatistics(self._archived, self._archive).replace(self._night, total, job.archived)
        self._marks.remove(self._night, mark)
        log.info("night %s: %s alerts written, %s removed", self._night, written, gone)
        return written

    def run_some(self, candids: Collection[int], console: Console | None) -> int:
        """Write some of the alerts there are."""
        create_tables(self._archive)
        mark = self._marks.read(self._night)
        wanted = pa.array(sorted(candids), pa.int64())
        for _ in range(_TRIES):
            written = 0
            try:
                files = files_of_night(self._science, self._night)
                total = sum(file.rows for file in files)
                parts = self._parts(files)
                for part in shown(parts, lambda each: len(each.alerts), total, f"{self._night} to HBase", console):
                    here = pc.is_in(part.alerts["candid"], value_set=wanted)
                    rows = database_rows(part.alerts.filter(here), part.places.filter(here.combine_chunks()))
                    self._write_rows(rows)
                    written += rows.count
                break
            except FileNotFoundError:  # merged meanwhile
                log.info("files of night %s were replaced while they were read", self._night)
        else:
            raise self._gone()
        self._marks.remove(self._night, mark)
        return written

    def _gone(self) -> DataError:
        return DataError(
            f"Files of night {self._night} are gone.", f"`fink archive check --night {self._night}` tells which."
        )

    def _taken(self) -> _Taken:
        """Return how far the job has come."""
        while True:
            archived, science = self._archived.log.end(), taken(self._science, self._archived)
            if self._archived.log.end() == archived:  # else it made a commit while we looked
                break
        for number in range(science - 1, -1, -1):
            (commit,) = self._science.log.read_from(number, 1)
            if commit.inputs:
                found = (self._raw.log.number_of(name) for name in commit.inputs)
                return _Taken(archived, science, max((raw + 1 for raw in found if raw is not None), default=0))
        return _Taken(archived, science, 0)

    def _received(self, until: int) -> int:
        """Return how many alerts of the night commits of the raw table below a number brought."""
        commits = self._raw.log.touching(lambda number, night: night == self._night and number < until)
        return sum(file.rows for _, commit in commits for file in commit.files if file.partition == self._night)

    def _files(self, until: int) -> tuple[list[DataFile], list[DataFile]]:
        """Return the night's files: those of commits below a number and merged ones, and those that came later."""
        merged = self._science.merged.read(self._night)
        first = merged.until if merged else 0
        known: list[DataFile] = merged.data_files() if merged else []
        late: list[DataFile] = []
        for number, commit in self._science.log.touching(lambda _, night: night == self._night, first):
            (known if number < until else late).extend(file for file in commit.files if file.partition == self._night)
        return known, late

    def _write(self, job: _Taken, console: Console | None) -> tuple[int, dict[str, Numbers], Tally]:
        """Write the night as it is.

        Returns
        -------
        written : int
            How many alerts were written.
        expected : dict
            `hashes` of the keys they have, by table.
        tally : Tally
            What those alerts come to that the job had taken in.
        """
        known, late = self._files(job.science)
        written, tally = 0, Tally()
        expected: dict[str, list[Numbers]] = {table.suffix: [] for table in IN_TIME}
        counted = ((True, part) for part in self._parts(known))
        uncounted = ((False, part) for part in self._parts(late))
        every = (each for some in (counted, uncounted) for each in some)
        total = sum(file.rows for file in [*known, *late])
        for counts, part in shown(every, lambda each: len(each[1].alerts), total, f"{self._night} to HBase", console):
            rows = database_rows(part.alerts, part.places)
            self._write_rows(rows)
            written += rows.count
            for table_rows in rows.tables:
                if table_rows.suffix in expected:
                    expected[table_rows.suffix].append(hashes(key for key, _ in table_rows.rows))
            if counts:
                tally = sum((Tally.of(alerts) for alerts in rows.alerts), tally)
            for refused in rows.refused:
                log.warning("alert %s of %s cannot be archived: %s", refused.candid, refused.place, refused.reason)
        return written, {suffix: joined(parts) for suffix, parts in expected.items()}, tally

    def _parts(self, files: Iterable[DataFile]) -> Iterator[Part]:
        return gathered((part for file in files for part in parts_of(self._science, file)), ROWS_AT_ONCE)

    def _write_rows(self, rows: Rows) -> None:
        """Write some alerts, and remove what they had before and have no longer."""
        for alerts in rows.alerts:
            self._remove_outdated(alerts)
        write(self._archive, rows)
        latest = {
            key: row[cells.ALERT_CELL]
            for part in rows.tables
            if part.suffix == POSITION.suffix
            for key, row in part.rows
        }
        self._positions.mend(latest, rows.schemas)

    def _remove_outdated(self, alerts: pa.Table) -> None:
        """Remove index rows that alerts had and have no longer, such as those of a class they were in."""
        found = self._archive.store.get(self._archive.name(""), main_keys(alerts), [cells.ALERT_CELL])
        before, good = readable([row[cells.ALERT_CELL] for row in found if row], self._archive.schemas.read)
        if not good:
            return
        now = index_keys(alerts)
        for suffix, old in index_keys(before).items():
            if suffix != POSITION.suffix:  # others share it: it is looked at once all are written
                self._delete(suffix, sorted(set(old) - set(now[suffix])))

    def _remove_lost(self, before: dict[str, Numbers], expected: dict[str, Numbers]) -> int:
        """Remove what the science table does not have, of that which was there before; return how many alerts."""
        removed = 0
        for lost in self._unexpected(BY_TIME.suffix, before, expected):
            self._remove(lost)
            removed += len(lost)
        for suffix in expected:
            for left_over in self._unexpected(suffix, before, expected):
                self._delete(suffix, [key for key, _ in left_over])
        return removed

    def _unexpected(self, suffix: str, before: dict[str, Numbers], expected: dict[str, Numbers]) -> Iterator[list[Row]]:
        (table,) = (table for table in IN_TIME if table.suffix == suffix)
        return unexpected(self._there.rows(table), lambda row: row[0], expected[suffix], before[suffix])

    def _remove(self, lost: list[Row]) -> None:
        """Remove alerts: the row by time last, so that a removal that is cut short is found again and goes on."""
        main = [main_key(key) for key, _ in lost]
        found = self._archive.store.get(self._archive.name(""), main, [cells.ALERT_CELL])
        candids = frozenset(candid_of(key) for key, _ in lost)
        # the row by time has all the columns that keys are made of
        for packed in ([row[cells.ALERT_CELL] for row in found if row], [row[cells.ALERT_CELL] for _, row in lost]):
            alerts, good = readable(packed, self._archive.schemas.read)
            for suffix, outdated in (index_keys(alerts) if good else {}).items():
                if suffix == POSITION.suffix:
                    self._positions.mend(dict.fromkeys(outdated), lost=candids)
                elif suffix != BY_TIME.suffix:
                    self._delete(suffix, outdated)
        self._delete("", main)
        self._delete(BY_TIME.suffix, [key for key, _ in lost])

    def _delete(self, suffix: str, row_keys: list[bytes]) -> None:
        if row_keys:
            self._archive.store.delete(self._archive.name(suffix), row_keys)


def shown(items: Iterable[T], size: Callable[[T], int], total: int, text: str, console: Console | None) -> Iterator[T]:
    """Give items, and show how many of all their alerts have been."""
    if console is None or not console.is_terminal:
        yield from items
        return
    with Progress(*Progress.get_default_columns(), console=console, transient=True) as progress:
        task = progress.add_task(text, total=total)
        for item in items:
            yield item
            progress.advance(task, size(item))
