"""The selected alerts of one file after the other, always in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from fink_broker.archive import AlertTable, DataFile
from fink_broker.stream.transfer.archived import ROWS, THIN_ROWS, read_file
from fink_broker.stream.transfer.content import Content
from fink_broker.stream.transfer.schemas import JoinedSchema, conform
from fink_broker.stream.transfer.selection import Condition, Selection


class SelectedAlerts:
    """Which alerts of a file are sent.

    Parameters
    ----------
    table : AlertTable
        The science table.
    selection : Selection
        What is asked for.
    condition : Condition
        That of the selection.
    joined : JoinedSchema
        Schema of the files.

    Attributes
    ----------
    content : Content
        What of the alerts is sent.

    Raises
    ------
    ConfigError
        If a column is not there, or the condition cannot be evaluated.
    DataError
        If a column has no one type.
    """

    def __init__(self, table: AlertTable, selection: Selection, condition: Condition, joined: JoinedSchema) -> None:
        self.content = Content(selection, joined)
        self._table, self._condition = table, condition
        joined.check(_roots(condition.reads))
        condition.check(joined.schema)
        roots = {"candid", *_roots(condition.reads)}
        self._paths = list(condition.reads)
        self._columns = pa.schema([field for field in joined.schema if field.name in roots])

    def count(self, file: DataFile) -> int:
        """Return how many alerts of a file are selected."""
        if self._condition.takes_all:
            return file.rows
        return sum(int(np.count_nonzero(self._decide(rows))) for rows in self._read(file, self._paths, THIN_ROWS))

    def rows(self, file: DataFile) -> Iterator[pa.Table]:
        """Give the selected rows of a file in order, as they are stored, some at a time."""
        for rows in self._read(file, list(dict.fromkeys([*self.content.paths, *self._paths])), ROWS):
            chosen = rows if self._condition.takes_all else rows.filter(pa.array(self._decide(rows)))
            if len(chosen):
                yield chosen

    def _read(self, file: DataFile, paths: list[str], rows: int) -> Iterator[pa.Table]:
        return read_file(self._table, file, paths, rows)

    def _decide(self, rows: pa.Table) -> np.ndarray:
        # a column of which only some fields are read has the others as null here, which nobody looks at
        return self._condition.decide(conform(rows, self._columns))


def _roots(paths: Sequence[str]) -> list[str]:
    return [path.partition(".")[0] for path in paths]
