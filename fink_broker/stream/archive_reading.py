"""What the archive reads of the science table: parts of as many alerts as are written at once, and where each lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, DataFile
from fink_broker.archive.hbase.rows import places, wanted
from fink_broker.archive.reading import leaves, undamaged

#: Rows read at once: of an alert without images little is left.
READ_ROWS = 512
#: When the alert came into Kafka.
ARRIVAL = "origin.timestamp"


@dataclass(frozen=True)
class Part:
    """Some alerts.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the science table, of the columns the archive needs.
    places : pyarrow.Array
        File and row of each.
    merged : bool
        Whether they come from a merged night in the place of the files of batches.
    """

    alerts: pa.Table
    places: pa.Array
    merged: bool = False


def parts_of(table: AlertTable, file: DataFile, *, merged: bool = False) -> Iterator[Part]:
    """Give the alerts of a file of the science table, in order.

    Raises
    ------
    DataError
        If the file is damaged.
    FileNotFoundError
        If it is gone: it may have been merged.
    """
    with undamaged(table, file), table.storage.open(file.path) as stream:
        parquet = pq.ParquetFile(stream, pre_buffer=False)
        columns = leaves(parquet, [*wanted(parquet.schema_arrow), ARRIVAL])
        first = 0
        for batch in parquet.iter_batches(batch_size=READ_ROWS, columns=columns, use_threads=False):
            yield Part(pa.Table.from_batches([batch]), places(file.path, first, len(batch)), merged)
            first += len(batch)


def gathered(parts: Iterable[Part], rows: int) -> Iterator[Part]:
    """Give the same alerts in parts of about as many rows, each of one schema; files of a small batch hold a few."""
    waiting: list[Part] = []
    for part in parts:
        full = sum(len(each.alerts) for each in waiting) >= rows
        if waiting and (full or not _alike(waiting[0], part)):
            yield _joined(waiting)
            waiting = []
        waiting.append(part)
    if waiting:
        yield _joined(waiting)


def _alike(one: Part, other: Part) -> bool:
    return one.merged == other.merged and bool(one.alerts.schema.equals(other.alerts.schema))


def _joined(parts: list[Part]) -> Part:
    alerts, where = [part.alerts for part in parts], [part.places for part in parts]
    return Part(pa.concat_tables(alerts), pa.concat_arrays(where), parts[0].merged)
