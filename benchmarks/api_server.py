"""An API over an HBase that holds as many alerts as wanted, for benchmarks of those who ask it."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import structlog
from rich.console import Console

from benchmarks import api_objects
from benchmarks.archived_sky import fill
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.archive.hbase.writing import create_tables
from fink_broker.config import Config
from fink_broker.config.model import ApiConfig, HBaseConfig, StorageConfig
from fink_broker.portal.service import run
from fink_broker.service import java_parts
from fink_broker.service.hbase import HBaseServer
from fink_broker.service.ports import free_port

#: Objects of these benchmarks' own: name and alerts. The first is measured often, the second is the largest known.
USUAL, LARGEST = ("ZTF19zzzzzza", 300), ("ZTF19zzzzzzb", 1575)
NIGHTS = 1500
_LOADED = "loaded"


@contextmanager
def filled_hbase(
    folder: Path, alerts: int, heap_mib: int, seed: int, console: Console
) -> Iterator[tuple[Config, HBaseServer, Archive]]:
    """Run an HBase that holds a sky; a folder that was filled before with as many alerts is used as it is."""
    config = _config(folder, heap_mib)
    java_parts.ensure("hbase", console)
    hbase = HBaseServer(config)
    hbase.start()
    try:
        hbase.wait_until_up(threading.Event())
        archive = open_archive(config)
        note = folder / _LOADED
        if not note.is_file() or note.read_text() != f"{alerts} {seed}":
            _load(archive, config, alerts, seed, console)
            note.write_text(f"{alerts} {seed}")
        yield config, hbase, archive
    finally:
        hbase.terminate()


def _config(folder: Path, heap_mib: int) -> Config:
    ports = {"embedded_port": free_port(), "embedded_zookeeper_port": free_port()}
    return Config(
        storage=StorageConfig(online=str(folder / "online"), state=folder / "state"),
        hbase=HBaseConfig(**ports, embedded_heap_mib=heap_mib, connections=16),
        api=ApiConfig(port=free_port(), resolvers=["none"]),
    )


def _load(archive: Archive, config: Config, alerts: int, seed: int, console: Console) -> None:
    create_tables(archive)
    started = time.perf_counter()
    fill(archive, alerts, seed)
    seconds = time.perf_counter() - started
    console.print(f"{alerts:,} alerts written in {seconds:,.0f} s, {alerts / seconds:,.0f} alerts/s")
    rng = np.random.default_rng(seed)
    for name, count in (USUAL, LARGEST):
        rows = api_objects.science_rows(name, count, rng.uniform(0, 360), rng.uniform(-20, 80), rng)
        api_objects.add(archive, config, api_objects.with_images(rows, rng))
    nights = np.datetime64("2019-11-01") + np.arange(NIGHTS)
    records = [
        (f"ztf_{str(night).replace('-', '')}", {f"class:{number}": number for number in range(60)} | {"basic:sci": 9})
        for night in nights
    ]
    archive.put_records(STATISTICS, records)


def serve(settings: dict[str, Any], stop: Any) -> None:
    """Serve the API until told to stop; runs in a process of its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # not a line a request
    run(Config.model_validate(settings), stop, lambda _text: None)


def wait_until_up(server: Any, port: int) -> int:
    """Wait until the API answers; return the pid of its process."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/api/v1/classes")
            if connection.getresponse().status == http.client.OK:
                return int(psutil.Process(server.pid).pid)
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the API did not come up")
