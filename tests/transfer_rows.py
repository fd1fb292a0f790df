"""A small science table for tests of transfers."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, Commit
from fink_broker.stream.transfer.selection import Selection

NIGHT = Selection.asked("2023-10-18", "2023-10-18")
JD = 2460235.75  # 2023-10-18 06:00 UTC


def rows(number: int, first: int = 0, **columns: pa.Array) -> pa.Table:
    """Return alerts with the least of columns, and some more."""
    count = range(first, first + number)
    candidate = [{"jd": JD + k / 86400, "magpsf": 15.0 + k % 10, "drb": None if k % 7 == 0 else 0.9} for k in count]
    kind = pa.struct([("jd", pa.float64()), ("magpsf", pa.float32()), ("drb", pa.float32())])
    history = [[{"jd": JD - 1.0, "magpsf": 18.0}] * (k % 3) if k % 5 else None for k in count]
    past = pa.list_(pa.struct([("jd", pa.float64()), ("magpsf", pa.float32())]))
    given = {
        "objectId": pa.array([f"ZTF{k:04d}" for k in count]),
        "candid": pa.array([10**18 + k for k in count]),
        "candidate": pa.array(candidate, kind),
        "prv_candidates": pa.array(history, past),
        "cutoutScience": pa.array([{"stampData": b"image", "fileName": "f"}] * number),
        "finkclass": pa.array([("Unknown", "SN candidate")[k % 2] for k in count]),
        "cdsxmatch": pa.array([("QSO", "Unknown", None)[k % 3] for k in count]),
        "tns": pa.array([("Unknown", "SN Ia", None)[k % 3] for k in count]),
        "origin": pa.array([{"topic": "t"}] * number),
    }
    return pa.table(given | columns)


def commit(table: AlertTable, name: str, night: str, alerts: pa.Table) -> None:
    table.create()
    folder = Path(table.staging(name)) / f"night={night}"
    folder.mkdir(parents=True)
    pq.write_table(alerts, folder / "part-0.parquet", row_group_size=16)
    counts = {"in": len(alerts), "out": len(alerts)}
    table.commit(Commit(name, [], table.publish(name), counts, time.time(), time.time()))
