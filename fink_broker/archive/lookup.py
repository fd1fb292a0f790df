"""One alert out of millions: some columns of one row, such as its images, read from one row group.

Where it is is tried in this order: where the caller has heard it is; the one merged file of the night that can hold
its object; the files of batches that came later. What the footers of files say is kept, so that asking again costs one
read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from fink_broker.archive.merged_night import MergedNight
from fink_broker.archive.night_writer import committed_paths
from fink_broker.archive.reading import leaves
from fink_broker.archive.storage import Storage
from fink_broker.archive.table import AlertTable
from fink_broker.errors import DataError

#: Footers kept in memory by a process: one of a merged file is some MB.
MOST_FOOTERS = 48
#: Merged nights kept likewise, each the list of its files.
MOST_NIGHTS = 256

#: Path of a file relative to its table, and the number of the row in it, from 0.
Hint = tuple[str, int]


@dataclass(frozen=True)
class _Footer:
    """What the end of a file says, and which file that was."""

    metadata: Any
    stamp: tuple[int, int]


class _Kept:
    """The things used last, at most so many; for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Any:
        with self._lock:
            if name in self._things:
                self._things.move_to_end(name)
            return self._things.get(name)

    def put(self, name: str, thing: Any) -> None:
        with self._lock:
            self._things[name] = thing
            self._things.move_to_end(name)
            while len(self._things) > self._most:
                self._things.popitem(last=False)


_footers, _nights = _Kept(MOST_FOOTERS), _Kept(MOST_NIGHTS)


def find_alert(  # noqa: PLR0917  # all of it says which alert
    table: AlertTable, night: str, object_id: str, candid: int, columns: Sequence[str], hint: Hint | None = None
) -> pa.Table | None:
    """Return some columns of one alert as a table of one row, None if it is not there.

    May be called by several threads at once, and while the night is merged.

    Parameters
    ----------
    table : AlertTable
        The science or the raw table.
    night : str
        Observing night of the alert, ``YYYYMMDD``.
    object_id : str
        Its objectId.
    candid : int
        Its identifier.
    columns : sequence of str
        What is wanted, fields of structs with a dot; those the file lacks are left out.
    hint : tuple of str and int, optional
        Path (relative to the table) and row at which it was when it was written.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    for _attempt in range(2):  # a file that goes meanwhile has been merged: then the list of the night tells where to
        try:
            if hint is not None and (found := _at(table.storage, *hint, candid, columns)) is not None:
                return found
            return _in_night(table, night, object_id, candid, columns)
        except FileNotFoundError:
            hint = None
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"A file of the night {night} in {table.storage.location} cannot be read: "
                f"{' '.join(str(error).split())[:200]}.",
                f"`fink archive check --night {night}` tells which.",
            ) from error
    return None


def _at(storage: Storage, path: str, row: int, candid: int, columns: Sequence[str]) -> pa.Table | None:
    """Return the alert if it is where it was said to be."""
    footer = _footer(storage, path)
    if footer is None or not 0 <= row < footer.num_rows:
        return None
    group = 0
    while row >= (size := footer.row_group(group).num_rows):
        row, group = row - size, group + 1
    rows = _read_group(storage, path, footer, group, columns).slice(row, 1)
    return _only(rows, candid, columns)


def _in_night(table: AlertTable, night: str, object_id: str, candid: int, columns: Sequence[str]) -> pa.Table | None:
    merged = _merged(table, night)
    inside = [file.path for file in merged.files if file.holds(object_id)] if merged is not None else []
    for path in inside:
        if (found := _in_file(table.storage, path, object_id, candid, columns)) is not None:
            return found
    later = committed_paths(table, night, merged.until if merged is not None else 0)
    for path in reversed(later):
        if (found := _in_file(table.storage, path, object_id, candid, columns)) is not None:
            return found
    return None


def _in_file(storage: Storage, path: str, object_id: str, candid: int, columns: Sequence[str]) -> pa.Table | None:
    footer = _footer(storage, path)
    if footer is None:
        raise FileNotFoundError(path)
    places = {footer.schema.column(number).path: number for number in range(len(footer.schema))}
    asked = [(places[name], value) for name, value in (("objectId", object_id), ("candid", candid)) if name in places]
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        if all(_can_hold(group.column(place).statistics, value) for place, value in asked):
            found = _only(_read_group(storage, path, footer, number, columns, candid=candid), candid, columns)
            if found is not None:
                return found
    return None


def _can_hold(ranges: Any, value: Any) -> bool:
    return ranges is None or not ranges.has_min_max or bool(ranges.min <= value <= ranges.max)


def _read_group(
    storage: Storage, path: str, footer: Any, group: int, columns: Sequence[str], *, candid: int | None = None
) -> pa.Table:
    """Return columns of a row group; nothing of it if it does not hold a candid that is asked for."""
    with storage.open(path) as stream:
        parquet = pq.ParquetFile(stream, metadata=footer, pre_buffer=False)
        if candid is not None:
            there = parquet.read_row_group(group, columns=["candid"], use_threads=False)
            if not np.any(there["candid"].to_numpy() == candid):
                return there.slice(0, 0)
        return parquet.read_row_group(group, columns=leaves(parquet, [*columns, "candid"]), use_threads=False)


def _only(rows: pa.Table, candid: int, columns: Sequence[str]) -> pa.Table | None:
    here = pc.fill_null(pc.equal(rows["candid"], candid), False).to_numpy()
    if not here.any():
        return None
    row = rows.slice(int(np.argmax(here)), 1)
    wanted = {path.partition(".")[0] for path in columns}
    return row.select([name for name in row.column_names if name in wanted])


def _footer(storage: Storage, path: str) -> Any:
    """Return what the end of a file says, None if there is no such file."""
    info = storage.info(path)
    if info.type != fs.FileType.File:
        return None
    name, stamp = storage.uri(path), (info.size, info.mtime_ns)
    kept = _footers.get(name)
    if kept is None or kept.stamp != stamp:
        with storage.open(path) as stream:
            kept = _Footer(pq.read_metadata(stream), stamp)
        _footers.put(name, kept)
    return kept.metadata


def _merged(table: AlertTable, night: str) -> MergedNight | None:
    """Return what a merged night consists of, read again when it has changed."""
    stamp = table.merged.stamp(night)
    if stamp is None:
        return None
    name = f"{table.storage.location}/{night}"
    kept = _nights.get(name)
    if kept is None or kept[0] != stamp:
        kept = (stamp, table.merged.read(night))
        _nights.put(name, kept)
    merged: MergedNight | None = kept[1]
    return merged
