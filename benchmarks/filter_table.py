"""A science table for the benchmark of filters: real alerts with our own science, repeated under fresh candids."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.science_alerts import FIRST_CANDID, Packet
from fink_broker.archive import AlertTable, Commit
from fink_broker.archive.commits import DataFile
from fink_broker.archive.promised import promised_schema
from fink_broker.archive.reading import read_rows
from fink_broker.config import Config
from fink_broker.science.registry import build_pipeline
from fink_broker.science.testing import offline_config
from fink_broker.stream.enrich import enrich
from fink_broker.stream.science_task import WRITING

NIGHT = "20240101"
COMMIT = "benchmark-0"
_ORIGIN = pa.struct([
    ("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("timestamp", pa.timestamp("us", "UTC")),
])  # fmt: skip


def quiet_config() -> Config:
    """Return a configuration of all modules and filters that asks nobody outside.

    SIMBAD types come from catalogues on disk, so that topics of types take something; nobody tells stars of the SDSS.
    """
    config = offline_config()
    crossmatch = config.crossmatch.model_copy(update={"simbad": ["local"]})
    filters = config.filters.model_copy(update={"sdss": "none"})
    return config.model_copy(update={"crossmatch": crossmatch, "filters": filters})


def science_alerts(packets: Sequence[Packet], config: Config) -> pa.Table:
    """Return packets as rows of the science table, classified by all modules."""
    no_science = config.science.model_copy(update={"modules": [], "user_modules": []})
    promised = promised_schema(config.model_copy(update={"science": no_science}))
    names = [name for name in promised.names if any(name in packet for packet in packets)]
    schema = pa.schema([promised.field(name) for name in names])
    raw = pa.Table.from_pylist([{name: packet.get(name) for name in names} for packet in packets], schema)
    now = datetime.now(UTC)
    origin = {"topic": "ztf_20240101_programid1", "partition": 0, "offset": 0, "timestamp": now}
    raw = raw.append_column("origin", pa.repeat(pa.scalar(origin, _ORIGIN), len(raw)))
    raw = raw.append_column("brokerIngestTimestamp", pa.repeat(pa.scalar(now, _ORIGIN.field(3).type), len(raw)))
    return enrich(raw, build_pipeline(config))


@dataclass(frozen=True)
class StoredAlerts:
    """A science table whose files are as large as a batch: what one beat of the stream brings.

    Parameters
    ----------
    table : AlertTable
        The table.
    files : list of DataFile
        Its files.
    """

    table: AlertTable
    files: list[DataFile]

    @property
    def count(self) -> int:
        """How many alerts there are."""
        return sum(file.rows for file in self.files)

    def batches(self, paths: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Read them, some columns or all, a batch at a time."""
        for file in self.files:
            yield from read_rows(self.table, file, paths, max(file.rows, 1))


def store(alerts: pa.Table, count: int, size: int, folder: Path) -> StoredAlerts:
    """Write alerts, again and again under fresh candids, as raw2science does.

    Parameters
    ----------
    alerts : pyarrow.Table
        Distinct rows of the science table.
    count : int
        How many are written.
    size : int
        How many a file holds.
    folder : pathlib.Path
        Of the table.
    """
    table = AlertTable(str(folder))
    table.create()
    table.storage.make_folder(f"_staging/{COMMIT}/night={NIGHT}")
    place = alerts.schema.get_field_index("candid")
    for number, start in enumerate(range(0, count, size)):
        rows = np.arange(start, min(start + size, count))
        part = alerts.take(pa.array(rows % len(alerts)))
        part = part.set_column(place, "candid", pa.array(FIRST_CANDID + rows))
        # named so that their order is that of the alerts
        pq.write_table(part, folder / f"_staging/{COMMIT}/night={NIGHT}/part-{number:06d}.parquet", **WRITING)
    files = table.publish(COMMIT)
    now = time.time()
    table.commit(Commit(COMMIT, [], files, {"in": count, "out": count}, now, now))
    return StoredAlerts(table, files)
