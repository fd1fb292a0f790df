"""Whether the tables of a night hold the same alerts: what each holds, and a sentence for each difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from fink_broker.archive import AlertTable, DataFile
from fink_broker.archive.reading import files_of_night, read_rows
from fink_broker.archive.retiring import retired_paths
from fink_broker.archive.table import STAGING
from fink_broker.config import Config
from fink_broker.config.model import QualityConfig
from fink_broker.errors import DataError
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
    partial : bool
        Whether alerts of the night were removed from the table for their age: what it has is not all.
    reprocessed : dict
        Of the science table, what is known since the night was reprocessed: candids of alerts that were never filtered
        (``unfiltered``), and of filtered alerts that are cut now (``without_alert``).
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
    partial: bool = False
    reprocessed: dict[str, list[int]] = field(default_factory=dict)

    def troubles(self) -> list[str]:
        """Return a sentence for each thing wrong with the table itself."""
        found = [f"{self.name}: the file {path} is gone." for path in self.lacking]
        found += [f"{self.name}: {text}" for text in self.unreadable]
        found += [f"{self.name}: the file {path} belongs to no batch." for path in self.unknown]
        found += [f"{self.name}: the batch {name} was cut short." for name in self.unfinished]
        if len(self.repeated):
            found.append(f"{self.name}: {_alerts(self.repeated)} more than once.")
        return found


def held(
    table: AlertTable,
    name: str,
    night: str,
    quality: QualityConfig | None = None,
    *,
    quick: bool = False,
    busy: bool = False,
) -> Held:
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
    quick : bool
        Whether only the columns that are needed are read; otherwise all are, and damage anywhere is found.
    busy : bool
        Whether the job that fills the table runs: then its unfinished batches are no trouble.
    """
    found = Held(name)
    files = files_of_night(table, night)
    found.files = len(files)
    merged = table.merged.read(night)
    if merged is not None:
        found.partial = bool(merged.details.get("removed"))
        found.reprocessed = _known_candids(merged.details.get("reprocessed"))
    candids: list[Candids] = []
    kept: list[Candids] = []
    for file in files:
        try:
            rows = 0
            size = table.storage.info(file.path).size
            if size is not None and size != file.bytes:
                found.unreadable.append(f"the file {file.path} has {size:,} bytes, not {file.bytes:,} as is listed.")
            for of_file, passed in _read(table, file, quality, quick=quick):
                candids.append(of_file)
                kept.append(of_file[passed])
                rows += len(of_file)
            if rows != file.rows:
                found.unreadable.append(f"the file {file.path} holds {rows} alerts, not {file.rows} as is listed.")
        except FileNotFoundError:
            found.lacking.append(file.path)
        except DataError as error:
            why = " ".join(str(error.__cause__ or error).split())[:150]
            found.unreadable.append(f"the file {file.path} cannot be read: {why}.")
    found.candids, found.repeated = _once(candids)
    found.kept, _ = _once(kept)
    _look_for_strangers(table, night, files, found, busy=busy)
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


def refused_alerts(archived: AlertTable) -> frozenset[int]:
    """Return candids of alerts that could not be archived, as far as commits of the archive name them."""
    named = (entry.get("candid") for commit in archived.log.each() for entry in commit.details.get("refused", []))
    return frozenset(int(candid) for candid in named if candid is not None)


def without(table: Held, candids: Collection[int]) -> Held:
    """Return what a table holds, but for some alerts."""
    left = np.setdiff1d(table.candids, np.fromiter(candids, np.int64), assume_unique=True)
    return replace(table, candids=left)


