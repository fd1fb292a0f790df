"""A table of rejected packets as stream2raw writes it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive import Layout

SCHEMA = pa.schema(
    {
        "topic": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "reason": pa.string(),
        "value": pa.binary(),
    }
)
TOPIC = "ztf_20231018_programid1"


def packet(offset: int, reason: str, value: bytes | None, *, seconds: int = 0, partition: int = 0) -> dict[str, object]:
    """Return a row: a packet that came some seconds after noon."""
    time = datetime(2023, 10, 18, 12, 0, 0, tzinfo=UTC)
    moment = datetime.fromtimestamp(time.timestamp() + seconds, UTC)
    return {
        "topic": TOPIC,
        "partition": partition,
        "offset": offset,
        "timestamp": moment,
        "reason": reason,
        "value": value,
    }


def add_rejected(online: str, commit: str, day: str, rows: list[dict[str, object]], *, age: int = 0) -> Path:
    """Write the file of a batch; the larger its age in seconds the earlier it was written."""
    folder = Path(Layout(online).table("rejected")) / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{commit}-0.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    return path
