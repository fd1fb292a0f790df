"""``fink science tracklets``."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from fink_broker.cli.alert_files import Fields, batches
from fink_broker.cli.science_run import check_out, write
from fink_broker.science import tracklets

ROOT = ["candid", "objectId"]


def find(file: Path, out: Path | None) -> int:
    """Find the tracklets of a night, print them, and write which alert belongs to which; return the exit code."""
    check_out(out)
    console = Console(stderr=True)
    fields = Fields(ROOT, [name for name in tracklets.COLUMNS if name != "candid"])
    with console.status("looking for tracklets"):
        found = [pa.RecordBatch.from_struct_array(batch) for batch in batches(file, fields, console.print)]
        alerts = pa.Table.from_batches(found)
        alerts = alerts.append_column("tracklet", tracklets.find_tracklets(alerts))
    members = alerts.filter(pa.compute.not_equal(alerts["tracklet"], ""))
    table = Table("tracklet", "alerts", "jd", "objects", title=f"{len(alerts):,} alerts searched")
    for name in sorted(set(members["tracklet"].to_pylist())):
        of_one = members.filter(pa.compute.equal(members["tracklet"], name)).sort_by("candid")
        table.add_row(name, str(len(of_one)), str(of_one["jd"][0]), " ".join(of_one["objectId"].to_pylist()))
    Console().print(table)
    if out is not None:
        write(alerts.select([*ROOT, "jd", "tracklet"]), out)
        console.print(f"{len(alerts)} rows written to {out}.")
    return 0
