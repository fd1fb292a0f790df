"""Merge a night: in bounded memory, against reading all of it at once; and one alert's images before and after.

Each way runs in a process of its own, so that the most memory it took is known. Both write the same rows in the same
order, which is checked.

    python -m benchmarks.merge --source <folder of packets>
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.filter_table import NIGHT, quiet_config, science_alerts, store
from benchmarks.measure import MIB, machine, spread
from benchmarks.science_alerts import read_packets
from fink_broker.archive import AlertTable
from fink_broker.archive.additions import additions_of
from fink_broker.archive.lookup import find_alert
from fink_broker.archive.merging import merge_night
from fink_broker.archive.night_writer import NightWriter
from fink_broker.archive.reading import files_of_night, read_night, read_rows

#: Alerts of a small file, as batches bring them at a hundred alerts a second.
SIZE = 50
IMAGES = ["cutoutScience", "cutoutTemplate", "cutoutDifference"]
LOOKS = 200


def main(
    source: Annotated[str, typer.Option(help="Folder or file of packets, or synthetic.")] = "synthetic",
    alerts: Annotated[list[int] | None, typer.Option(help="Alerts of a night; may be repeated.")] = None,
    file_mib: Annotated[int, typer.Option(help="Size of a merged file in MiB.")] = 128,
    way: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    if way:
        print(json.dumps(WAYS[way](folder, file_mib)))
        return
    console = Console(highlight=False)
    console.print(machine())
    distinct = science_alerts(read_packets(source, ""), quiet_config())
    table = Table("alerts", "MB", "files", "way", "s", "MB/s", "most memory, MiB", "files now", "MB now")
    looks = Table("alerts", "one alert's images", "ms: median", "ms: slowest of 20")
    for number in alerts or [5000, 20000]:
        with tempfile.TemporaryDirectory(prefix="fink-merge-") as scratch:
            compare(distinct, number, file_mib, Path(scratch), table, looks)
    console.print(table, looks)


def compare(distinct: pa.Table, number: int, file_mib: int, scratch: Path, table: Table, looks: Table) -> None:
    stored = store(distinct, number, SIZE, scratch / "merged")
    size = sum(file.bytes for file in stored.files)
    shutil.copytree(scratch / "merged", scratch / "at_once")
    look(scratch / "merged", number, "in the small files", looks)
    look(scratch / "merged", number, "in the small files, told where", looks, told=True)
    for way in WAYS:
        done = in_a_process(way, scratch / way, file_mib)
        now = [f"{done['files']:,}", f"{done['bytes'] / 1e6:,.0f}"]
        seconds = done["seconds"]
        memory = f"{done['memory'] / MIB:,.0f}"
        row = [f"{number:,}", f"{size / 1e6:,.0f}", f"{len(stored.files):,}", way.replace("_", " ")]
        table.add_row(*row, f"{seconds:.1f}", f"{size / 1e6 / seconds:.0f}", memory, *now)
    if keys(scratch / "merged") != keys(scratch / "at_once"):
        raise SystemExit("The two ways wrote other rows, or in another order.")
    look(scratch / "merged", number, "merged", looks)
    look(scratch / "merged", number, "merged, told where", looks, told=True)


def in_a_process(way: str, folder: Path, file_mib: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.merge", "--way", way, "--folder", folder, "--file-mib", file_mib]
    answer = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    done: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return done


def merged(folder: Path, file_mib: int) -> dict[str, Any]:
    table = AlertTable(str(folder))
    started = time.perf_counter()
    merge_night(table, NIGHT, table.log.end(), additions_of("science"), file_mib=file_mib)
    return told(table, started)


def at_once(folder: Path, file_mib: int) -> dict[str, Any]:
    """Read the night, sort it, write it: the way of a few lines."""
    table = AlertTable(str(folder))
    started = time.perf_counter()
    whole = pa.concat_tables(rows for file in files_of_night(table, NIGHT) for rows in read_rows(table, file))
    keyed = whole.append_column("jd", pc.struct_field(whole["candidate"], "jd"))
    order = pc.sort_indices(keyed, sort_keys=[(name, "ascending") for name in ("objectId", "jd", "candid")])
    with table.merged.alone(), NightWriter(table, NIGHT) as writer:
        rows = max(1, round(len(whole) * file_mib * MIB / sum(file.bytes for file in files_of_night(table, NIGHT))))
        for start in range(0, len(whole), rows):
            writer.write(whole.take(order[start : start + rows]).combine_chunks())
        writer.publish(table.log.end(), len(whole))
    return told(table, started)


WAYS = {"merged": merged, "at_once": at_once}


def told(table: AlertTable, started: float) -> dict[str, Any]:
    seconds = time.perf_counter() - started
    files = files_of_night(table, NIGHT)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "memory": memory, "files": len(files), "bytes": sum(file.bytes for file in files)}


def keys(folder: Path) -> list[tuple[str, int]]:
    found = pa.concat_tables(read_night(AlertTable(str(folder)), NIGHT, ["objectId"]))
    return list(zip(found["objectId"].to_pylist(), found["candid"].to_pylist(), strict=True))


def look(folder: Path, number: int, what: str, looks: Table, *, told: bool = False) -> None:
    """Time how long the images of single alerts take; footers of what was looked at before are known."""
    table, generator = AlertTable(str(folder)), np.random.default_rng(0)
    places = [
        (object_id, candid, (file.path, row))
        for file in files_of_night(table, NIGHT)
        for row, (object_id, candid) in enumerate(identities(folder / file.path))
    ]
    times = []
    for place in generator.integers(len(places), size=LOOKS if told or what == "merged" else 20):
        object_id, candid, hint = places[place]
        started = time.perf_counter()
        found = find_alert(table, NIGHT, object_id, candid, IMAGES, hint if told else None)
        times.append(1e3 * (time.perf_counter() - started))
        if found is None:
            raise SystemExit(f"The alert {candid} was not found {what}.")
    slow = sorted(times)[-max(1, len(times) // 20)]
    looks.add_row(f"{number:,}", what, spread(times, digits=1), f"{slow:.1f}")


def identities(path: Path) -> list[tuple[str, int]]:
    found = pq.ParquetFile(path).read(["objectId", "candid"])
    return list(zip(found["objectId"].to_pylist(), found["candid"].to_pylist(), strict=True))


if __name__ == "__main__":
    typer.run(main)
