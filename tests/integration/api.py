"""A served API over a real HBase that holds the real alerts, with the science table their images are in."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from archived import fill, science_rows, store_science

from fink_broker.archive import columns
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.statistics import by_night, record_key
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.archive.hbase.writing import create_tables
from fink_broker.archive.reading import read_rows
from fink_broker.archive.table import AlertTable
from fink_broker.config import Config
from fink_broker.config.model import ApiConfig, HBaseConfig, StorageConfig
from fink_broker.portal.service import run
from fink_broker.service.hbase import HBaseServer
from fink_broker.service.ports import free_port

UP_SECONDS = 30.0
HBASE_SECONDS = 3.0


@dataclass(frozen=True)
class Served:
    """An API that is up.

    Parameters
    ----------
    config : Config
        Its configuration; ``hbase.tables`` are its own.
    archive : Archive
        What it reads, for tests to look into and add to.
    science : pyarrow.Table
        The archived alerts as rows of the science table.
    """

    config: Config
    archive: Archive
    science: pa.Table

    @property
    def url(self) -> str:
        """Where its routes are, without a slash at the end."""
        return f"http://{self.config.api.host}:{self.config.api.port}/api/v1"

    @cached_property
    def published(self) -> pa.Table:
        """The archived alerts as published columns."""
        return columns.publish(self.science)

    def get(self, route: str, **arguments: object) -> httpx.Response:
        """Ask by GET; ``class_`` stands for ``class``, ``output_format`` for ``output-format``."""
        return httpx.get(f"{self.url}/{route}", params=_names(arguments), timeout=30)

    def post(self, route: str, **arguments: object) -> httpx.Response:
        """Ask by POST with a JSON body."""
        return httpx.post(f"{self.url}/{route}", json=_names(arguments), timeout=30)


@pytest.fixture(scope="session")
def served_archive(
    hbase: HBaseServer, hbase_config: Config, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Return an API of the current generation over all real alerts, shared by all tests of this run."""
    served = _filled(hbase_config, shared_data, tmp_path_factory.mktemp("api"))
    stop, up = threading.Event(), threading.Event()

    def say(text: str) -> None:
        if text.startswith("serving"):
            up.set()

    thread = threading.Thread(target=run, args=(served.config, stop, say), name="api")
    thread.start()
    assert up.wait(UP_SECONDS)
    yield served
    stop.set()
    thread.join(UP_SECONDS)
    served.archive.close()


def _filled(hbase_config: Config, shared_data: Path, folder: Path) -> Served:
    ports = hbase_config.hbase.model_dump() | {"tables": f"api{uuid.uuid4().hex[:8]}", "timeout_seconds": HBASE_SECONDS}
    config = Config(
        storage=StorageConfig(online=str(folder / "online"), state=folder / "state"),
        hbase=HBaseConfig(**ports),
        api=ApiConfig(port=free_port(), resolvers=["none"], ssoft_folder=str(folder / "ssoft")),
    )
    archive = open_archive(config)
    create_tables(archive)
    science = science_rows(shared_data)
    table = AlertTable(str(folder / "online" / "science"))
    for file in store_science(table, science):
        (rows,) = read_rows(table, file, rows=len(science))
        fill(archive, rows, file.path)
    served = Served(config, archive, science)
    nights = by_night(served.published)
    archive.put_records(STATISTICS, [(record_key(night), tally.record()) for night, tally in nights.items()])
    return served


def _names(arguments: dict[str, object]) -> dict[str, object]:
    return {name.rstrip("_").replace("output_format", "output-format"): value for name, value in arguments.items()}
