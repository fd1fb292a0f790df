"""Merged files that no list names: what a merge cut short has left goes; what a lost list named is listed again.

Both look alike. As long as every file a night consists of is there, such files hold nothing of their own; where one
lacks, they may be the only copy, and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.archive.commits import DataFile
from fink_broker.archive.merged_night import MergedFile, MergedNight
from fink_broker.archive.reading import files_of_night, read_rows, undamaged
from fink_broker.archive.retiring import retired_paths, unlist_unfinished
from fink_broker.archive.storage import Storage
from fink_broker.archive.table import AlertTable
from fink_broker.errors import DataError

_MERGED_NAME = re.compile(r"merged-(\d{6})-(\d{6})\.parquet")
_TRACKLET = "tracklet"


def forget_unfinished(table: AlertTable, night: str) -> list[str]:
    """Remove what a merge that was cut short has left of a night; return the files that stay for want of others.

    Parameters
    ----------
    table : AlertTable
        The table; no other process may be merging it.
    night : str
        Observing night, ``YYYYMMDD``.

    Returns
    -------
    list of str
        Merged files that no list names, and that may be the only copy: a file the night consists of is gone.
    """
    storage = table.storage
    files = [file.path for file in files_of_night(table, night)]
    if not all(storage.exists(path) for path in files) or (not files and table.merged.read(night) is None):
        return unlisted(table, night)
    unlist_unfinished(storage, night)
    for path in unlisted(table, night):
        storage.remove(path)
    return []


def unlisted(table: AlertTable, night: str) -> list[str]:
    """Return merged files of a night that neither belong to it nor are listed to go, relative to the table."""
    known = {file.path for file in files_of_night(table, night)} | retired_paths(table.storage, night)
    return [path for path, _, _ in _merged_files(table.storage, night) if path not in known]


def newest_generation(storage: Storage, night: str) -> int:
    """Return the highest generation of merged files there are of a night, 0 if there are none."""
    return max((generation for _, generation, _ in _merged_files(storage, night)), default=0)


def relist(table: AlertTable, night: str) -> MergedNight | None:
    """Write the list of a merged night anew from the files themselves; None where that is not called for.

    The latest generation is taken whose files hold as many alerts as the commits they stand for: all up to the last one
    of which a file is gone or listed to go.

    Parameters
    ----------
    table : AlertTable
        The table; no other process may be merging it.
    night : str
        Observing night, ``YYYYMMDD``.

    Raises
    ------
    DataError
        If the list is lost, and the merged files there are do not hold what it must have named.
    """
    storage = table.storage
    if _is_whole(table, night) or not unlisted(table, night):
        return None
    gone = retired_paths(storage, night)
    until, rows, brought = 0, 0, 0
    for number, commit in table.log.touching(lambda _number, name: name == night):
        files = [file for file in commit.files if file.partition == night]
        brought += sum(file.rows for file in files)
        if any(file.path in gone or not storage.exists(file.path) for file in files):
            until, rows = number + 1, brought
    of_generation: dict[int, list[str]] = {}
    for path, generation, _ in _merged_files(storage, night):
        of_generation.setdefault(generation, []).append(path)
    for generation in sorted(of_generation, reverse=True):
        merged = _listed(table, night, generation, until, of_generation[generation])
        if merged is not None and merged.rows == rows:
            table.merged.write(merged)
            return merged
    raise DataError(
        f"The list of the merged files of {night} in {storage.location} is lost or wrong, and these files do not hold "
        f"the {rows:,} alerts that were merged (were some cut by a reprocessing?).",
        f"Put {storage.uri(f'_merged/{night}.json')} back from a copy; nothing was removed.",
    )


def _is_whole(table: AlertTable, night: str) -> bool:
    files = files_of_night(table, night)
    return bool(files) and all(table.storage.exists(file.path) for file in files)


def _merged_files(storage: Storage, night: str) -> Iterable[tuple[str, int, int]]:
    """Give path, generation and number of each merged file there is of a night, in order."""
    for info in storage.find(f"night={night}", ".parquet"):
        found = _MERGED_NAME.fullmatch(info.base_name)
        if found is not None:
            yield f"night={night}/{info.base_name}", int(found[1]), int(found[2])


def _listed(table: AlertTable, night: str, generation: int, until: int, paths: list[str]) -> MergedNight | None:
    """Return a night that consists of some files, None if one of them cannot be read."""
    tracklets: set[str] = set()
    try:
        files = [_described(table, night, path, tracklets) for path in paths]
    except DataError:
        return None
    details = {"tracklets": len(tracklets - {""})} if tracklets else {}
    return MergedNight(night, generation, until, tuple(files), details)


def _described(table: AlertTable, night: str, path: str, tracklets: set[str]) -> MergedFile:
    """Return what a list says of a file: rows, bytes, first and last objectId; names of tracklets are gathered."""
    size = table.storage.info(path).size
    file = DataFile(path, night, 0, size)
    with undamaged(table, file), table.storage.open(path) as stream:
        rows = pq.read_metadata(stream).num_rows
    first, last = "", ""
    for part in read_rows(table, file, ["objectId", _TRACKLET], 8192):
        if "objectId" in part.column_names and len(part):
            names = pc.fill_null(part["objectId"], "")
            first = first or names[0].as_py()
            last = names[-1].as_py()
        if _TRACKLET in part.column_names:
            tracklets.update(pc.unique(part[_TRACKLET].drop_null()).to_pylist())
    return MergedFile(path, rows, size, first, last)
