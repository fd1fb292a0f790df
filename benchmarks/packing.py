"""Alerts as bytes for the database: one packed cell an alert, against a cell a column and Avro with a call a row.

All encode and decode the same table in one process on one core, in turn; nothing is sent anywhere. Of one cell a column
only the side of the writer is measured: each value to its text, a cell, and the mutation the Thrift client sends. Both
other ways must give the table back, which is checked.

    python -m benchmarks.packing
    python -m benchmarks.packing --alerts 500 --rounds 20
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Annotated, Any

import fastavro
import happybase  # noqa: F401  (makes the module of the next line)
import numpy as np
import pyarrow as pa
import typer
from Hbase_thrift import BatchMutation, Mutation
from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, spread
from fink_broker.archive.hbase.packed import canonical, pack, unpack

#: numbers of columns as a science alert has them once it is flat
FLOATS, DOUBLES, INTEGERS, LONGS, FLAGS, TEXTS, FEATURES = 68, 15, 36, 5, 4, 20, 2
_AVRO = {pa.float32(): "float", pa.float64(): "double", pa.int32(): "int", pa.int64(): "long", pa.bool_(): "boolean"}
SOME = ["float1", "double1", "text1"]


def make_alerts(count: int, seed: int = 0) -> pa.Table:
    """Return alerts of 150 columns, one value in twenty null."""
    rng = np.random.default_rng(seed)

    def column(values: Any, kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind, mask=rng.random(count) < 0.05, from_pandas=False)

    words = np.array(["Unknown", "RRLyr", "Solar System candidate", "", "v3.10", "galactic", "nan"], dtype=object)
    features = [str([round(value, 7) for value in rng.normal(size=26)]) for _ in range(count)]
    columns = {f"float{n}": column(rng.normal(size=count).astype(np.float32), pa.float32()) for n in range(FLOATS)}
    columns |= {f"double{n}": column(rng.uniform(0, 360, count), pa.float64()) for n in range(DOUBLES)}
    columns |= {f"int{n}": column(rng.integers(0, 99, count), pa.int32()) for n in range(INTEGERS)}
    columns |= {f"long{n}": column(rng.integers(0, 2**62, count), pa.int64()) for n in range(LONGS)}
    columns |= {f"flag{n}": column(rng.random(count) < 0.5, pa.bool_()) for n in range(FLAGS)}
    columns |= {f"text{n}": column(rng.choice(words, count), pa.string()) for n in range(TEXTS)}
    columns |= {f"features{n}": column(np.array(features, dtype=object), pa.string()) for n in range(FEATURES)}
    return pa.table(columns)


def avro_schema(table: pa.Table) -> Any:
    fields = [
        {"name": field.name, "type": ["null", _AVRO.get(field.type, "string")], "default": None}
        for field in table.schema
    ]
    return fastavro.parse_schema({"type": "record", "name": "alert", "fields": fields})


def avro_rows(table: pa.Table, schema: Any) -> list[bytes]:
    rows = []
    for row in table.to_pylist():
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, row)
        rows.append(stream.getvalue())
    return rows


def from_avro(rows: list[bytes], schema: Any, kinds: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([fastavro.schemaless_reader(io.BytesIO(row), schema, None) for row in rows], kinds)


def cells(table: pa.Table) -> list[BatchMutation]:
    """Return what a cell a column sends: every value that is not null, as text."""
    names = [b"i:" + name.encode() for name in table.column_names]
    columns = [column.cast(pa.string()).cast(pa.binary()).to_pylist() for column in table.columns]
    return [
        BatchMutation(
            row=b"key",
            mutations=[
                Mutation(column=name, value=value) for name, value in zip(names, row, strict=True) if value is not None
            ],
        )
        for row in zip(*columns, strict=True)
    ]


def packed_cells(rows: list[bytes]) -> list[BatchMutation]:
    return [BatchMutation(row=b"key", mutations=[Mutation(column=b"alert:row", value=row)]) for row in rows]


def main(
    alerts: Annotated[int, typer.Option(help="alerts at once: 1,575 are those of the largest object")] = 1575,
    rounds: Annotated[int, typer.Option(help="rounds of each way, in turn")] = 7,
) -> None:
    console = Console()
    table = make_alerts(alerts)
    kinds, schema = canonical(table.schema), avro_schema(table)
    packed, avro = pack(table)[1], avro_rows(table, schema)
    if not unpack(packed, lambda _: kinds).equals(table) or not from_avro(avro, schema, table.schema).equals(table):
        raise typer.Exit(code=1)
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "pack, and a mutation an alert": (lambda: packed_cells(pack(table)[1]), sum(map(len, packed))),
        "… a cell a column": (lambda: cells(table), sum(len(m.value) for b in cells(table) for m in b.mutations)),
        "… fastavro, a call a row": (lambda: packed_cells(avro_rows(table, schema)), sum(map(len, avro))),
        "unpack": (lambda: unpack(packed, lambda _: kinds), 0),
        "… three columns of it": (lambda: unpack(packed, lambda _: kinds, SOME), 0),
        "… fastavro, a call a row ": (lambda: from_avro(avro, schema, table.schema), 0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (way, _size) in ways.items():
            started = time.process_time()
            way()
            seconds[name].append(time.process_time() - started)
    report = Table("", "ms", "bytes an alert, without keys", title=f"{alerts:,} alerts of {table.num_columns} columns")
    for name, (_way, size) in ways.items():
        report.add_row(
            name, spread([1000 * each for each in seconds[name]], digits=1), f"{size / alerts:,.0f}" * bool(size)
        )
    console.print(report, f"processor time, {rounds} rounds; {machine()}")


if __name__ == "__main__":
    typer.run(main)
