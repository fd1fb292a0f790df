"""Real alerts in an archive of memory, for tests of whoever asks the archive."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from expected_science import production_config

from fink_broker.alert.schema import ztf_reading_schema
from fink_broker.alert.survey import ZTF
from fink_broker.archive import AlertTable, Commit
from fink_broker.archive.commits import DataFile
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import database_rows, places, wanted
from fink_broker.archive.hbase.writing import create_tables, write
from fink_broker.archive.reading import read_rows
from fink_broker.config.model import QualityConfig
from fink_broker.science.registry import build_pipeline
from fink_broker.simulate.retime import retime
from fink_broker.stream.enrich import enrich, failed_cut

#: Sets of real packets that are archived: a public night whose times were edited, and packets as they came.
SETS = ("ztf_public_20231018", "ztf_real_packets")
TABLES = "ztf"


def archived_alerts(shared_data: Path, *, retimed: bool = False) -> Archive:
    """Return an archive of the real alerts that pass the quality cuts, with all science columns.

    Parameters
    ----------
    shared_data : Path
        The fixture.
    retimed : bool
        Whether alerts of the edited night have their own times and positions back: light curves are real then.
    """
    archive = empty_archive()
    fill(archive, science_rows(shared_data, retimed=retimed))
    return archive


def stored_alerts(shared_data: Path, folder: Path, *, retimed: bool = False) -> Archive:
    """Return such an archive whose images can be read: the alerts are in the science table at a folder, too."""
    archive = empty_archive()
    table = AlertTable(str(folder))
    for file in store_science(table, science_rows(shared_data, retimed=retimed)):
        (rows,) = read_rows(table, file, rows=100_000)
        fill(archive, rows, file.path)
    return archive


def empty_archive() -> Archive:
    """Return an archive of memory that has its tables, and no alerts."""
    archive = Archive(MemoryStore(), TABLES)
    create_tables(archive)
    return archive


def fill(archive: Archive, rows: pa.Table, path: str = "night=00000000/none.parquet") -> None:
    """Archive rows of the science table, as if they were all there is in one of its files."""
    names = {name.split(".")[0] for name in wanted(rows.schema)}
    slim = rows.select([name for name in rows.column_names if name in names])
    for first in range(0, len(slim), 500):
        part = slim.slice(first, 500)
        made = database_rows(part, places(path, first, len(part)))
        assert not made.refused, made.refused[0]
        write(archive, made)


def science_rows(shared_data: Path, *, retimed: bool = False) -> pa.Table:
    """Return the real alerts that pass the quality cuts as the science table has them; made once a process."""
    return _science_rows(str(shared_data), retimed)


def store_science(table: AlertTable, rows: pa.Table, commit_id: str = "science-0") -> list[DataFile]:
    """Commit rows to a science table by observing night; return its new files."""
    table.create()
    jd = pc.struct_field(rows["candidate"].combine_chunks(), "jd").to_numpy()
    nights = np.array([ZTF.night(time_of) for time_of in jd.tolist()])
    for night in np.unique(nights).tolist():
        staged = Path(table.staging(commit_id).removeprefix("file://")) / f"night={night}"
        staged.mkdir(parents=True)
        pq.write_table(rows.filter(pa.array(nights == night)), staged / "part-0.parquet", row_group_size=128)
    files = table.publish(commit_id)
    now = time.time()
    table.commit(Commit(commit_id, [], files, {"in": len(rows), "out": len(rows)}, now, now))
    return files


def raw_rows(packets: Sequence[Mapping[str, Any]], topic: str = "ztf_20240101_programid1") -> pa.Table:
    """Return decoded packets as the raw table has them."""
    rows = pa.Table.from_pylist(list(packets), raw_schema())
    now = pa.scalar(int(time.time() * 1e6), pa.timestamp("us", tz="UTC"))
    origin = {
        "topic": pa.repeat(topic, len(rows)),
        "partition": pa.array(np.zeros(len(rows), np.int32)),
        "offset": pa.array(np.arange(len(rows))),
        "timestamp": pa.repeat(now, len(rows)),
    }
    came = pa.StructArray.from_arrays(list(origin.values()), names=list(origin))
    return rows.append_column("origin", came).append_column("brokerIngestTimestamp", pa.repeat(now, len(rows)))


@lru_cache(maxsize=1)
def raw_schema() -> pa.Schema:
    """Return the types of a packet's fields in tables."""
    records: dict[str, Any] = {}
    schema = json.loads(ztf_reading_schema())
    return pa.schema([pa.field(field["name"], _arrow(field["type"], records)) for field in schema["fields"]])


@lru_cache(maxsize=2)
def _science_rows(shared_data: str, retimed: bool) -> pa.Table:
    packets = [packet for name in SETS for packet in _packets(Path(shared_data) / "ztf" / f"{name}.tar.gz")]
    if retimed:
        packets = [retime(packet) for packet in packets]
    raw = raw_rows(packets)
    good = raw.filter(pc.is_null(failed_cut(raw, QualityConfig())))
    return enrich(good, build_pipeline(production_config(Path(shared_data))))


def _packets(path: Path) -> list[dict[str, Any]]:
    with tarfile.open(path) as archive:  # read in its own order: going back in a compressed file costs all before
        found = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    contents = [found[name] for name in sorted(found)]
    return [packet for content in contents for packet in fastavro.reader(io.BytesIO(content))]


def _arrow(of_type: Any, records: dict[str, Any]) -> pa.DataType:
    """Return the Arrow type of an Avro type; records are defined where they are met first."""
    if isinstance(of_type, list):
        return _arrow(next(branch for branch in of_type if branch != "null"), records)
    if isinstance(of_type, str) and of_type in records:
        return records[of_type]
    if isinstance(of_type, str):
        plain = {"int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64()}
        return {**plain, "string": pa.string(), "bytes": pa.binary(), "boolean": pa.bool_()}[of_type]
    if of_type["type"] == "array":
        return pa.list_(_arrow(of_type["items"], records))
    fields = [pa.field(field["name"], _arrow(field["type"], records)) for field in of_type["fields"]]
    records[of_type["name"]] = pa.struct(fields)
    return records[of_type["name"]]
