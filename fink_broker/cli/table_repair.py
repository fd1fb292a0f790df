"""Mending the Parquet tables of a night: what killed jobs and merges have left, and lists of files that are lost."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
from rich.console import Console

from fink_broker.archive import AlertTable, DataFile, Layout
from fink_broker.archive.reading import read_rows
from fink_broker.archive.relisting import forget_unfinished, relist
from fink_broker.archive.retiring import retire_strangers
from fink_broker.config import Config
from fink_broker.errors import DataError, FinkError
from fink_broker.service.state import StateStore
from fink_broker.stream.agreement import Candids, held

#: The job that fills each table.
JOBS = {"raw": "stream2raw", "science": "raw2science", "topics": "distribution"}


def running_jobs(config: Config) -> frozenset[str]:
    """Return the tables whose job runs now."""
    states = StateStore(config.storage.state)
    found = {name: states.read(job) for name, job in JOBS.items()}
    return frozenset(name for name, state in found.items() if state is not None and state.running)


def repair_tables(config: Config, night: str, console: Console) -> None:
    """Mend what can be of a night's files, where the job that fills the table does not run.

    No file goes that may be the only one to hold an alert.

    Parameters
    ----------
    config : Config
        The configuration in force.
    night : str
        Observing night, ``YYYYMMDD``.
    console : Console
        Told what was done, and what could not be.
    """
    layout, states = Layout(config.storage.online), StateStore(config.storage.state)
    for name, job in JOBS.items():
        table = AlertTable(layout.table(name))
        try:
            with states.only_one(job), table.merged.alone():
                for sentence in _repaired(layout, table, name, night):
                    console.print(f"{name}: {sentence}", markup=False)
        except FinkError as error:
            console.print(f"{name} is left as it is: {error}", markup=False)


def _repaired(layout: Layout, table: AlertTable, name: str, night: str) -> list[str]:
    """Mend a table nobody else changes; return what was done."""
    done = []
    if name == "raw":
        AlertTable(layout.table("rejected")).recover(committed=table.log)
    done += [f"what the batch {each} had left was removed; it runs again." for each in table.recover()]
    merged = relist(table, night)
    if merged is not None:
        done.append(f"the list of its {len(merged.files):,} merged files was made from these files.")
    kept = forget_unfinished(table, night)
    done += [f"the merged file {path} stays: it may be the only copy of its alerts." for path in kept]
    return done + _without_strangers(table, night)


def _without_strangers(table: AlertTable, night: str) -> list[str]:
    """List files to go that no batch has brought and that hold no alert of their own; return what became of each."""
    found = held(table, "", night, quick=True)
    strangers = [path for path in found.unknown if not path.rpartition("/")[2].startswith("merged-")]
    told, going = [], []
    for path in strangers:
        own = np.setdiff1d(_candids(table, night, path), found.candids)
        if len(own):
            told.append(f"the file {path} stays: {len(own):,} of its alerts are nowhere else in the table.")
        else:
            told.append(f"the file {path}, which belongs to no batch, holds nothing of its own and goes soon.")
            going.append(path)
    if going:
        retire_strangers(table.storage, night, going)
    return told


def _candids(table: AlertTable, night: str, path: str) -> Candids:
    """Return the alerts of a file, none if it cannot be read."""
    try:
        parts = read_rows(table, DataFile(path, night, 0, 0), ["candid"], 8192)
        found = [pc.fill_null(rows["candid"], 0).to_numpy().astype(np.int64) for rows in parts]
    except (DataError, KeyError):
        return np.empty(0, np.int64)
    return np.concatenate([np.empty(0, np.int64), *found])
