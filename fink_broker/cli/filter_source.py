"""The stored alerts on which a rule is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.reading import files_of_night, leaves, nights_of, read_night
from fink_broker.cli.filter_lookup import science_schema
from fink_broker.config import Config
from fink_broker.errors import DataError

#: Alerts in a batch, as many as the broker takes.
BATCH = 512


@dataclass(frozen=True)
class NightAlerts:
    """The science alerts of an observing night, as they were stored.

    Parameters
    ----------
    table : AlertTable
        The science table.
    night : str
        Observing night, ``YYYYMMDD``.
    total : int
        How many there are.
    name : str
        What they are, in words.
    schema : pyarrow.Schema
        Their columns.
    """

    table: AlertTable
    night: str
    total: int
    name: str
    schema: pa.Schema

    def batches(self, paths: Sequence[str]) -> Iterator[pa.Table]:
        """Give some columns of them in the order in which they are stored."""
        yield from read_night(self.table, self.night, paths, BATCH)


@dataclass(frozen=True)
class FileAlerts:
    """The science alerts of Parquet files.

    Parameters
    ----------
    files : list of pathlib.Path
        The files.
    total : int
        How many there are.
    name : str
        What they are, in words.
    schema : pyarrow.Schema
        Their columns.
    """

    files: list[Path]
    total: int
    name: str
    schema: pa.Schema

    def batches(self, paths: Sequence[str]) -> Iterator[pa.Table]:
        """Give some columns of them in the order of the files."""
        for file in self.files:
            stored = pq.ParquetFile(file)
            for batch in stored.iter_batches(BATCH, columns=leaves(stored, paths), use_threads=False):
                yield pa.Table.from_batches([batch])


def alerts_of_night(config: Config, night: str) -> NightAlerts:
    """Return the alerts of a night the broker holds.

    Parameters
    ----------
    config : Config
        The configuration.
    night : str
        ``YYYYMMDD``; empty: the latest.

    Raises
    ------
    DataError
        If there are none.
    """
    table = AlertTable(Layout(config.storage.online).table("science"))
    there = nights_of(table)
    tried = [night] if night else reversed(there)  # a folder may be of a batch that was never committed
    name, files = next(((one, files) for one in tried if (files := files_of_night(table, one))), ("", []))
    if not files and night and there:
        raise DataError(f"The broker holds no alerts of the night {night}.", f"It has {', '.join(there[-10:])}.")
    if not files:
        raise DataError("The broker holds no science alerts yet.", "Name a file of some with --source.")
    with table.storage.open(files[0].path) as stream:
        schema = pq.read_schema(stream)
    return NightAlerts(table, name, sum(file.rows for file in files), f"the night {name}", schema)


def alerts_of_files(source: Path, config: Config) -> FileAlerts:
    """Return the alerts of a Parquet file, or of all Parquet files of a folder.

    Raises
    ------
    DataError
        If there are none, or they lack the light curves of alerts.
    """
    remedy = "Name a Parquet file or folder of science alerts."
    found = sorted(source.rglob("*.parquet")) if source.is_dir() else [source]
    try:
        total = sum(pq.read_metadata(file).num_rows for file in found)
        schema = pq.read_schema(found[0]) if found else science_schema(config)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{source} cannot be read: {error}.", remedy) from error
    if not total:
        raise DataError(f"There is no alert in {source}.", remedy)
    lacking = [name for name in ("objectId", "candid", "candidate", "prv_candidates") if name not in schema.names]
    if lacking:
        raise DataError(f"{source} holds no alerts: it has no column {' and no '.join(lacking)}.", remedy)
    return FileAlerts(found, total, str(source), schema)
