"""Real packets as rows of a science table, for tests of transfers."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pyarrow as pa

PRIMITIVES = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
}
CLASSES = ("SN candidate", "Unknown", "Solar System MPC")


def arrow_type(avro: Any, known: dict[str, pa.DataType]) -> pa.DataType:
    """Return the Arrow type of a packet's field, as the archive has it; ``known`` collects named records."""
    if isinstance(avro, list):
        return arrow_type(next(branch for branch in avro if branch != "null"), known)
    if isinstance(avro, str):
        return known[avro]
    if avro["type"] == "record":
        known[avro["name"]] = pa.struct([(field["name"], arrow_type(field["type"], known)) for field in avro["fields"]])
        return known[avro["name"]]
    return pa.list_(arrow_type(avro["items"], known)) if avro["type"] == "array" else arrow_type(avro["type"], known)


def alerts_of(packets: list[bytes]) -> pa.Table:
    """Return packets as rows, with some columns as science modules add them."""
    rows, schema = [], None
    for packet in packets:
        reader = fastavro.reader(io.BytesIO(packet))
        schema = reader.writer_schema
        rows += list(reader)
    kinds = pa.schema(list(arrow_type(schema, dict(PRIMITIVES))))
    table = pa.Table.from_pylist(rows, schema=kinds)
    times = pa.array([1_700_000_000_000_000 + number for number in range(len(rows))], pa.timestamp("us", "UTC"))
    return (
        table.append_column("finkclass", pa.array([CLASSES[number % 3] for number in range(len(rows))]))
        .append_column("cdsxmatch", pa.array(["QSO" if number % 4 == 0 else "Unknown" for number in range(len(rows))]))
        .append_column("tns", pa.array(["SN Ia" if number % 5 == 0 else "Unknown" for number in range(len(rows))]))
        .append_column("roid", pa.array([number % 4 for number in range(len(rows))], pa.int32()))
        .append_column("brokerIngestTimestamp", times)
        .append_column("science_failed", pa.array([[]] * len(rows), pa.list_(pa.string())))
    )


def copies(alerts: pa.Table, number: int) -> pa.Table:
    """Return the alerts with other candids."""
    candids = pa.array([candid + number * 10**10 for candid in alerts["candid"].to_pylist()])
    return alerts.set_column(alerts.schema.get_field_index("candid"), "candid", candids)
