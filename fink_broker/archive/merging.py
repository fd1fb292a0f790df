"""Merging a night: its many small files become few sorted ones, in bounded memory, while others read and write.

1. Every file is looked at once: its schema, the objectIds, and what a column to be added is found from.
2. Alerts are put on piles by objectId, each of about the size a file is to have; piles that do not fit in memory go to
   disk (`buckets`).
3. Pile by pile is sorted by objectId, time and candid, and written (`night_writer`).
4. The files get their names, those of before are listed to go (`retiring`), and the list of the night is replaced
   (`merged_night`): from here on readers see the merged files.

A kill at any instant before the last leaves the night as it was. Files whose schemas cannot be brought together without
losing a value are merged apart.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive.additions import Addition
from fink_broker.archive.buckets import Buckets, Keys, bounds_of, keys_of
from fink_broker.archive.commits import DataFile
from fink_broker.archive.merged_night import MergedNight
from fink_broker.archive.night_writer import MERGING, NightWriter
from fink_broker.archive.reading import leaves, read_rows, undamaged
from fink_broker.archive.relisting import forget_unfinished
from fink_broker.archive.table import AlertTable
from fink_broker.archive.uniting import conform, families, family_of
from fink_broker.config.paths import free_gib
from fink_broker.errors import DataError, ServiceError

MIB = 1024**2
#: Told how many rows of how many are done.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """A file of a night, and the commit it came with; empty for one that is merged already."""

    file: DataFile
    batch: str


def due(table: AlertTable, night: str, until: int) -> list[Source]:
    """Return what a night would be merged from; nothing if it is merged and no commit came since.

    Parameters
    ----------
    table : AlertTable
        The table.
    night : str
        Observing night, ``YYYYMMDD``.
    until : int
        Only commits of a number below are merged.
    """
    merged = table.merged.read(night)
    first = merged.until if merged else 0
    found = table.log.touching(lambda number, name: name == night and number < until, first)
    late = [Source(file, commit.id) for _, commit in found for file in commit.files if file.partition == night]
    before = [Source(file, "") for file in merged.data_files()] if merged and late else []
    return [*before, *late]


def merge_night(
    table: AlertTable,
    night: str,
    until: int,
    additions: Sequence[Addition] = (),
    *,
    file_mib: int = 128,
    least_free_gib: float = 0.0,
    progress: Progress = lambda _done, _all: None,
) -> MergedNight | None:
    """Merge a night; return what it consists of now, None if there was nothing to do.

    Parameters
    ----------
    table : AlertTable
        The table.
    night : str
        Observing night, ``YYYYMMDD``.
    until : int
        Only commits of a number below are merged: later jobs still need the files of others (`following`).
    additions : sequence of Addition
        Columns that are added.
    file_mib : int
        Size a file is to have, in MiB.
    least_free_gib : float
        Free space in GiB that must be left on the disk.
    progress : callable
        Told how far it is.

    Raises
    ------
    UsageError
        If another process merges the table.
    ServiceError
        If there is no room.
    DataError
        If a file cannot be read; the night stays as it was.
    """
    with table.merged.alone(), writing(table, night):
        sources = due(table, night, until)
        if not sources:
            return None
        clear_leftovers(table, night)
        total = sum(source.file.rows for source in sources)
        check_room(table, sum(source.file.bytes for source in sources), least_free_gib)
        with NightWriter(table, night) as writer, scratch(table, night) as folder:
            reader = _Reader(table, additions, total, progress)
            schemas, keys = reader.look(sources)
            buckets = Buckets(folder, bounds_of(keys, piles(sum(source.file.bytes for source in sources), file_mib)))
            reader.fill(buckets, sources)
            for number in range(len(buckets)):
                for rows in united_pile(buckets.take(number), schemas):
                    writer.write(rows)
                    reader.advance(len(rows))
                    del rows  # before the next pile is read
            return writer.publish(until, total, **_told(additions))


class _Reader:
    """Reads the files of a night: once to know them, once for their alerts."""

    def __init__(self, table: AlertTable, additions: Sequence[Addition], total: int, progress: Progress) -> None:
        self._table, self._additions = table, additions
        self._done, self._steps, self._progress = 0, 2 * total, progress

    def advance(self, rows: int) -> None:
        self._done += rows
        self._progress(self._done, self._steps)

    def look(self, sources: Sequence[Source]) -> tuple[list[pa.Schema], Keys]:
        """Return the schemas to which all alerts can be brought, and the keys of all."""
        found: list[pa.Schema] = []
        keys: list[Keys] = []
        for source in sources:
            schema, of_file = self._look_at(source)
            found = families([*found, schema])
            keys += of_file
        return found, np.concatenate(keys)

    def fill(self, buckets: Buckets, sources: Sequence[Source]) -> None:
        """Put all alerts on piles."""
        for source in sources:
            for rows in self._rows(source.file):
                buckets.add(self._added(rows, source.batch))
                self.advance(len(rows))

    def _rows(self, file: DataFile) -> Iterator[pa.Table]:
        with reading(self._table, file):
            yield from read_rows(self._table, file)

    def _look_at(self, source: Source) -> tuple[pa.Schema, list[Keys]]:
        keys = []
        wanted = ["objectId", *(path for addition in self._additions for path in addition.reads)]
        with reading(self._table, source.file), self._table.storage.open(source.file.path) as stream:
            parquet = pq.ParquetFile(stream, pre_buffer=False)
            schema = parquet.schema_arrow.remove_metadata()
            for batch in parquet.iter_batches(8192, columns=leaves(parquet, wanted), use_threads=False):
                rows = pa.Table.from_batches([batch])
                keys.append(keys_of(rows))
                for addition in self._additions:
                    addition.look(rows)
        for addition in self._additions:
            schema = _with_field(schema, addition)
        return schema, keys

    def _added(self, rows: pa.Table, batch: str) -> pa.Table:
        for addition in self._additions:
            rows = addition.add(rows, batch)
        return rows


def piles(total_bytes: int, file_mib: int) -> int:
    """Return how many files of a size in MiB some bytes make."""
    return max(1, round(total_bytes / (file_mib * MIB)))


def united_pile(parts: list[pa.Table], schemas: Sequence[pa.Schema]) -> Iterator[pa.Table]:
    """Give the alerts of a pile, one table for each schema to which some of them can be brought.

    Parameters
    ----------
    parts : list of pyarrow.Table
        The pile; the list is emptied, so that no alert is in memory twice.
    schemas : sequence of pyarrow.Schema
        From `fink_broker.archive.uniting.families`, of all alerts there are.
    """
    groups: dict[int, list[pa.Table]] = {}
    while parts:
        rows = parts.pop(0)
        place = family_of(rows.schema, schemas)
        groups.setdefault(place, []).append(conform(rows, schemas[place]))
        del rows
    for place in sorted(groups):
        yield pa.concat_tables(groups.pop(place)).combine_chunks()


@contextmanager
def scratch(table: AlertTable, night: str) -> Iterator[Path]:
    """Give an empty folder on a local disk, that of the table where it is local; it goes with all in it.

    No other has its name: a process that outlives a merge or a reprocessing that was killed does not write there.
    """
    if not table.storage.is_local:
        with tempfile.TemporaryDirectory(prefix="fink-merge-") as name:
            yield Path(name)
        return
    folder = Path(table.storage.root, MERGING, f"{night}-piles-{uuid.uuid4().hex[:12]}")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def reading(table: AlertTable, file: DataFile) -> Iterator[None]:
    """Tell of a file that cannot be read in a sentence.

    Raises
    ------
    DataError
        If it is gone, or damaged.
    """
    try:
        with undamaged(table, file):
            yield
    except FileNotFoundError as error:
        raise DataError(
            f"The file {table.storage.uri(file.path)} is gone.",
            f"The night stays as it was; `fink archive check --night {file.partition} --repair` mends what can be.",
        ) from error


@contextmanager
def writing(table: AlertTable, night: str) -> Iterator[None]:
    """Tell in a sentence why files of a night cannot be written; what cannot be read is told by who reads it.

    Raises
    ------
    ServiceError
        If what is done in the block cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"Files of the night {night} could not be written below {table.storage.location}: "
            f"{' '.join(str(error).split())[:200]}.",
            "The night stays as it was; is there room on the disk?",
        ) from error


