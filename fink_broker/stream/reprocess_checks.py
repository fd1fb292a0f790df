"""What is looked at before a night is reprocessed: that later jobs have it, and that nothing would be lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from fink_broker.archive import AlertTable, DataFile, Layout
from fink_broker.archive.following import settled, taken
from fink_broker.archive.merging import reading
from fink_broker.archive.night_writer import committed_paths
from fink_broker.archive.reading import files_of_night, nights_of, read_rows
from fink_broker.errors import UsageError

#: Rows at a time where only some columns are read.
_ROWS = 8192


def end_of_science(layout: Layout, raw: AlertTable, science: AlertTable, night: str) -> tuple[int, int]:
    """Return up to which number there are science commits, and which raw ones these have taken in.

    Raises
    ------
    UsageError
        If alerts of the night have not been taken in by a later job.
    """
    while True:
        end, taken_in = science.log.end(), taken(raw, science)
        until, last = settled(layout, "science")
        if science.log.end() == end:  # else a batch came while we looked
            break
    if committed_paths(science, night, max(until, science.merged.until(night)), end):
        raise UsageError(
            f"Alerts of the night {night} are in science, and not yet in {last}.",
            "Wait until that job has caught up: `fink show` tells whether it runs.",
        )
    return end, taken_in


def check_that_raw_has_all(raw: AlertTable, files: Sequence[DataFile], science: AlertTable, night: str) -> None:
    """Check that no science alert would be lost for want of its raw alert.

    Raises
    ------
    UsageError
        If one would.
    """
    given = _candids(raw, files)
    lost = np.setdiff1d(_candids(science, files_of_night(science, night)), given)
    if len(lost):
        why = "removed from raw for their age" if raw.merged.removed(night) else "not in raw"
        raise UsageError(
            f"{len(lost):,} science alerts of the night {night} are {why} ({lost[0]}…): they cannot be made anew.",
            "`fink reprocess --module …` makes columns of modules anew from the science alerts themselves.",
        )


def no_such_night(layout: Layout, night: str) -> UsageError:
    """Return the error of a night the broker has nothing of: which nights it has."""
    nights = sorted({each for name in ("raw", "science") for each in nights_of(AlertTable(layout.table(name)))})
    has = f"It has {', '.join(nights[-10:])}." if nights else "It is empty."
    return UsageError(f"The broker holds no alerts of the night {night}.", has)


def some_columns(table: AlertTable, file: DataFile, paths: Sequence[str]) -> Iterator[pa.Table]:
    """Give some columns of a file.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    with reading(table, file):
        yield from read_rows(table, file, paths, _ROWS)


def _candids(table: AlertTable, files: Sequence[DataFile]) -> np.ndarray:
    found = [rows["candid"].to_numpy() for file in files for rows in some_columns(table, file, ["candid"])]
    return np.unique(np.concatenate([np.empty(0, np.int64), *found]))
