"""Alerts into HBase: the main table and all index tables, what each table costs, and who works how long for it.

The same alerts are written twice in turn: packed, one cell an alert, as the archive does; and one cell a column, the
main table alone, as brokers did before. HBase is started for this, in a folder that goes afterwards.

    python -m benchmarks.archive
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated

import psutil
import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.archived_sky import Sky
from benchmarks.measure import MIB, machine, memory_of, spread
from fink_broker.archive.columns import publish
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import database_rows, places
from fink_broker.archive.hbase.store import KeyRange, Row
from fink_broker.archive.hbase.tables import main_keys
from fink_broker.archive.hbase.writing import Written, create_tables, write
from fink_broker.config import Config
from fink_broker.config.model import HBaseConfig, StorageConfig
from fink_broker.service import java_parts
from fink_broker.service.hbase import HBaseServer
from fink_broker.service.ports import free_port

CELLS_TABLE = "one_cell_a_column"
_MEMORY_STEPS = 10


@dataclass
class Run:
    """What it took to write some alerts.

    Parameters
    ----------
    alerts : int
        How many.
    seconds : float
        From the first to the last.
    processor : dict
        Processor time (s) of this process, of HBase, and of its Thrift server.
    tables : dict
        What went into each table.
    """

    alerts: int
    seconds: float
    processor: dict[str, float]
    tables: dict[str, Written] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Alerts a second."""
        return self.alerts / self.seconds


def main(
    alerts: Annotated[int, typer.Option(help="alerts of each round")] = 10_000,
    rounds: Annotated[int, typer.Option(help="rounds of both ways, in turn")] = 3,
    cells: Annotated[int, typer.Option(help="alerts of a round written one cell a column: it is slow")] = 1_000,
    memory: Annotated[int, typer.Option(help="alerts written while memory is watched; 0: none")] = 100_000,
    partitions: Annotated[int, typer.Option(help="parts written side by side")] = 2,
    batch: Annotated[int, typer.Option(help="alerts written at once")] = 500,
    source: Annotated[str, typer.Option(help="packets: folder, file, or `synthetic`; default: the real ones")] = "",
) -> None:
    """Measure."""
    console = Console()
    console.print(machine())
    with tempfile.TemporaryDirectory() as folder:
        config = _config(Path(folder))
        java_parts.ensure("hbase", console)
        hbase = HBaseServer(config)
        hbase.start()
        try:
            hbase.wait_until_up(threading.Event())
            archive = open_archive(config)
            create_tables(archive)
            archive.store.create_tables({CELLS_TABLE: ("i", "d")})
            sky = Sky(alerts * (rounds + 1) + memory, seed=1, source=source or None).batches(batch)
            _report(_rounds(archive, hbase, sky, alerts, cells, rounds, partitions, batch), console)
            _tell_disk(archive, hbase, Path(folder) / "state" / "hbase", alerts * (rounds + 1), console)
            if memory:
                _watch_memory(archive, hbase, sky, memory, partitions, console)
        finally:
            hbase.terminate()


def _config(folder: Path) -> Config:
    ports = HBaseConfig(embedded_port=free_port(), embedded_zookeeper_port=free_port())
    return Config(storage=StorageConfig(online=str(folder / "online"), state=folder / "state"), hbase=ports)


