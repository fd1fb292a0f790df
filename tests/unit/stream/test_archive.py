"""The job that brings alerts to HBase, over a database of memory that fails when it is told to."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from archived import TABLES, raw_rows, science_rows, store_science

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.archive.columns import publish
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.owner import Owner
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import KeyRange, Row
from fink_broker.archive.hbase.tables import needed
from fink_broker.archive.hbase.writing import create_tables
from fink_broker.archive.merging import merge_night
from fink_broker.archive.reading import nights_of
from fink_broker.config.model import ArchiveConfig, Config, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.stream import archive as job
from fink_broker.stream import patience, space
from fink_broker.stream.archive import Archiving
from fink_broker.stream.archive_marks import Marks
from fink_broker.stream.archiving import rewrite_night

EVERYTHING = KeyRange(b"", b"\xff" * 64)


class Killed(BaseException):
    """The process ends here."""


class FailingStore(MemoryStore):
    """A database in whose every n-th put the process that asks is killed, half of the rows written."""

    def __init__(self) -> None:
        super().__init__()
        self.kill_at: int | None = None
        self.puts = 0

    def put(self, table: str, rows: Sequence[Row], time_ms: int | None = None) -> None:
        self.puts += 1
        if self.kill_at is not None and self.puts >= self.kill_at:
            super().put(table, rows[: len(rows) // 2], time_ms)
            raise Killed
        super().put(table, rows, time_ms)


@pytest.fixture(scope="module")
def alerts(shared_data: Path) -> pa.Table:
    """Return alerts of two nights."""
    return science_rows(shared_data).slice(0, 400)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    storage = StorageConfig(online=str(tmp_path / "online"), state=tmp_path / "state", min_free_gib=0.0)
    return Config(storage=storage, archive=ArchiveConfig(batch_alerts=60, partitions=2))


@pytest.fixture
def science(config: Config, alerts: pa.Table) -> AlertTable:
    """Return a science table of several commits."""
    table = AlertTable(Layout(config.storage.online).table("science"))
    for number, first in enumerate(range(0, len(alerts), 140)):
        store_science(table, alerts.slice(first, 140), f"science-{number}")
    return table


def archive_of(store: MemoryStore) -> Archive:
    return Archive(store, TABLES)


def run_until(config: Config, archive: Archive, done: Callable[[], bool], seconds: float = 30.0) -> list[str]:
    """Run the job until something holds; return what it said."""
    stop, said = threading.Event(), []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            Archiving(config, archive).run(stop, said.append)
        except BaseException as error:
            failure.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + seconds
    while worker.is_alive() and not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    worker.join(20)
    assert not worker.is_alive()
    if failure:
        raise failure[0]
    assert done()
    return said


def log_of(config: Config) -> list[Commit]:
    return AlertTable(Layout(config.storage.online).table("archived")).log.read_all()


def caught_up(config: Config, science: AlertTable) -> Callable[[], bool]:
    """Return a function that tells whether every science commit is archived, and the records of nights are written."""
    wanted = [commit.id for commit in science.log.read_all()]

    def done() -> bool:
        log = log_of(config)
        mark = Path(config.storage.online) / "archived" / "_nights" / "next.json"
        known = json.loads(mark.read_text())["next"] if mark.exists() else 0
        return [name for commit in log for name in commit.inputs] == wanted and known == len(log)

    return done


def content(store: MemoryStore) -> dict[str, list[tuple[bytes, dict[bytes, bytes]]]]:
    """Return all a database holds."""
    return {
        name: [(key, dict(cells)) for key, cells in store.scan(name, EVERYTHING)] for name in sorted(needed(TABLES))
    }


def test_every_alert_is_archived_once_and_counts_close(config: Config, science: AlertTable, alerts: pa.Table) -> None:
    archive = archive_of(MemoryStore())
    run_until(config, archive, caught_up(config, science))
    commits = log_of(config)
    assert (
        sum(commit.counts["in"] for commit in commits) == sum(commit.counts["out"] for commit in commits) == len(alerts)
    )
    ids = sorted(set(alerts["objectId"].to_pylist()))
    found = archive.alerts(ids)
    assert sorted(found["i:candid"].to_pylist()) == sorted(alerts["candid"].to_pylist())
    for commit in commits:
        assert commit.files == []
        assert commit.details["tables"]["main"]["rows"] == commit.counts["out"]
        assert commit.details["tables"]["main"]["bytes"] > 1000 * commit.counts["out"]
        assert sum(number for _, number in commit.details["latency_histogram"]) == commit.counts["out"]
        assert commit.details["latency_seconds"]["max"] < 3600


def test_fresh_alerts_are_there_soon_after_their_commit(config: Config, alerts: pa.Table) -> None:
    table = AlertTable(Layout(config.storage.online).table("science"))
    table.create()
    archive = archive_of(MemoryStore())
    name = alerts["objectId"][300].as_py()
    times: dict[str, float] = {}

    def readable() -> bool:
        if "ready" not in times:
            times["ready"] = time.monotonic()
            threading.Timer(0.5, store_science, (table, alerts.slice(300, 5))).start()
        elif "seen" not in times and TABLES in archive.store._tables and len(archive.latest_alert(name)):
            times["seen"] = time.monotonic()
        return "seen" in times

    run_until(config, archive, readable)
    assert times["seen"] - times["ready"] < 0.5 + 2.0


def test_killed_at_any_put_it_leaves_what_a_clean_run_does(config: Config, science: AlertTable, tmp_path: Path) -> None:
    clean = MemoryStore()
    run_until(config, archive_of(clean), caught_up(config, science))
    elsewhere = config.model_copy(
        update={"storage": config.storage.model_copy(update={"online": str(tmp_path / "other")})}
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "science").symlink_to(tmp_path / "online" / "science")
    store, chance, kills = FailingStore(), random.Random(5), 0
    for _ in range(6):
        store.kill_at = store.puts + chance.randrange(1, 120)
        try:
            run_until(elsewhere, archive_of(store), caught_up(elsewhere, science))
            break
        except Killed:
            kills += 1
    store.kill_at = None
    run_until(elsewhere, archive_of(store), caught_up(elsewhere, science))
    assert kills > 2
    assert content(store) == content(clean)


def test_while_the_database_is_away_it_waits_and_loses_nothing(
    config: Config, science: AlertTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.3)
    clean, store = MemoryStore(), MemoryStore()
    run_until(config, archive_of(clean), caught_up(config, science))
    other = config.model_copy(update={"storage": config.storage.model_copy(update={"online": config.storage.online})})
    folder = Path(config.storage.online) / "archived"
    folder.rename(folder.with_name("archived before"))
    store.away = True
    threading.Timer(0.6, setattr, (store, "away", False)).start()
    threading.Timer(0.75, setattr, (store, "away", True)).start()
    threading.Timer(1.5, setattr, (store, "away", False)).start()
    said = run_until(other, archive_of(store), caught_up(other, science))
    assert any(text.startswith("waiting for HBase (") for text in said)
    assert "running" in said
    assert content(store) == content(clean)


def test_told_to_stop_while_the_database_is_away_it_ends_at_once(config: Config, science: AlertTable) -> None:
    store = MemoryStore()
    store.away = True
    started = time.monotonic()
    run_until(config, archive_of(store), lambda: store.calls > 1)
    assert time.monotonic() - started < 5
    assert log_of(config) == []


def test_the_records_of_nights_are_sums_of_all_alerts(config: Config, science: AlertTable, alerts: pa.Table) -> None:
    raw = AlertTable(Layout(config.storage.online).table("raw"))
    few = raw_rows([{"objectId": "ZTF24aaaaaaa", "candid": 1, "candidate": {"jd": 2460000.7}}] * 7)
    files = store_science(raw, few, "raw-0")  # the same shape of table
    night = files[0].partition
    extra = alerts.slice(0, 3)
    table = AlertTable(Layout(config.storage.online).table("science"))
    store_science(table, extra, "science-late")
    _name_inputs(table, "science-late", ["raw-0"])
    archive = archive_of(MemoryStore())
    run_until(config, archive, caught_up(config, table))
    records = dict(archive.records("statistics", EVERYTHING))
    published = publish(pa.concat_tables([alerts, extra]))
    nights = _nights(published)
    assert set(records) == {f"ztf_{name}" for name in {*nights, night}}
    assert records[f"ztf_{night}"]["basic:raw"] == 7
    for name, rows in nights.items():
        record = records[f"ztf_{name}"]
        assert record["basic:sci"] == len(rows)
        assert record["basic:n_g"] == sum(row["i:fid"] == 1 for row in rows)
        assert record["basic:n_r"] == sum(row["i:fid"] == 2 for row in rows)
        assert record["basic:exposures"] == len({row["i:jd"] for row in rows})
        assert record["basic:fields"] == len({row["i:field"] for row in rows})
        labels = [row["d:classification"] for row in rows]
        told = {key[6:]: number for key, number in record.items() if key.startswith("class:")}
        assert {label: told.pop(label) for label in set(labels)} == {
            label: labels.count(label) for label in set(labels)
        }
        assert set(told) == {"simbad_tot", "simbad_gal"}
        assert told["simbad_tot"] == sum(
            row["d:cdsxmatch"] != "Unknown" and not row["d:cdsxmatch"].startswith("Fail") for row in rows
        )


@pytest.mark.parametrize("name", ["", "Z" * 40_000], ids=["no name", "a name no key can hold"])
def test_an_alert_that_cannot_be_archived_is_told_and_stops_nothing(
    config: Config, alerts: pa.Table, name: str
) -> None:
    names = alerts["objectId"].slice(0, 30).to_pylist()
    names[11] = name
    place = alerts.column_names.index("objectId")
    spoilt = alerts.slice(0, 30).set_column(place, "objectId", pa.array(names))
    table = AlertTable(Layout(config.storage.online).table("science"))
    store_science(table, spoilt)
    run_until(config, archive_of(MemoryStore()), caught_up(config, table))
    (commit,) = log_of(config)
    assert commit.counts == {"in": 30, "out": 29, "failed": 1}
    (told,) = commit.details["refused"]
    assert told["candid"] == alerts["candid"][11].as_py()
    assert told["place"].startswith("night=")
    assert told["reason"]


def test_an_hbase_that_lost_all_is_told_until_the_nights_are_written_again(
    config: Config, science: AlertTable, alerts: pa.Table, caplog: pytest.LogCaptureFixture
) -> None:
    clean = MemoryStore()
    assert run_until(config, archive_of(clean), caught_up(config, science))[-1] == "running"
    emptied = archive_of(MemoryStore())
    assert run_until(config, emptied, lambda: len(Marks(config).nights()) == len(set(nights_of(science))))[-1] == (
        "running; a night is not in HBase as in Parquet: `fink archive rebuild` mends that"
    )
    assert "HBase has lost all alerts" in caplog.text
    store_science(science, with_candid(alerts.slice(0, 1), 7), "science-late")
    said = run_until(config, emptied, caught_up(config, science))
    assert "running; a night" in said[-1], "an alert that came since does not hide those that are missing"
    for night in nights_of(science):
        rewrite_night(config, night, archive=emptied)
    assert run_until(config, emptied, caught_up(config, science))[-1] == "running"
    found = emptied.alerts(sorted(set(alerts["objectId"].to_pylist())))
    assert sorted(found["i:candid"].to_pylist()) == sorted([7, *alerts["candid"].to_pylist()])


def test_tables_of_another_broker_are_left_alone(config: Config, science: AlertTable, tmp_path: Path) -> None:
    ours, theirs = archive_of(MemoryStore()), Owner(tmp_path / "another" / "hbase")
    ours.schemas.owner = Owner(tmp_path / "hbase")
    create_tables(ours)
    theirs.require(ours.store, ours.name("schema"))
    with pytest.raises(ServiceError, match=r"another broker's.*hbase\.embedded_port"):
        run_until(config, ours, lambda: False)
    assert not log_of(config)
    assert list(ours.store.scan(TABLES, EVERYTHING)) == []


def test_much_that_waits_is_taken_in_few_bites(
    config: Config, alerts: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = AlertTable(Layout(config.storage.online).table("science"))
    for number in range(12):
        store_science(table, alerts.slice(10 * number, 10), f"science-{number:02d}")
    monkeypatch.setattr(job, "MOST_ALERTS", 75)
    run_until(config, archive_of(MemoryStore()), caught_up(config, table))
    assert [len(commit.inputs) for commit in log_of(config)] == [8, 4]


def test_a_night_that_was_merged_before_it_was_archived_is_read_as_merged(config: Config, alerts: pa.Table) -> None:
    table = AlertTable(Layout(config.storage.online).table("science"))
    ours = alerts.filter(pa.array(np.floor(publish(alerts)["i:jd"].to_numpy() - 0.5) == 2460235.0))
    first, second = ours.slice(0, 60), ours.slice(60, 30)
    for number in range(3):
        store_science(table, first.slice(20 * number, 20), f"science-{number}")
    small = table.log.read_all()
    merge_night(table, "20231018", 3)
    for commit in small:
        for file in commit.files:
            table.storage.remove(file.path)
    store_science(table, second, "science-3")
    archive = archive_of(MemoryStore())
    run_until(config, archive, caught_up(config, table))
    commits = log_of(config)
    assert sum(commit.counts["out"] for commit in commits) == sum(commit.counts["in"] for commit in commits) == 90
    found = archive.alerts(sorted(set(ours["objectId"].slice(0, 90).to_pylist())))
    assert sorted(found["i:candid"].to_pylist()) == sorted(ours["candid"].slice(0, 90).to_pylist())
    ((_, record),) = archive.records("statistics", EVERYTHING)
    assert record["basic:sci"] == 90


def test_a_full_disk_pauses_it(
    config: Config, science: AlertTable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(space, "SPACE_SECONDS", 0.05)
    free = iter([0.1, 0.1, 0.1])
    storage = config.storage.model_copy(update={"min_free_gib": 1.0, "warn_free_gib": 1e6})
    least = config.model_copy(update={"storage": storage})
    monkeypatch.setattr(space, "free_gib", lambda _folder: next(free, 50.0))
    said = run_until(least, archive_of(MemoryStore()), caught_up(least, science))
    assert any(text.startswith("paused: 0.10 GiB free on the disk of ") for text in said)
    assert sum("nearly full" in entry.message for entry in caplog.records) == 2  # once for each folder
    assert said[-1] == "running"


def with_candid(alerts: pa.Table, candid: int) -> pa.Table:
    return alerts.set_column(alerts.column_names.index("candid"), "candid", pa.array([candid] * len(alerts)))


def _nights(published: pa.Table) -> dict[str, list[dict[str, Any]]]:
    days = np.floor(published["i:jd"].to_numpy() - 0.5)
    names = {day: (np.datetime64("1970-01-01") + int(day - 2440587)).item().strftime("%Y%m%d") for day in set(days)}
    return {names[day]: published.filter(pc.equal(pa.array(days), day)).to_pylist() for day in names}


def _name_inputs(table: AlertTable, commit_id: str, inputs: list[str]) -> None:
    """Write into a commit from which raw batches it came."""
    (path,) = Path(table.storage.root).glob(f"_commits/*/*-{commit_id}.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inputs": inputs}))