def differences(raw: Held | None, science: Held, topics: Held, hbase: Held | None) -> list[str]:
    """Return a sentence for each way in which tables do not hold the same alerts.

    What a table lacks is no difference where alerts of the night were removed from it for their age, and not from the
    one it is held against.

    Parameters
    ----------
    raw : Held or None
        None: it is left out.
    science, topics : Held
        What these tables hold.
    hbase : Held or None
        None: it is left out.
    """
    found = []
    if raw is not None:
        kept = Held("raw", candids=raw.kept, partial=raw.partial)
        found += _compared(kept, science, "pass the cuts and are not in science", "are in science and not among the "
                           "raw alerts that pass the cuts in force")  # fmt: skip
    explained = science.reprocessed
    found += _compared(science, topics, "are in science and not in topics", "are in topics and not in science",
                       explained.get("unfiltered", []), explained.get("without_alert", []))  # fmt: skip
    if hbase is not None:
        found += _compared(science, hbase, "are in science and not in HBase",
                           "have a row in HBase and are not in science")  # fmt: skip
    return found


def _known_candids(reprocessed: object) -> dict[str, list[int]]:
    entries = reprocessed.items() if isinstance(reprocessed, dict) else ()
    return {name: candids for name, candids in entries if isinstance(candids, list)}


def _compared(  # noqa: PLR0917  # two sides of each
    one: Held, other: Held, missing: str, extra: str, known_missing: Sequence[int] = (), known_extra: Sequence[int] = ()
) -> list[str]:
    """Return a sentence for alerts the other table lacks, and one for those it has beside, but for those known of."""
    found = []
    for here, there, text, known in ((one, other, missing, known_missing), (other, one, extra, known_extra)):
        apart = np.setdiff1d(here.candids, there.candids, assume_unique=True)
        apart = np.setdiff1d(apart, np.array(known, np.int64), assume_unique=True)
        if len(apart) and (here.partial or not there.partial):
            found.append(f"{_named(apart)} {text}.")
    return found


def _read(
    table: AlertTable, file: DataFile, quality: QualityConfig | None, *, quick: bool
) -> Iterator[tuple[Candids, np.ndarray]]:
    paths = ["candid", *(_CUT_FIELDS if quality is not None else [])]
    for rows in read_rows(table, file, paths, _ROWS) if quick else read_rows(table, file, verify=True):
        candids = pc.fill_null(rows["candid"], 0).to_numpy().astype(np.int64)
        if quality is None:
            yield candids, np.ones(len(rows), dtype=bool)
        else:
            yield candids, failed_cut(rows, quality).is_null().to_numpy(zero_copy_only=False)


def _look_for_strangers(table: AlertTable, night: str, files: Iterable[DataFile], found: Held, *, busy: bool) -> None:
    """Look for files that nothing names, and for batches that were not finished and have files of the night."""
    storage = table.storage
    merging = table.merged.is_busy()
    there = [info.base_name for info in storage.find(f"night={night}", ".parquet")]
    unfinished = tuple(name for name in storage.folders(STAGING) if not table.log.has(name))
    # what the night consists of is asked for last: a batch may have been committed, or the night merged, meanwhile
    known = {file.path for file in files} | {file.path for file in files_of_night(table, night)}
    known |= retired_paths(storage, night)
    strangers = [name for name in there if f"night={night}/{name}" not in known]
    for batch in unfinished if not busy else ():
        staged = storage.find(f"{STAGING}/{batch}/night={night}", ".parquet")
        if (staged or any(name.startswith(f"{batch}-") for name in strangers)) and not table.log.has(batch):
            found.unfinished.append(batch)
    for name in strangers:
        passing = name.startswith(tuple(f"{batch}-" for batch in unfinished)) or (
            name.startswith("merged-") and (merging or table.merged.is_busy())
        )
        if not passing:
            found.unknown.append(f"night={night}/{name}")


def _once(parts: list[Candids]) -> tuple[Candids, Candids]:
    together = np.concatenate(parts) if parts else np.empty(0, np.int64)
    values, counts = np.unique(together, return_counts=True)
    return values, values[counts > 1]


def _alerts(candids: Candids) -> str:
    return f"{_named(candids)} {'is' if len(candids) == 1 else 'are'}"


def _named(candids: Candids) -> str:
    more = " …" if len(candids) > MOST_NAMED else ""
    names = f" ({', '.join(map(str, candids[:MOST_NAMED].tolist()))}{more})" if len(candids) else ""
    return f"{len(candids):,} {'alert' if len(candids) == 1 else 'alerts'}{names}"
