"""Memory, load and disks of the machine the dashboard runs on."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from fink_broker.config.model import StorageConfig
from fink_broker.metrics.sample import ServiceSample
from fink_broker.monitor.board.views import DiskView, Level, MachineView

_GIB = 1024**3


def machine_view() -> MachineView:
    """Return load and memory now; the processor's share is that since the last call."""
    memory = psutil.virtual_memory()
    load = os.getloadavg()
    return MachineView(
        host=socket.gethostname(),
        cores=psutil.cpu_count() or 1,
        cpu_percent=psutil.cpu_percent(),
        load=(round(load[0], 2), round(load[1], 2), round(load[2], 2)),
        memory_used_gib=round((memory.total - memory.available) / _GIB, 2),
        memory_total_gib=round(memory.total / _GIB, 2),
        swap_used_gib=round(psutil.swap_memory().used / _GIB, 2),
    )


def disk_views(
    storage: StorageConfig, samples: Iterable[ServiceSample], here: str, *, gone: bool = False
) -> tuple[tuple[DiskView, ...], tuple[str, ...]]:
    """Return the disks of the data and the state on this host and those of services on other hosts, and what is away.

    Parameters
    ----------
    storage : StorageConfig
        Folders, and the free space below which to warn or to pause.
    samples : iterable of ServiceSample
        Of all hosts, of services that run; where two tell of a disk, the later one is believed.
    here : str
        Name of this host.
    gone : bool
        Whether the data that were in ``storage.online`` are not there any more: the folder is on another disk then.
    """
    found: dict[tuple[str, str], tuple[float, float]] = {}
    away = []
    for folder in (storage.online, str(storage.state)):
        if "://" in folder:
            continue
        if gone and folder == storage.online:
            away.append(f"The disk of {folder} is away, or its data were removed.")
            continue
        try:
            place = Path(folder).absolute()
            there = next(path for path in (place, *place.parents) if path.exists())
            usage = shutil.disk_usage(there)
            found[here, folder] = usage.free / _GIB, usage.total / _GIB
        except OSError as error:
            away.append(f"The disk of {folder} cannot be looked at: {error.strerror or error}.")
    for sample in sorted(samples, key=lambda each: each.sampled):
        if sample.host != here:
            found |= {(sample.host, disk.path): (disk.free_gib, disk.total_gib) for disk in sample.disks}
    views = (
        DiskView(host, path, round(free, 2), round(total, 2), disk_level(storage, free))
        for (host, path), (free, total) in found.items()
    )
    return tuple(views), tuple(away)


def disk_level(storage: StorageConfig, free_gib: float) -> Level:
    """Return how urgent it is that so many GiB are free."""
    if free_gib < storage.min_free_gib:
        return "bad"
    return "warn" if free_gib < storage.warn_free_gib else "ok"
