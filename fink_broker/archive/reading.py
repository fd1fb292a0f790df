"""Reading tables of alerts with Arrow: only the columns wanted, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive.commits import Commit, DataFile
from fink_broker.archive.table import AlertTable


def files_of_night(table: AlertTable, night: str) -> list[DataFile]:
    """Return the files of an observing night (``YYYYMMDD``), in the order in which they were committed."""
    return [file for commit in table.log.read_all() for file in commit.files if file.partition == night]


def files_of(commits: Iterable[Commit]) -> list[DataFile]:
    """Return the files of some commits, in their order."""
    return [file for commit in commits for file in commit.files]


def read_rows(
    table: AlertTable, file: DataFile, paths: Sequence[str] | None = None, rows: int = 512
) -> Iterator[pa.Table]:
    """Give the rows of one file in order, some at a time.

    Parameters
    ----------
    table : AlertTable
        The table.
    file : DataFile
        One of its files.
    paths : sequence of str, optional
        Columns wanted, fields of structs and of lists of structs with a dot (``prv_candidates.magpsf``); those the
        file lacks are left out. Default: all.
    rows : int
        At most so many rows at a time: a whole alert is 70 kB.
    """
    with table.storage.files.open_input_file(f"{table.storage.root}/{file.path}") as stream:
        parquet = pq.ParquetFile(stream, pre_buffer=False)
        columns = None if paths is None else leaves(parquet, paths)
        for batch in parquet.iter_batches(batch_size=rows, columns=columns, use_threads=False):
            yield pa.Table.from_batches([batch])


def leaves(parquet: pq.ParquetFile, paths: Sequence[str]) -> list[str]:
    """Return the Parquet leaf columns that hold some paths."""
    wanted = set(paths)
    found = []
    for number in range(len(parquet.schema)):
        leaf = parquet.schema.column(number).path
        path = ".".join(part for part in leaf.split(".") if part not in ("list", "element", "key_value"))
        name, _, rest = path.partition(".")
        if name in wanted or f"{name}.{rest.partition('.')[0]}" in wanted:
            found.append(leaf)
    return found
