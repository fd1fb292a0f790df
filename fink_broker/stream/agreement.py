"""Whether the tables of a night hold the same alerts: what each holds, and a sentence for each difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive import AlertTable, DataFile
from fink_broker.archive.reading import files_of_night, read_rows
from fink_broker.archive.retiring import retired_paths
from fink_broker.config import Config
from fink_broker.config.model import QualityConfig
from fink_broker.stream.enrich import failed_cut

Candids = npt.NDArray[np.int64]

#: Candids that are named in a sentence; of further ones only the number is told.
MOST_NAMED = 5
_CUT_FIELDS = ["candidate.nbad", "candidate.rb", "candidate.fid"]
_ROWS = 8192


@dataclass
class Held:
    """What a table holds of a night.

    Attributes
    ----------
    name : str
        The table.
    files : int
        Files the night consists of.
    candids : numpy.ndarray
        The alerts, each once, in order.
    repeated : numpy.ndarray
        Those that are there more than once.
    kept : numpy.ndarray
        Of the raw table: alerts that pass the cuts in force.
    lacking, unreadable, unknown, unfinished : list of str
        Files that are listed and not there; that cannot be read, or hold not what is listed; that no commit and no
        merged night names; batches that were not finished.
    """

    name: str
    files: int = 0
    candids: Candids = field(default_factory=lambda: np.empty(0, np.int64))
    repeated: Candids = field(default_factory=lambda: np.empty(0, np.int64))
    kept: Candids = field(default_factory=lambda: np.empty(0, np.int64))
    lacking: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    def troubles(self) -> list[str]:
        """Return a sentence for each thing wrong with the table itself."""
        found = [f"{self.name}: the file {path} is gone." for path in self.lacking]
        found += [f"{self.name}: {text}" for text in self.unreadable]
        found += [f"{self.name}: the file {path} belongs to no batch." for path in self.unknown]
        found += [f"{self.name}: the batch {name} was cut short." for name in self.unfinished]
        if len(self.repeated):
            found.append(f"{self.name}: {_alerts(self.repeated)} more than once.")
        return found


def held(table: AlertTable, name: str, night: str, quality: QualityConfig | None = None) -> Held:
    """Read what a table holds of a night.

    Parameters
    ----------
    table : AlertTable
        The table.
    name : str
        What it is called.
    night : str
        Observing night, ``YYYYMMDD``.
    quality : QualityConfig, optional
        Cuts by which `Held.kept` is told.
    """
    found = Held(name)
    files = files_of_night(table, night)
    found.files = len(files)
    candids: list[Candids] = []
    kept: list[Candids] = []
    for file in files:
        try:
            rows = 0
            for of_file, passed in _read(table, file, quality):
                candids.append(of_file)
                kept.append(of_file[passed])
                rows += len(of_file)
            if rows != file.rows:
                found.unreadable.append(f"the file {file.path} holds {rows} alerts, not {file.rows} as is listed.")
        except FileNotFoundError:
            found.lacking.append(file.path)
        except (OSError, pa.ArrowException) as error:
            why = " ".join(str(error).split())[:150]
            found.unreadable.append(f"the file {file.path} cannot be read: {why}.")
    found.candids, found.repeated = _once(candids)
    found.kept, _ = _once(kept)
    _look_for_strangers(table, night, files, found)
    return found


def held_in_hbase(config: Config, night: str) -> Held:
    """Return which alerts of a night have a row in HBase.

    Raises
    ------
    ServiceError
        If HBase does not answer.
    """
    from fink_broker.stream.archiving import hbase_candids  # noqa: PLC0415

    found = Held("HBase")
    rows: Iterable[tuple[str, float, int]] = hbase_candids(config, night)
    found.candids, found.repeated = _once([np.fromiter((candid for _, _, candid in rows), np.int64)])
    return found


def differences(
    raw: Held | None, science: Held, topics: Held, hbase: Held | None, explained: dict[str, int]
) -> list[str]:
    """Return a sentence for each way in which tables do not hold the same alerts.

    Parameters
    ----------
    raw : Held or None
        None: the night was removed from the raw table for its age.
    science, topics : Held
        What these tables hold.
    hbase : Held or None
        None: it is left out.
    explained : dict
        Of a night that was reprocessed: how many alerts were never filtered (``unfiltered``), and how many that were
        are cut now (``without_alert``).
    """
    found = []
    if raw is not None:
        found += _compared(raw.kept, science.candids, "pass the cuts and are not in science", "are in science and not "
                           "among the raw alerts that pass the cuts in force")  # fmt: skip
    new, gone = explained.get("unfiltered", 0), explained.get("without_alert", 0)
    unfiltered = np.setdiff1d(science.candids, topics.candids, assume_unique=True)
    without = np.setdiff1d(topics.candids, science.candids, assume_unique=True)
    if len(unfiltered) != new:
        found.append(f"{_alerts(unfiltered)} in science and not in topics{_beside(new)}.")
    if len(without) != gone:
        found.append(f"{_alerts(without)} in topics and not in science{_beside(gone)}.")
    if hbase is not None:
        found += _compared(science.candids, hbase.candids, "are in science and not in HBase",
                           "have a row in HBase and are not in science")  # fmt: skip
    return found


def _compared(one: Candids, other: Candids, missing: str, extra: str) -> list[str]:
    lacks, more = np.setdiff1d(one, other, assume_unique=True), np.setdiff1d(other, one, assume_unique=True)
    return [f"{_named(found)} {text}." for found, text in ((lacks, missing), (more, extra)) if len(found)]


def _read(table: AlertTable, file: DataFile, quality: QualityConfig | None) -> Iterator[tuple[Candids, np.ndarray]]:
    paths = ["candid", *(_CUT_FIELDS if quality is not None else [])]
    for rows in read_rows(table, file, paths, _ROWS):
        candids = pc.fill_null(rows["candid"], 0).to_numpy().astype(np.int64)
        if quality is None:
            yield candids, np.ones(len(rows), dtype=bool)
        else:
            yield candids, failed_cut(rows, quality).is_null().to_numpy(zero_copy_only=False)


def _look_for_strangers(table: AlertTable, night: str, files: Iterable[DataFile], found: Held) -> None:
    """Look for files that nothing names, and for batches that were not finished."""
    known = {file.path for file in files} | {file.path for file in files_of_night(table, night)}
    known |= retired_paths(table.storage)
    found.unfinished = [name for name in table.storage.folders("_staging") if not table.log.has(name)]
    open_now = tuple(f"{name}-" for name in found.unfinished)
    for info in table.storage.find(f"night={night}", ".parquet"):
        path = f"night={night}/{info.base_name}"
        if path not in known and not info.base_name.startswith(open_now):
            found.unknown.append(path)


def _once(parts: list[Candids]) -> tuple[Candids, Candids]:
    together = np.concatenate(parts) if parts else np.empty(0, np.int64)
    values, counts = np.unique(together, return_counts=True)
    return values, values[counts > 1]


def _beside(number: int) -> str:
    return f" (of these {number:,} by reprocessing)" if number else ""


def _alerts(candids: Candids) -> str:
    return f"{_named(candids)} {'is' if len(candids) == 1 else 'are'}"


def _named(candids: Candids) -> str:
    more = " …" if len(candids) > MOST_NAMED else ""
    names = f" ({', '.join(map(str, candids[:MOST_NAMED].tolist()))}{more})" if len(candids) else ""
    return f"{len(candids):,} {'alert' if len(candids) == 1 else 'alerts'}{names}"
