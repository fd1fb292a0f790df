"""Alerts in a real HBase: equal to the science table, after kills and outages too."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archived import science_rows, store_science

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.archive.columns import publish
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.archive.hbase.tables import needed
from fink_broker.config import Config
from fink_broker.config.model import ArchiveConfig, HBaseConfig, StorageConfig
from fink_broker.service.hbase import HBaseServer
from fink_broker.stream.archive import Archiving
from fink_broker.stream.archiving import hbase_candids, rewrite_night

pytestmark = pytest.mark.integration

EVERYTHING = KeyRange(b"", b"\xff" * 64)
ROWS_A_COMMIT = 70
#: Pause of the job that is killed, seconds: whatever the machine, it does not write all before a kill.
PAUSE_SECONDS = 0.3
#: The job as the launcher runs it, in a process that can be killed; it takes in a commit at a time.
JOB = f"""
import sys, threading
from pathlib import Path
from fink_broker.config import Config
from fink_broker.stream import archive
archive.MOST_ALERTS, archive.PAUSE_SECONDS = {ROWS_A_COMMIT}, {PAUSE_SECONDS}
config = Config.model_validate_json(Path(sys.argv[1]).read_text())
archive.run(config, threading.Event(), lambda text: print(text, flush=True))
"""


@pytest.fixture(scope="module")
def alerts(shared_data: Path) -> pa.Table:
    """Return the real alerts of the public night that pass the cuts, and others of many nights."""
    return science_rows(shared_data).slice(0, 560)


@pytest.fixture(scope="module")
def clean(
    hbase: HBaseServer, alerts: pa.Table, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Config, Archive]]:
    """Return where a job that nothing happened to brought all alerts."""
    config = config_at(tmp_path_factory.mktemp("clean"), hbase)
    archive = open_archive(config)
    store_batches(config, alerts)
    with job_thread(config, archive):
        wait_for(lambda: len(taken(config)) == len(batches(alerts)))
    yield config, archive
    archive.store.close()


def config_at(folder: Path, hbase: HBaseServer) -> Config:
    """Return a configuration with tables of its own."""
    storage = StorageConfig(online=str(folder / "online"), state=folder / "state", min_free_gib=0.0)
    database = HBaseConfig(servers=hbase.address, tables=f"t{uuid.uuid4().hex[:8]}", timeout_seconds=2.0)
    return Config(storage=storage, hbase=database, archive=ArchiveConfig(batch_alerts=40))


def batches(alerts: pa.Table) -> list[pa.Table]:
    return [alerts.slice(first, ROWS_A_COMMIT) for first in range(0, len(alerts), ROWS_A_COMMIT)]


def store_batches(config: Config, alerts: pa.Table) -> None:
    table = AlertTable(Layout(config.storage.online).table("science"))
    for number, rows in enumerate(batches(alerts)):
        store_science(table, rows, f"science-{number}")


def log_of(config: Config) -> list[Commit]:
    return AlertTable(Layout(config.storage.online).table("archived")).log.read_all()


def taken(config: Config) -> list[str]:
    """Return the science commits that are archived, the records of nights included."""
    mark = Path(config.storage.online) / "archived" / "_nights" / "next.json"
    reached = json.loads(mark.read_text())["next"] if mark.exists() else 0
    return [name for commit in log_of(config)[:reached] for name in commit.inputs]


def wait_for(done: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@contextmanager
def job_thread(config: Config, archive: Archive) -> Iterator[list[str]]:
    """Run the job in this process; give what it says."""
    stop, said = threading.Event(), []
    worker = threading.Thread(target=Archiving(config, archive).run, args=(stop, said.append))
    worker.start()
    try:
        yield said
    finally:
        stop.set()
        worker.join(30)
    assert not worker.is_alive()


@contextmanager
def job_process(settings: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the job in a process of its own; it is killed at the end."""
    with subprocess.Popen([sys.executable, "-c", JOB, str(settings)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while process.stdout.readline().strip() != "running":
                assert process.poll() is None
            yield process
        finally:
            process.kill()


def content(archive: Archive) -> dict[str, list[tuple[bytes, dict[bytes, bytes]]]]:
    """Return all that is in the tables of an archive."""
    return {
        name.removeprefix(archive.tables): [(key, dict(cells)) for key, cells in archive.store.scan(name, EVERYTHING)]
        for name in sorted(needed(archive.tables))
    }


def test_what_is_read_back_is_the_science_table_value_by_value(clean: tuple[Config, Archive], alerts: pa.Table) -> None:
    config, archive = clean
    wanted = publish(alerts)
    found = archive.alerts(sorted(set(alerts["objectId"].to_pylist())))
    assert set(found.column_names) == set(wanted.column_names)
    ours, theirs = (
        table.take(pa.array(np.argsort(table["i:candid"].to_numpy()))).select(wanted.column_names)
        for table in (found, wanted)
    )
    for name in wanted.column_names:
        kinds = ours.schema.field(name).type, theirs.schema.field(name).type
        assert kinds[0] == kinds[1] or (pa.types.is_list(kinds[0]) and kinds[0].value_type == kinds[1].value_type), name
        assert repr(ours[name].to_pylist()) == repr(theirs[name].to_pylist()), name
    assert sum(commit.counts["out"] for commit in log_of(config)) == len(alerts)


def test_killed_at_random_moments_it_leaves_what_a_clean_run_does(
    clean: tuple[Config, Archive], hbase: HBaseServer, alerts: pa.Table, tmp_path: Path
) -> None:
    config = config_at(tmp_path, hbase)
    Path(config.storage.online).mkdir()
    (Path(config.storage.online) / "science").symlink_to(Path(clean[0].storage.online) / "science")
    settings = tmp_path / "config.json"
    settings.write_text(config.model_dump_json())
    chance, left = random.Random(3), []
    for _ in range(3):
        before = len(log_of(config))
        with job_process(settings) as process:
            wait_for(lambda before=before: len(log_of(config)) > before)
            time.sleep(chance.uniform(0.0, 2 * PAUSE_SECONDS))  # in the pause, or while the next ones are written
            process.kill()
        left.append(len(batches(alerts)) - len(taken(config)))
    with job_process(settings):
        wait_for(lambda: len(taken(config)) == len(batches(alerts)))
    assert left[0] > 0
    archive = open_archive(config)
    found, wanted = content(archive), content(clean[1])
    archive.store.close()
    for name, rows in wanted.items():
        assert found[name] == rows, name
    assert sum(commit.counts["out"] for commit in log_of(config)) == len(alerts)


def test_the_thrift_server_stands_still_for_seconds_and_nothing_is_lost(
    hbase: HBaseServer, alerts: pa.Table, tmp_path: Path
) -> None:
    config = config_at(tmp_path, hbase)
    archive = open_archive(config)
    thrift = hbase.thrift.pid
    with job_thread(config, archive) as said:
        wait_for(lambda: "running" in said)
        os.kill(thrift, signal.SIGSTOP)
        try:
            store_batches(config, alerts.slice(0, 100))
            wait_for(lambda: any(text.startswith("waiting for HBase (") for text in said))
        finally:
            os.kill(thrift, signal.SIGCONT)
        wait_for(lambda: len(taken(config)) == 2)
    names = sorted(set(alerts["objectId"].slice(0, 100).to_pylist()))
    assert sorted(archive.alerts(names)["i:candid"].to_pylist()) == sorted(alerts["candid"].slice(0, 100).to_pylist())
    archive.store.close()


def test_a_night_archived_anew_has_the_same_alerts(clean: tuple[Config, Archive], alerts: pa.Table) -> None:
    config, archive = clean
    published = publish(alerts)
    ours = published.filter(pa.array(np.floor(published["i:jd"].to_numpy() - 0.5) == 2460235.0))
    before = content(archive)
    assert rewrite_night(config, "20231018", archive=archive) == len(ours)
    assert content(archive) == before
    assert {candid for _, _, candid in hbase_candids(config, "20231018")} == set(ours["i:candid"].to_pylist())
