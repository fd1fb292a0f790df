"""Writes the sorted files of a night, and puts them in force at one instant."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.archive.merged_night import MergedFile, MergedNight
from fink_broker.archive.relisting import forget_unfinished, newest_generation
from fink_broker.archive.retiring import retire
from fink_broker.archive.table import AlertTable
from fink_broker.errors import CountsDoNotClose

MERGING = "_merging"
#: The images of an alert are read from one row group: 128 of them are 5 MB.
ROWS_IN_A_GROUP = 128
#: Images are compressed already. Ranges of values are kept where rows are looked for by them.
_IMAGES = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
_RANGES = ["objectId", "candid"]


class NightWriter:
    """Takes the alerts of a night in pieces that follow one another by objectId; each becomes one file.

    A context: what is not published goes.

    Parameters
    ----------
    table : AlertTable
        The table.
    night : str
        Observing night, ``YYYYMMDD``.
    """

    def __init__(self, table: AlertTable, night: str) -> None:
        self._table, self._night = table, night
        before = table.merged.read(night)
        self.generation = 0 if before is None else before.generation
        self._details: dict[str, Any] = dict(before.details) if before else {}
        self._folder = f"{MERGING}/{night}"
        self._files: list[MergedFile] = []

    def __enter__(self) -> NightWriter:
        forget_unfinished(self._table, self._night)
        # above that of any file there is: what could not be forgotten is not written over
        self.generation = 1 + max(self.generation, newest_generation(self._table.storage, self._night))
        self._table.storage.remove_folder(self._folder)
        self._table.storage.make_folder(self._folder)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what stays goes at the next merge
            self._table.storage.remove_folder(self._folder)

    @property
    def rows(self) -> int:
        """How many alerts were written."""
        return sum(file.rows for file in self._files)

    def write(self, rows: pa.Table) -> None:
        """Sort alerts by objectId, time and candid, and write them to a file."""
        if len(rows) == 0:
            return
        path = f"{self._folder}/{len(self._files)}.parquet"
        storage = self._table.storage
        order, first, last = _order(rows)
        with (
            storage.files.open_output_stream(f"{storage.root}/{path}") as stream,
            pq.ParquetWriter(stream, rows.schema, **_options(rows.schema)) as writer,
        ):
            for start in range(0, len(order), ROWS_IN_A_GROUP):
                writer.write_table(rows.take(order[start : start + ROWS_IN_A_GROUP]))
        target = f"night={self._night}/merged-{self.generation:06d}-{len(self._files):06d}.parquet"
        self._files.append(MergedFile(target, len(rows), storage.info(path).size, first, last))

    def publish(self, until: int, rows: int, **details: Any) -> MergedNight:
        """Put the files in the place of those of the night, at one instant.

        Parameters
        ----------
        until : int
            Commits of a number below are in them.
        rows : int
            How many alerts there must be.
        **details
            What is kept in the list of files about what was done.

        Raises
        ------
        CountsDoNotClose
            If there are more or fewer; nothing is replaced.
        """
        if self.rows != rows:
            raise CountsDoNotClose(
                f"The merged files of {self._night} in {self._table.storage.location} hold {self.rows} alerts, "
                f"those before {rows}.",
                "Nothing was replaced; please tell the developers.",
            )
        storage = self._table.storage
        storage.make_folder(f"night={self._night}")
        for number, file in enumerate(self._files):
            storage.move(f"{self._folder}/{number}.parquet", file.path)
        current = self._table.merged.read(self._night)
        old = [file.path for file in current.files] if current else []
        old += committed_paths(self._table, self._night, current.until if current else 0, until)
        merged = MergedNight(self._night, self.generation, until, tuple(self._files), {**self._details, **details})
        retire(storage, self._night, self.generation, old)
        self._table.merged.write(merged)
        return merged


def committed_paths(table: AlertTable, night: str, first: int, until: int | None = None) -> list[str]:
    """Return the files of a night that commits brought from a number on, up to another one."""
    found = table.log.touching(lambda number, name: name == night and (until is None or number < until), first)
    return [file.path for number, commit in found for file in commit.files if file.partition == night]


def _order(rows: pa.Table) -> tuple[pa.Array, str, str]:
    """Return the order of rows by objectId, time and candid, and the first and the last objectId."""
    keys: dict[str, Any] = {}
    if "objectId" in rows.column_names:
        keys["objectId"] = pc.fill_null(rows["objectId"].cast(pa.string()), "")
    if "candidate" in rows.column_names and rows.schema.field("candidate").type.get_field_index("jd") >= 0:
        keys["jd"] = pc.struct_field(rows["candidate"], "jd")
    keys["candid"] = rows["candid"]
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    if "objectId" not in keys:
        return order, "", ""
    return order, keys["objectId"][order[0].as_py()].as_py(), keys["objectId"][order[-1].as_py()].as_py()


def _options(schema: pa.Schema) -> dict[str, Any]:
    leaves = _leaves(schema)
    images = {path for path in leaves if path.partition(".")[0] in _IMAGES}
    return {
        "compression": {path: "NONE" if path in images else "ZSTD" for path in leaves},
        "use_dictionary": False,
        "write_page_checksum": True,
        "write_statistics": [name for name in _RANGES if name in schema.names],
    }


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the names that the leaf columns of a schema have in Parquet."""
    stream = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), stream)
    written = pq.ParquetFile(pa.BufferReader(stream.getvalue())).schema
    return [written.column(number).path for number in range(len(written))]
