"""Reading tables of alerts with Arrow: only the columns wanted, a bounded number of rows at a time.

A night is read through `files_of_night` or `read_night`, which know whether it is merged; a batch through the files its
commit names, which are there as long as a job has not taken it in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.archive.commits import Commit, DataFile
from fink_broker.archive.table import AlertTable
from fink_broker.errors import DataError

_NIGHT_FOLDER = "night="


def files_of_night(table: AlertTable, night: str) -> list[DataFile]:
    """Return the files of an observing night (``YYYYMMDD``): the merged ones, then others in the order of commits."""
    return [file for file, _ in stored_files(table, night.__eq__, [night])]


def files_below(table: AlertTable, night: str, until: int) -> list[DataFile]:
    """Return the files of an observing night, but for those of commits from a number on."""
    return [file for file, _ in stored_files(table, night.__eq__, [night], until)]


def stored_files(
    table: AlertTable, wanted: Callable[[str], bool], nights: Sequence[str] | None = None, below: int | None = None
) -> list[tuple[DataFile, str]]:
    """Return the files of some nights, each with a name of its schema: files of one name have one schema.

    Parameters
    ----------
    table : AlertTable
        The table.
    wanted : callable
        Told a night; whether its files are wanted.
    nights : sequence of str, optional
        The nights that are wanted, if known: commits before these were merged are not looked at.
    below : int, optional
        Number of the first commit whose files are left out.

    Returns
    -------
    list of tuple of DataFile and str
        Night by night; of each the merged files by objectId, then the others in the order of their commits.
    """
    found: dict[str, list[tuple[DataFile, str]]] = {}
    until: dict[str, int] = {}
    for night in table.merged.names() if nights is None else nights:
        merged = table.merged.read(night) if wanted(night) else None
        if merged is not None:
            until[night] = merged.until
            found[night] = [(file, file.path) for file in merged.data_files()]
    first = min((until.get(night, 0) for night in nights), default=0) if nights is not None else 0

    def is_current(number: int, night: str) -> bool:
        return wanted(night) and number >= until.get(night, 0) and (below is None or number < below)

    for number, commit in table.log.touching(is_current, first):
        for file in commit.files:
            if is_current(number, file.partition):
                schema = str(commit.details.get("schema") or file.path)
                found.setdefault(file.partition, []).append((file, schema))
    return [entry for night in sorted(found) for entry in found[night]]


def nights_of(table: AlertTable) -> list[str]:
    """Return the observing nights of which a table has folders, the oldest first."""
    folders = table.storage.folders("")
    return [name.removeprefix(_NIGHT_FOLDER) for name in folders if name.startswith(_NIGHT_FOLDER)]


def files_of(commits: Iterable[Commit]) -> list[DataFile]:
    """Return the files of some commits, in their order."""
    return [file for commit in commits for file in commit.files]


def read_night(
    table: AlertTable, night: str, paths: Sequence[str] | None = None, rows: int = 512
) -> Iterator[pa.Table]:
    """Give the rows of a night, some at a time, each once, also while the night is merged.

    Parameters
    ----------
    table : AlertTable
        The table.
    night : str
        Observing night, ``YYYYMMDD``.
    paths : sequence of str, optional
        Columns wanted, as in `read_rows`; ``candid`` always comes along. Default: all.
    rows : int
        At most so many rows at a time.

    Raises
    ------
    DataError
        If a file is gone, and does not come back as part of a merged night.
    """
    wanted = None if paths is None else list(dict.fromkeys([*paths, "candid"]))
    files, given = files_of_night(table, night), _Given()
    while files:
        try:
            for part in read_rows(table, files[0], wanted, rows):
                fresh = given.new(part)
                if len(fresh):
                    yield fresh
            files = files[1:]
        except FileNotFoundError as error:
            now = files_of_night(table, night)
            if files[0] in now:
                raise DataError(
                    f"The file {table.storage.uri(files[0].path)} is gone.",
                    f"`fink archive check --night {night}` tells what else is.",
                ) from error
            files = now
            given.begin_again()


class _Given:
    """Which alerts a reader has been given, to leave them out when it must begin again on other files."""

    def __init__(self) -> None:
        self._now: list[np.ndarray] = []
        self._before = np.empty(0, np.int64)

    def new(self, rows: pa.Table) -> pa.Table:
        if "candid" not in rows.column_names:
            return rows
        candids = pc.fill_null(rows["candid"], 0).to_numpy().astype(np.int64)
        self._now.append(candids)
        return rows.filter(pa.array(~np.isin(candids, self._before))) if len(self._before) else rows

    def begin_again(self) -> None:
        self._before = np.unique(np.concatenate([self._before, *self._now]))
        self._now = []


def read_rows(
    table: AlertTable, file: DataFile, paths: Sequence[str] | None = None, rows: int = 512, *, verify: bool = False
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
    verify : bool
        Whether to hold what is read against the checksums in the file, which merged ones have.

    Raises
    ------
    DataError
        If the file is damaged.
    FileNotFoundError
        If it is gone: it may have been merged.
    """
    with undamaged(table, file), table.storage.open(file.path) as stream:
        parquet = pq.ParquetFile(stream, pre_buffer=False, page_checksum_verification=verify)
        columns = None if paths is None else leaves(parquet, paths)
        for batch in parquet.iter_batches(batch_size=rows, columns=columns, use_threads=False):
            yield pa.Table.from_batches([batch])


def undamaged(table: AlertTable, file: DataFile) -> AbstractContextManager[None]:
    """Tell of a file of a table that is damaged in a sentence (see `readable`)."""
    return readable(
        f"The file {table.storage.uri(file.path)}",
        f"Put it back from a copy; `fink archive check --night {file.partition}` tells what else is damaged.",
    )


@contextmanager
def readable(what: str, way_out: str) -> Iterator[None]:
    """Tell of a damaged file in a sentence.

    Parameters
    ----------
    what : str
        The file, as the sentence begins.
    way_out : str
        What the operator can do.

    Raises
    ------
    DataError
        If what is done in the block finds that it cannot be read.
    FileNotFoundError
        If it is gone.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{what} cannot be read: {' '.join(str(error).split())[:200]}.", way_out) from error


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
