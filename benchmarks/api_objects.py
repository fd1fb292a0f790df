"""Objects made for the benchmark of the API: as many alerts as wanted, all columns filled, with images in Parquet."""

from __future__ import annotations

import gzip
import io
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from fink_broker.alert.batch import field_types
from fink_broker.archive.commits import Commit, DataFile
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import database_rows, places, wanted
from fink_broker.archive.hbase.writing import write
from fink_broker.archive.table import AlertTable
from fink_broker.config import Config
from fink_broker.science.module import Column
from fink_broker.science.registry import MODULES

#: Rows of a file that are read together, as merged nights have them.
ROW_GROUP = 128
SIDE_PIXELS = 63
_CUTOUTS = ("Science", "Template", "Difference")


def science_rows(name: str, count: int, ra: float, dec: float, rng: np.random.Generator) -> pa.Table:
    """Return alerts of one object as rows of the science table, every field and column of a value of its own.

    Parameters
    ----------
    name : str
        Its objectId.
    count : int
        How many alerts, in g and r in turn, half a day apart.
    ra, dec : float
        Position in degrees; alerts scatter by a tenth of an arcsecond.
    rng : numpy.random.Generator
        Where values come from.
    """
    _, kinds, _ = field_types()
    jd = 2459000.7 + 0.5 * np.arange(count)
    known = {
        "jd": jd, "jdstarthist": np.full(count, jd[0]), "fid": 1 + np.arange(count) % 2,
        "ra": ra + rng.normal(0, 0.1 / 3600, count), "dec": dec + rng.normal(0, 0.1 / 3600, count),
        "magpsf": 18 + rng.normal(0, 0.2, count), "sigmapsf": rng.uniform(0.02, 0.2, count),
    }  # fmt: skip
    candidate = {field: _values(kind, count, rng, known.get(field)) for field, kind in kinds.items()}
    science = {column.name: _column(column, count, rng) for column in _columns()}
    candid = int(jd[0] * 1e10) * 10 + np.arange(count) + int(rng.integers(10**9)) * 10**4
    begun = pa.repeat(pa.scalar(int(time.time() * 1e6), pa.timestamp("us", tz="UTC")), count)
    return pa.table(
        {
            "objectId": pa.repeat(name, count),
            "candid": pa.array(candid),
            "publisher": pa.repeat("Fink", count),
            "schemavsn": pa.repeat("4.02", count),
            "fink_broker_version": pa.repeat("1.0", count),
            "fink_science_version": pa.repeat("1.0", count),
            "candidate": pa.StructArray.from_arrays(list(candidate.values()), list(candidate)),
            "brokerStartProcessTimestamp": begun,
            **science,
        }
    )


def with_images(rows: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Return the rows with three images each, as packets hold them."""
    for kind in _CUTOUTS:
        stamps = [_stamp(rng) for _ in range(len(rows))]
        names = pa.repeat(f"cutout{kind}.fits.gz", len(rows))
        struct = pa.StructArray.from_arrays([names, pa.array(stamps, pa.binary())], ["fileName", "stampData"])
        rows = rows.add_column(1, f"cutout{kind}", struct)  # with what the packet holds: not a column of the broker
    return rows


def add(archive: Archive, config: Config, rows: pa.Table, night: str = "20240101") -> None:
    """Write rows to the science table and to HBase."""
    table = AlertTable(f"{config.storage.online.rstrip('/')}/science")
    file = _commit(table, rows, night)
    names = {name.split(".")[0] for name in wanted(rows.schema)}
    slim = rows.select([name for name in rows.column_names if name in names])
    for first in range(0, len(slim), 500):
        part = slim.slice(first, 500)
        made = database_rows(part, places(file.path, first, len(part)))
        if made.refused:
            raise RuntimeError(f"alerts made for the benchmark were refused: {made.refused[0].reason}")
        write(archive, made)


def _commit(table: AlertTable, rows: pa.Table, night: str) -> DataFile:
    table.create()
    commit_id = f"made-{len(table.log.read_all())}"
    folder = Path(table.staging(commit_id).removeprefix("file://")) / f"night={night}"
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "part-0.parquet", row_group_size=ROW_GROUP)
    files = table.publish(commit_id)
    now = time.time()
    table.commit(Commit(commit_id, [], files, {"in": len(rows), "out": len(rows)}, now, now))
    return files[0]


def _values(kind: pa.DataType, count: int, rng: np.random.Generator, known: np.ndarray | None = None) -> pa.Array:
    if known is not None:
        return pa.array(known).cast(kind)
    if pa.types.is_floating(kind):
        return pa.array(rng.normal(10, 3, count)).cast(kind)
    if pa.types.is_integer(kind):
        return pa.array(rng.integers(0, 1000, count)).cast(kind)
    if pa.types.is_boolean(kind):
        return pa.array(rng.random(count) < 0.5)
    return pa.repeat("ztf_20240101123456_000500_zr", count).cast(kind)


def _columns() -> list[Column]:
    return [column for build in MODULES.values() for column in build(Config()).outputs]


def _column(column: Column, count: int, rng: np.random.Generator) -> pa.Array:
    kind = column.type
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays([_values(field.type, count, rng) for field in kind], fields=list(kind))
    if pa.types.is_map(kind) or pa.types.is_list(kind):
        value = list(column.absent.items()) if isinstance(column.absent, dict) else column.absent
        return pa.array([value] * count, kind)
    if pa.types.is_string(kind):
        return pa.repeat(pa.scalar(column.absent or "Unknown", kind), count)
    return _values(kind, count, rng)


def _stamp(rng: np.random.Generator) -> bytes:
    content = io.BytesIO()
    fits.PrimaryHDU(rng.normal(200, 15, (SIDE_PIXELS, SIDE_PIXELS)).astype(np.float32)).writeto(content)
    return gzip.compress(content.getvalue())
