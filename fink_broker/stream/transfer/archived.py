"""The archived alerts of some nights: files in the order of their commits, and the one schema they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, DataFile
from fink_broker.archive.additions import flattened
from fink_broker.archive.reading import files_of_night, nights_of, read_rows, stored_files, undamaged
from fink_broker.errors import DataError, UsageError
from fink_broker.science import tracklets
from fink_broker.stream.transfer.schemas import JoinedSchema
from fink_broker.stream.transfer.selection import Selection

#: Rows at a time: a whole alert is 70 kB.
ROWS = 512
#: Rows at a time where only some numbers of each are read.
THIN_ROWS = 8192


class Archived:
    """What the science table holds of the nights of a selection.

    Parameters
    ----------
    table : AlertTable
        The science table.
    selection : Selection
        Whose nights are meant.

    Attributes
    ----------
    files : list of DataFile
        Night by night; of a night the merged ones, then others in the order in which they were committed.
    joined : JoinedSchema
        The schema their rows can be brought to.

    Raises
    ------
    UsageError
        If there is nothing of these nights.
    """

    def __init__(self, table: AlertTable, selection: Selection) -> None:
        self.table = table
        found = stored_files(table, selection.holds)
        if not found:
            nights = {night for night in nights_of(table) if files_of_night(table, night)}
            raise UsageError(f"The archive has no alerts of the {_nights(selection)}.", _what_there_is(nights))
        self.files = [file for file, _ in found]
        #: a file for each schema with which files were written
        examples: dict[str, DataFile] = {}
        for file, schema in found:
            examples.setdefault(schema, file)
        self.joined = JoinedSchema(_schema(table, file) for file in examples.values())

    def classes(self, column: str, most_files: int = 20) -> list[str]:
        """Return values of a column of classes, as some of the files have them."""
        step = max(1, len(self.files) // most_files)
        values: set[str] = set()
        for file in self.files[::step]:
            for rows in read_file(self.table, file, [column], THIN_ROWS):
                if column in rows.column_names:
                    values.update(pc.unique(rows[column].cast(pa.string()).drop_null()).to_pylist())
        return sorted(values)


def read_file(table: AlertTable, file: DataFile, paths: Sequence[str] | None, rows: int) -> Iterator[pa.Table]:
    """Give rows of a file of the archive.

    Raises
    ------
    DataError
        If it is gone, or no longer what it was.
    """
    with _told(file):
        yield from read_rows(table, file, [*paths, "candid"] if paths is not None else None, rows)


def tracklets_of(table: AlertTable, files: Sequence[DataFile]) -> dict[int, str]:
    """Return the names of the tracklets of one night, by the candid of the alerts in them.

    Parameters
    ----------
    table : AlertTable
        The science table.
    files : sequence of DataFile
        All files of that night.
    """
    paths = [f"candidate.{name}" for name in tracklets.COLUMNS if name != "candid"]
    pieces = [flattened(rows) for file in files for rows in read_file(table, file, paths, THIN_ROWS)]
    alerts = pa.concat_tables([piece for piece in pieces if piece is not None] or [pa.table({})])
    if len(alerts) == 0:
        return {}
    found = tracklets.find_tracklets(alerts)
    marked = pc.not_equal(found, "")
    candids = alerts["candid"].filter(marked).to_pylist()
    return dict(zip(candids, found.filter(marked).to_pylist(), strict=True))


def _schema(table: AlertTable, file: DataFile) -> pa.Schema:
    with _told(file), undamaged(table, file), table.storage.open(file.path) as stream:
        return pq.read_schema(stream).remove_metadata()


@contextmanager
def _told(file: DataFile) -> Iterator[None]:
    """Tell what to do about a file of the science table that is gone.

    Raises
    ------
    DataError
        If it is: it was merged with others since the transfer was planned, or it is lost.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(
            f"The file {file.path} of the science table is gone: it was merged, or removed, meanwhile.",
            "Begin the transfer anew: take another --topic, or --remove this one first; nothing of the file was sent.",
        ) from error


def _nights(selection: Selection) -> str:
    first, last = selection.start, selection.stop
    return f"night {first}" if first == last else f"nights {first} to {last}"


def _what_there_is(nights: set[str]) -> str:
    if not nights:
        return "It is empty: `fink start raw2science` fills it."
    return f"It has those of {min(nights)} to {max(nights)}."