def _rounds(
    archive: Archive,
    hbase: HBaseServer,
    sky: Iterator[pa.Table],
    alerts: int,
    cells: int,
    rounds: int,
    partitions: int,
    batch: int,
) -> dict[str, list[Run]]:
    """Return the rounds of both ways, after one that is not counted."""
    runs: dict[str, list[Run]] = {"packed": [], "one cell a column": []}
    for number in range(rounds + 1):
        ours = list(islice(sky, max(1, alerts // batch)))
        packed = _timed(hbase, ours, partitions, lambda part: _write_packed(archive, part))
        few = ours[: max(1, cells // batch)]
        columns = _timed(hbase, few, partitions, lambda part: _write_cells(archive, part))
        if number:  # the first warms up Java
            runs["packed"].append(packed)
            runs["one cell a column"].append(columns)
    return runs


def _timed(
    hbase: HBaseServer, parts: list[pa.Table], partitions: int, work: Callable[[pa.Table], dict[str, Written]]
) -> Run:
    """Write parts side by side and return what it took."""
    gc.collect()
    pids = {"python": os.getpid(), "HBase": hbase.master.pid, "Thrift": hbase.thrift.pid}
    before = {name: _processor(pid) for name, pid in pids.items()}
    started = time.perf_counter()
    tables: dict[str, Written] = {}
    with ThreadPoolExecutor(partitions) as pool:
        for written in pool.map(work, parts):
            for name, what in written.items():
                tables[name] = tables.get(name, Written()) + what
    seconds = time.perf_counter() - started
    spent = {name: _processor(pid) - before[name] for name, pid in pids.items()}
    return Run(sum(map(len, parts)), seconds, spent, tables)


def _processor(pid: int | None) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _write_packed(archive: Archive, alerts: pa.Table) -> dict[str, Written]:
    started = time.perf_counter()
    rows = database_rows(alerts, places("night=20210101/a-0.parquet", 0, len(alerts)))
    making = Written(seconds=time.perf_counter() - started)
    return {"making rows": making, **write(archive, rows)}


def _write_cells(archive: Archive, alerts: pa.Table) -> dict[str, Written]:
    """Write published columns as brokers did: a cell a column, values as text."""
    published = publish(alerts)
    names = [name.encode() for name in published.column_names]
    texts = [[b"" if value is None else str(value).encode() for value in column.to_pylist()] for column in published]
    rows: list[Row] = [
        (key, dict(zip(names, cells, strict=True)))
        for key, cells in zip(main_keys(published), zip(*texts, strict=True), strict=True)
    ]
    archive.store.put(CELLS_TABLE, rows)
    return {}


def _report(runs: dict[str, list[Run]], console: Console) -> None:
    packed, cells = runs["packed"], runs["one cell a column"]
    table = Table(title="alerts into HBase, median (least to most)")
    for title in ("", "packed: main and all index tables", "one cell a column: main table alone"):
        table.add_column(title)
    table.add_row("alerts/s", *(spread([run.rate for run in way], digits=0) for way in (packed, cells)))
    for process in packed[0].processor:
        times = ([1000 * run.processor[process] / run.alerts for run in way] for way in (packed, cells))
        table.add_row(f"processor time of {process}, ms an alert", *(spread(each, digits=3) for each in times))
    total = ([1000 * sum(run.processor.values()) / run.alerts for run in way] for way in (packed, cells))
    table.add_row("processor time of all, ms an alert", *(spread(each, digits=3) for each in total))
    console.print(table)
    ratio = [ours.rate / theirs.rate for ours, theirs in zip(packed, cells, strict=True)]
    console.print(f"ratio of rates: {spread(ratio, digits=1)}")
    console.print(_by_table(packed))


def _by_table(packed: list[Run]) -> Table:
    table = Table(title="cost by table, an alert that comes in")
    for title in ("table", "rows", "bytes", "bytes a row", "ms a thread waits"):
        table.add_column(title, justify="left" if title == "table" else "right")
    for name in packed[0].tables:
        sums = [run.tables[name] for run in packed if name in run.tables]
        alerts = sum(run.alerts for run in packed)
        rows, size = sum(each.rows for each in sums), sum(each.bytes for each in sums)
        table.add_row(
            name or "main",
            f"{rows / alerts:.3f}" if rows else "",
            f"{size / alerts:,.0f}" if rows else "",
            f"{size / rows:,.0f}" if rows else "",
            f"{1000 * sum(each.seconds for each in sums) / alerts:.3f}",
        )
    return table


def _tell_disk(archive: Archive, hbase: HBaseServer, folder: Path, alerts: int, console: Console) -> None:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    rows = sum(1 for _ in archive.store.scan(archive.name("jd"), KeyRange(b"", b"\xff")))
    java = sum(memory_of(part.pid) for part in (hbase.master, hbase.thrift) if part.pid)
    console.print(
        f"{rows:,} of {alerts:,} alerts are there; {size / MIB:,.0f} MiB on disk, write-ahead log and cells a column "
        f"included; memory of HBase {java / MIB:,.0f} MiB"
    )


def _watch_memory(
    archive: Archive, hbase: HBaseServer, sky: Iterable[pa.Table], alerts: int, partitions: int, console: Console
) -> None:
    """Write many alerts as they are made, and tell the memory of this process on the way."""
    seen: list[float] = []
    written, started = 0, time.perf_counter()
    with ThreadPoolExecutor(partitions) as pool:
        running = []
        for part in sky:
            running.append(pool.submit(_write_packed, archive, part))
            if len(running) > 2 * partitions:
                running.pop(0).result()
            written += len(part)
            if written * _MEMORY_STEPS // alerts > len(seen):
                seen.append(memory_of(os.getpid()) / MIB)
        for waiting in running:
            waiting.result()
    java = sum(memory_of(part.pid) for part in (hbase.master, hbase.thrift) if part.pid)
    told = ", ".join(f"{each:,.0f}" for each in seen)
    console.print(
        f"memory of python (MiB) over {written:,} alerts, {written / (time.perf_counter() - started):,.0f} alerts/s, "
        f"alerts made on the way: {told}; of HBase at the end {java / MIB:,.0f} MiB"
    )


if __name__ == "__main__":
    typer.run(main)