def clear_leftovers(table: AlertTable, night: str) -> None:
    """Remove what a merge or a reprocessing that was killed has left of a night; no other may be running."""
    forget_unfinished(table, night)
    for name in table.storage.folders(MERGING):
        if table.storage.is_local or name.startswith(night):  # elsewhere nothing tells whether another night is merged
            with contextlib.suppress(OSError):  # a process of its that is about to end may still write there
                table.storage.remove_folder(f"{MERGING}/{name}")


def check_room(table: AlertTable, needed_bytes: int, least_free_gib: float) -> None:
    """Check that a night fits on the disk once more, and its piles.

    Raises
    ------
    ServiceError
        If it does not.
    """
    free = free_gib(table.storage.location)
    needed = 2.5 * needed_bytes / 1024**3
    if free is not None and free - needed < least_free_gib:
        raise ServiceError(
            f"There are {free:.1f} GiB free on the disk of {table.storage.location}, and {needed:.1f} are needed "
            f"beside the {least_free_gib:g} that stay free (storage.min_free_gib).",
            "Make room, for instance with `fink clean`.",
        )


def _with_field(schema: pa.Schema, addition: Addition) -> pa.Schema:
    return addition.add(schema.empty_table(), "-").schema


def _told(additions: Sequence[Addition]) -> dict[str, int]:
    """Return what the columns that were added tell of the night."""
    return {name: number for addition in additions for name, number in addition.told().items()}
