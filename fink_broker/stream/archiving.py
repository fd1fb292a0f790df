"""Whole nights in HBase: written anew after they changed in Parquet, and told alert by alert for comparison."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress

from fink_broker.alert.survey import JD_UNIX_EPOCH, SURVEYS, Survey
from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.hbase import cells, keys
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.packed import unpack
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import database_rows, index_keys, index_rows
from fink_broker.archive.hbase.statistics import NightStatistics, Tally
from fink_broker.archive.hbase.store import Cells
from fink_broker.archive.hbase.tables import POSITION, main_keys, versions
from fink_broker.archive.hbase.writing import create_tables, write
from fink_broker.archive.reading import files_of_night
from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.stream.archive_reading import Part, gathered, parts_of

log = logging.getLogger(__name__)

#: Alerts compared and written at once.
ALERTS_AT_ONCE = 2000
#: Lists of a night's files that are tried, if files go while they are read.
_TRIES = 5
#: The table every alert is in, by time.
_BY_TIME = "jd"

#: objectId, jd (days) and candid of an alert.
Identity = tuple[str, float, int]
#: The key of an alert in the table by time, and jd, objectId and candid as it has them.
Filed = tuple[bytes, str, str, str]


def rewrite_night(config: Config, night: str, console: Console | None = None, archive: Archive | None = None) -> int:
    """Write a night to HBase as it is in the science table now; return how many alerts were written.

    Index rows that no longer hold are removed, and so are alerts the science table does not have any more. It can be
    cut short at any instant and done again. Memory does not grow with the night, but for 8 bytes an alert.

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

    Raises
    ------
    ArchiveAway
        If HBase does not answer.
    DataError
        If files of the night cannot be read.
    """
    with _opened(config, archive) as opened:
        return _Rewriting(config, night, opened).run(console)


def hbase_candids(config: Config, night: str, archive: Archive | None = None) -> Iterator[Identity]:
    """Give objectId, jd (days, to 1e-7) and candid of every alert of a night that HBase has, in no order.

    An alert counts if its main row is there.

    Raises
    ------
    ArchiveAway
        If HBase does not answer.
    """
    with _opened(config, archive) as opened:
        for chunk in _chunks(_filed(opened, night, SURVEYS[config.survey]), ALERTS_AT_ONCE):
            found = opened.store.get(opened.name(""), [_main_key(each) for each in chunk], [cells.CUTOUT_CELL])
            for (_, jd, object_id, candid), row in zip(chunk, found, strict=True):
                if row:
                    yield object_id, float(jd), int(candid)


@contextmanager
def _opened(config: Config, archive: Archive | None) -> Iterator[Archive]:
    """Give the archive, and close it if it was opened for this."""
    if archive is not None:
        yield archive
        return
    opened = open_archive(config)
    try:
        yield opened
    finally:
        opened.store.close()


class _Rewriting:
    """One night being written anew."""

    def __init__(self, config: Config, night: str, archive: Archive) -> None:
        layout = Layout(config.storage.online)
        self._night, self._archive, self._survey = night, archive, SURVEYS[config.survey]
        self._raw, self._science, self._archived = (
            AlertTable(layout.table(name)) for name in ("raw", "science", "archived")
        )

    def run(self, console: Console | None) -> int:
        """Write what there is, remove what there was, set the record of the night."""
        create_tables(self._archive)
        for _ in range(_TRIES):
            try:
                written, tally = self._write(console)
                break
            except FileNotFoundError:  # merged meanwhile
                log.info("files of night %s were replaced while they were read", self._night)
        else:
            raise DataError(
                f"Files of night {self._night} are gone.", f"`fink archive check --night {self._night}` tells which."
            )
        gone = self._remove_lost(np.sort(written))
        received = sum(file.rows for file in files_of_night(self._raw, self._night))
        total = (tally + Tally.received(received)).as_whole()
        NightStatistics(self._archived, self._archive).replace(self._night, total)
        log.info("night %s: %s alerts written, %s removed", self._night, len(written), gone)
        return len(written)

    def _write(self, console: Console | None) -> tuple[np.ndarray, Tally]:
        """Write the night as it is; return the candids, and what they come to."""
        files = files_of_night(self._science, self._night)
        candids, tally = [np.empty(0, np.int64)], Tally()
        parts = (part for file in files for part in parts_of(self._science, file))
        for part in _shown(gathered(parts, ALERTS_AT_ONCE), sum(file.rows for file in files), self._night, console):
            rows = database_rows(part.alerts, part.places)
            for alerts in rows.alerts:
                self._remove_outdated(alerts)
                candids.append(alerts["i:candid"].to_numpy())
                tally += Tally.of(alerts)
            for refused in rows.refused:
                log.warning("alert %s of %s cannot be archived: %s", refused.candid, refused.place, refused.reason)
            write(self._archive, rows)
        return np.concatenate(candids), tally

    def _remove_outdated(self, alerts: pa.Table) -> None:
        """Remove index rows that alerts had and have no longer, such as those of a class they were in."""
        store = self._archive.store
        before = self._stored(main_keys(alerts))
        if before is None:
            return
        now = index_keys(alerts)
        for suffix, old in index_keys(before).items():
            outdated = sorted(set(old) - set(now[suffix]))
            if outdated and suffix != POSITION.suffix:  # where an alert is does not change, and others share it
                store.delete(self._archive.name(suffix), outdated)

    def _stored(self, main: list[bytes]) -> pa.Table | None:
        """Return the alerts of some keys as HBase has them, None if it has none of them."""
        found = self._archive.store.get(self._archive.name(""), main, [cells.ALERT_CELL])
        rows = [row[cells.ALERT_CELL] for row in found if row]
        try:
            return unpack(rows, self._archive.schemas.read) if rows else None
        except DataError as error:
            log.warning("alerts in HBase cannot be read, and are replaced: %s", error)
            return None

    def _remove_lost(self, kept: np.ndarray) -> int:
        """Remove alerts of the night that the science table does not have; return how many."""
        removed = 0
        for chunk in _chunks(_filed(self._archive, self._night, self._survey), ALERTS_AT_ONCE):
            candids = np.array([int(entry[-1]) for entry in chunk], dtype=np.int64)
            lost = [entry for entry, known in zip(chunk, np.isin(candids, kept), strict=True) if not known]
            if lost:
                self._remove(lost)
                removed += len(lost)
        return removed

    def _remove(self, lost: list[Filed]) -> None:
        store, main = self._archive.store, [_main_key(entry) for entry in lost]
        before = self._stored(main)
        store.delete(self._archive.name(""), main)
        if before is not None:
            for suffix, outdated in index_keys(before).items():
                if outdated and suffix != POSITION.suffix:
                    store.delete(self._archive.name(suffix), outdated)
            self._uncover(before)
        store.delete(self._archive.name(_BY_TIME), [entry[0] for entry in lost])

    def _uncover(self, lost: pa.Table) -> None:
        """Put the latest alert that is left where a lost one is the latest of its object; where none is left, nothing.

        What is put, or the removal, gets the version of the lost alert, so that whatever is newer stays. A row that has
        stood in for a lost alert before is of a later version than its own: it is replaced as of now.
        """
        lost = lost.filter(pa.array(POSITION.takes(lost)))
        if not len(lost):
            return
        left = self._archive.alerts(sorted(set(lost["i:objectId"].to_pylist())))
        latest = self._latest(left.filter(pa.array(POSITION.takes(left)))) if len(left) else {}
        newest: dict[bytes, int] = {}
        for key, version in zip(POSITION.keys(lost), versions(lost).tolist(), strict=True):
            newest[key] = max(version, newest.get(key, 0))
        for key, version in newest.items():
            self._set_position(key, latest.get(key), version)
        candids = set(lost["i:candid"].to_pylist())
        for key, candid in self._positions(list(newest)).items():
            if candid in candids:
                self._set_position(key, latest.get(key), None)

    def _set_position(self, key: bytes, row: Cells | None, version: int | None) -> None:
        table = self._archive.name(POSITION.suffix)
        if row is None:
            self._archive.store.delete(table, [key], version)
        else:
            self._archive.store.put(table, [(key, row)], version)

    def _positions(self, position_keys: list[bytes]) -> dict[bytes, int]:
        """Return the candid of the alert in each row of the table of positions that is there."""
        found = self._archive.store.get(self._archive.name(POSITION.suffix), position_keys, [cells.ALERT_CELL])
        there = {key: row[cells.ALERT_CELL] for key, row in zip(position_keys, found, strict=True) if row}
        if not there:
            return {}
        candids = unpack(list(there.values()), self._archive.schemas.read, ["i:candid"])["i:candid"].to_pylist()
        return dict(zip(there, candids, strict=True))

    def _latest(self, alerts: pa.Table) -> dict[bytes, Cells]:
        """Return the rows alerts have in the table of positions, by key."""
        schemas: dict[str, pa.Schema] = {}
        parts = index_rows(POSITION, alerts, schemas)
        for schema in schemas.values():
            self._archive.schemas.keep(schema)
        return {key: row for part in parts for key, row in part.rows}


def _filed(archive: Archive, night: str, survey: Survey) -> Iterator[Filed]:
    """Give key, jd, objectId and candid of every alert of a night in the table by time, as texts."""
    start = datetime.strptime(night, "%Y%m%d").replace(tzinfo=UTC).timestamp() / 86400.0 + JD_UNIX_EPOCH
    first = start - survey.night_offset_days
    for salted in keys.time_ranges(None, first, first + 1.0):
        for key, _ in archive.store.scan(archive.name(_BY_TIME), salted, [cells.ALERT_CELL]):
            _, jd, object_id, candid = keys.split_key(key)
            if float(jd) < first + 1.0:
                yield key, jd, object_id, candid


def _main_key(filed: Filed) -> bytes:
    _, jd, object_id, candid = filed
    return f"{keys.part(object_id)}_{jd}_{candid}".encode()


def _chunks(items: Iterable[Filed], number: int) -> Iterator[list[Filed]]:
    each = iter(items)
    while chunk := list(islice(each, number)):
        yield chunk


def _shown(parts: Iterable[Part], rows: int, night: str, console: Console | None) -> Iterator[Part]:
    """Give parts, and show how many alerts have been."""
    if console is None:
        yield from parts
        return
    with Progress(*Progress.get_default_columns(), console=console, transient=True) as progress:
        task = progress.add_task(f"{night} to HBase", total=rows)
        for part in parts:
            yield part
            progress.advance(task, len(part.alerts))
