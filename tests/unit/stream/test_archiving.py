"""Nights in HBase that changed in Parquet."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from archived import TABLES, science_rows, store_science

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.columns import publish
from fink_broker.archive.hbase.cells import ALERT_CELL
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import KeyRange, Row
from fink_broker.archive.hbase.tables import needed
from fink_broker.archive.night_writer import NightWriter
from fink_broker.config.model import Config, StorageConfig
from fink_broker.stream import archiving
from fink_broker.stream.archive import Archiving
from fink_broker.stream.archiving import hbase_candids, rewrite_night

EVERYTHING = KeyRange(b"", b"\xff" * 64)
NIGHT = "20231018"


@pytest.fixture(scope="module")
def alerts(shared_data: Path) -> pa.Table:
    """Return alerts of one night, an image and an object each."""
    rows = science_rows(shared_data)
    jd = publish(rows)["i:jd"].to_numpy()
    ours = rows.filter(pa.array(np.floor(jd - 0.5) == 2460235.0)).slice(0, 120)
    assert len(ours) == 120
    return ours


def config_at(folder: Path) -> Config:
    return Config(storage=StorageConfig(online=str(folder / "online"), state=folder / "state", min_free_gib=0.0))


def archived(config: Config, *batches: pa.Table, store: MemoryStore | None = None) -> Archive:
    """Return an archive to which the job brought some batches."""
    archive = Archive(store or MemoryStore(), TABLES)
    table = AlertTable(Layout(config.storage.online).table("science"))
    for number, batch in enumerate(batches):
        store_science(table, batch, f"science-{number}")
    run_job(config, archive, sum(map(len, batches)))
    assert {candid for _, _, candid in hbase_candids(config, NIGHT, archive)} == {
        candid for batch in batches for candid in batch["candid"].to_pylist()
    }
    return archive


def science_of(config: Config) -> AlertTable:
    return AlertTable(Layout(config.storage.online).table("science"))


def replace(config: Config, alerts: pa.Table) -> None:
    """Let the science table of a night hold other alerts, as reprocessing does."""
    table = science_of(config)
    with NightWriter(table, NIGHT) as writer:
        writer.write(alerts)
        writer.publish(table.log.end(), len(alerts))


def run_job(config: Config, archive: Archive, alerts: int) -> None:
    """Let the job take in what there is: commits of so many alerts, all in all."""
    table = AlertTable(Layout(config.storage.online).table("archived"))
    table.create()
    stop = threading.Event()
    worker = threading.Thread(target=Archiving(config, archive).run, args=(stop, print), daemon=True)
    worker.start()
    deadline = time.monotonic() + 20
    while sum(commit.counts["out"] for commit in table.log.read_all()) < alerts and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    worker.join()  # once the records of nights are written
    assert sum(commit.counts["out"] for commit in table.log.read_all()) == alerts


def content(archive: Archive) -> dict[str, Any]:
    """Return what an archive holds, but for schemas, where images are, and positions nobody is at."""
    cells = {
        name: [(key, dict(cells)) for key, cells in archive.store.scan(name, EVERYTHING) if any(cells.values())]
        for name in sorted(needed(TABLES))
        if not name.endswith("schema")
    }
    return {**cells, TABLES: [(key, {n: v for n, v in row.items() if n != b"cutout:at"}) for key, row in cells[TABLES]]}


def changed(alerts: pa.Table, **columns: list) -> pa.Table:
    for name, values in columns.items():
        field = alerts.schema.field(name)
        alerts = alerts.set_column(alerts.column_names.index(name), field, pa.array(values, field.type))
    return alerts


def test_candids_of_a_night_are_those_archived(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts)
    told = {candid: (name, jd) for name, jd, candid in hbase_candids(config, NIGHT, archive)}
    published = publish(alerts).select(["i:candid", "i:objectId", "i:jd"]).to_pylist()
    assert set(told) == {row["i:candid"] for row in published}
    for row in published:
        assert told[row["i:candid"]][0] == row["i:objectId"]
        assert told[row["i:candid"]][1] == pytest.approx(row["i:jd"], abs=1e-7)
    assert list(hbase_candids(config, "20231017", archive)) == []
    assert list(hbase_candids(config, "20231019", archive)) == []


def test_an_alert_without_its_main_row_is_not_there(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts)
    key = next(key for key, _ in archive.store.scan(TABLES, EVERYTHING))
    archive.store.delete(TABLES, [key])
    assert len(list(hbase_candids(config, NIGHT, archive))) == 119
    assert rewrite_night(config, NIGHT, archive=archive) == 120
    assert len(list(hbase_candids(config, NIGHT, archive))) == 120


def test_a_night_archived_anew_is_as_if_it_had_been_so_from_the_start(
    tmp_path: Path, alerts: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "ROWS_AT_ONCE", 32)
    config = config_at(tmp_path)
    archive = archived(config, alerts.slice(0, 70), alerts.slice(70))
    classes = ["SN candidate" if row % 3 else "QSO" for row in range(100)]
    tns = ["SN Ia" if row < 5 else "" for row in range(100)]
    after = changed(alerts.slice(0, 100), finkclass=classes, tns=tns, roid=[0] * 100)  # 20 alerts do not pass any more
    after = after.append_column("tracklet", pa.array(["TRCK_20231018_010203_00"] * 4 + [""] * 96))
    replace(config, after)
    assert rewrite_night(config, NIGHT, archive=archive) == 100
    fresh = config_at(tmp_path / "fresh")
    wanted = archived(fresh, after)
    assert content(archive) == content(wanted)
    assert rewrite_night(config, NIGHT, archive=archive) == 100
    assert content(archive) == content(wanted)
    assert [len(page) for page in archive.in_time("class", "Unknown")] == []
    assert len(archive.with_prefix("tracklet", b"TRCK")) == len(set(after["objectId"].slice(0, 4).to_pylist()))


def test_the_latest_alert_that_is_left_takes_the_place_of_a_lost_one(tmp_path: Path, alerts: pa.Table) -> None:
    published = publish(alerts)
    names = published["i:objectId"].to_pylist()
    name = next(name for name in names if names.count(name) > 1)
    rows = [row for row in range(len(names)) if names[row] == name]
    rows.sort(key=lambda row: published["i:candid"][row].as_py())
    spot = {side: published[f"i:{side}"][rows[-1]].as_py() for side in ("ra", "dec")}
    config = config_at(tmp_path)
    archive = archived(config, alerts)

    def here() -> list[int]:
        near = archive.around(spot["ra"], spot["dec"], 3.0)
        return [row["i:candid"] for row in near.to_pylist() if row["i:objectId"] == name]

    assert here() == [published["i:candid"][rows[-1]].as_py()]
    replace(config, alerts.filter(pa.array([row != rows[-1] for row in range(len(names))])))
    rewrite_night(config, NIGHT, archive=archive)
    assert here() == [published["i:candid"][rows[-2]].as_py()]
    replace_again = alerts.filter(pa.array([each != name for each in names]))
    replace(config, replace_again)
    rewrite_night(config, NIGHT, archive=archive)
    assert here() == []
    assert len(archive.alerts([name])) == 0


def test_the_record_of_the_night_is_that_of_its_alerts_now(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts)
    replace(config, alerts.slice(0, 50))
    rewrite_night(config, NIGHT, archive=archive)
    ((key, record),) = archive.records("statistics", EVERYTHING)
    assert (key, record["basic:sci"]) == (f"ztf_{NIGHT}", 50)
    assert sum(number for name, number in record.items() if name.startswith("class:") and "simbad" not in name) == 50


def test_a_night_nobody_knows_is_no_rows(tmp_path: Path) -> None:
    config = config_at(tmp_path)
    assert rewrite_night(config, "20200101", archive=Archive(MemoryStore(), TABLES)) == 0


class Killed(BaseException):
    """The process ends here."""


class FailingStore(MemoryStore):
    """A database in whose n-th write the process that asks is killed, half of it done."""

    def __init__(self) -> None:
        super().__init__()
        self.kill_at: int | None = None
        self.writes: list[str] = []

    def put(self, table: str, rows: Sequence[Row], time_ms: int | None = None) -> None:
        self._write("put", rows, lambda some: MemoryStore.put(self, table, some, time_ms))

    def delete(self, table: str, keys: Sequence[bytes], time_ms: int | None = None) -> None:
        self._write("delete", keys, lambda some: MemoryStore.delete(self, table, some, time_ms))

    def _write(self, name: str, what: Sequence[Any], write: Callable[[Sequence[Any]], None]) -> None:
        self.writes.append(name)
        if len(self.writes) == self.kill_at:
            write(what[: len(what) // 2])
            raise Killed
        write(what)


def retimed(alerts: pa.Table, **values: Sequence[float]) -> pa.Table:
    """Return alerts of which some values of the candidate are others."""
    field = alerts.schema.field("candidate")
    rows = alerts["candidate"].to_pylist()
    for name, column in values.items():
        for row, value in zip(rows, column, strict=True):
            row[name] = value
    return alerts.set_column(alerts.schema.get_field_index("candidate"), field, pa.array(rows, field.type))


def spot(alerts: pa.Table, *, step_minutes: float = 10.0) -> pa.Table:
    """Return alerts as if they were of one object, one image after the other."""
    count = len(alerts)
    jd = [2460235.6 + number * step_minutes / 1440 for number in range(count)]
    placed = retimed(alerts, jd=jd, ra=[10.0] * count, dec=[10.0] * count)
    candids = [2500000000000000001 + number * 10**12 for number in range(count)]
    return changed(placed, objectId=["ZTF18aaaaaaa"] * count, candid=candids)


def latest_at_spot(archive: Archive) -> list[int]:
    found = archive.around(10.0, 10.0, 5.0)
    return [(candid - 2500000000000000001) // 10**12 for candid in found["i:candid"].to_pylist()] if len(found) else []


def alerts_there(config: Config, archive: Archive) -> set[int]:
    return {candid for _, _, candid in hbase_candids(config, NIGHT, archive)}


def test_killed_at_any_write_it_is_done_again_and_leaves_what_a_clean_run_does(
    tmp_path: Path, alerts: pa.Table
) -> None:
    alerts = alerts.slice(0, 40)
    config = config_at(tmp_path)
    archive = archived(config, alerts, store=FailingStore())
    store = archive.store
    assert isinstance(store, FailingStore)
    after = changed(alerts.slice(6), finkclass=["QSO"] * 34, tns=["SN Ia"] * 5 + [""] * 29)
    replace(config, after)
    wanted = content(archived(config_at(tmp_path / "fresh"), after))
    before = copy.deepcopy(store._tables)
    store.writes.clear()
    rewrite_night(config, NIGHT, archive=archive)
    writes = list(store.writes)
    assert content(archive) == wanted
    deletions = [number for number, name in enumerate(writes, 1) if name == "delete"]
    assert len(deletions) > 4
    for number in sorted({*deletions, 1, 3, len(writes) // 3, len(writes) // 2, len(writes) - 1}):
        store._tables, store.writes, store.kill_at = copy.deepcopy(before), [], number
        with pytest.raises(Killed):
            rewrite_night(config, NIGHT, archive=archive)
        store.kill_at = None
        rewrite_night(config, NIGHT, archive=archive)
        assert content(archive) == wanted, (number, writes[number - 1])


def test_what_the_job_archives_meanwhile_stays_and_counts_once(
    tmp_path: Path, alerts: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts.slice(0, 40))
    real = archiving._Rewriting._remove_lost

    def meanwhile(self: Any, *args: Any) -> int:
        store_science(science_of(config), alerts.slice(40, 40), "science-late")
        run_job(config, archive, 80)
        return real(self, *args)

    monkeypatch.setattr(archiving._Rewriting, "_remove_lost", meanwhile)
    assert rewrite_night(config, NIGHT, archive=archive) == 40
    assert alerts_there(config, archive) == set(alerts["candid"].slice(0, 80).to_pylist())
    ((_, record),) = archive.records("statistics", EVERYTHING)
    assert record["basic:sci"] == 80


def test_alerts_the_job_has_not_taken_in_are_written_and_counted_by_it(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts.slice(0, 40))
    store_science(science_of(config), alerts.slice(40, 40), "science-late")
    assert rewrite_night(config, NIGHT, archive=archive) == 80
    assert alerts_there(config, archive) == set(alerts["candid"].slice(0, 80).to_pylist())
    run_job(config, archive, 80)
    ((_, record),) = archive.records("statistics", EVERYTHING)
    assert record["basic:sci"] == 80
    assert rewrite_night(config, NIGHT, archive=archive) == 80
    ((_, record),) = archive.records("statistics", EVERYTHING)
    assert record["basic:sci"] == 80


def test_objects_come_back_when_a_cut_is_undone(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts.slice(0, 40))
    before = content(archive)
    replace(config, alerts.slice(5, 35))
    rewrite_night(config, NIGHT, archive=archive)
    assert len(content(archive)["ztf.position"]) < len(before["ztf.position"])
    replace(config, alerts.slice(0, 40))
    rewrite_night(config, NIGHT, archive=archive)
    assert content(archive) == before


def test_the_latest_alert_of_an_object_is_found_whatever_is_cut_and_comes_back(
    tmp_path: Path, alerts: pa.Table
) -> None:
    every = spot(alerts.slice(0, 5))
    config = config_at(tmp_path)
    archive = archived(config, every.slice(0, 3))
    assert latest_at_spot(archive) == [2]
    for rows, latest in (([0, 1], [1]), ([0], [0]), ([], []), ([0, 1], [1]), ([0, 1, 2, 3], [3]), ([2], [2])):
        replace(config, every.take(pa.array(rows, pa.int64())))
        rewrite_night(config, NIGHT, archive=archive)
        assert latest_at_spot(archive) == latest
        assert len(archive.alerts(["ZTF18aaaaaaa"])) == len(rows)
    store_science(science_of(config), every.slice(4, 1), "science-late")
    run_job(config, archive, 4)
    assert latest_at_spot(archive) == [4]


def test_a_damaged_row_keeps_no_outdated_row_of_others(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts.slice(0, 40))
    damaged = [next(archive.store.scan(TABLES, EVERYTHING))[0]]
    row = archive.store.get(TABLES, damaged)[0][ALERT_CELL]
    archive.store.put(TABLES, [(damaged[0], {ALERT_CELL: row[:-3] + b"xyz"})])
    after = changed(alerts.slice(0, 40), finkclass=["SN candidate"] * 40)
    replace(config, after)
    rewrite_night(config, NIGHT, archive=archive)
    assert content(archive) == content(archived(config_at(tmp_path / "fresh"), after))


def test_a_lost_alert_whose_row_is_damaged_goes_everywhere(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts.slice(0, 40))
    damaged = [(key, {ALERT_CELL: b"damaged"}) for key, _ in archive.store.scan(TABLES, EVERYTHING)]
    archive.store.put(TABLES, damaged)
    replace(config, alerts.slice(10, 30))
    rewrite_night(config, NIGHT, archive=archive)
    assert content(archive) == content(archived(config_at(tmp_path / "fresh"), alerts.slice(10, 30)))


def test_an_alert_just_before_midnight_is_of_the_night_before(tmp_path: Path, alerts: pa.Table) -> None:
    jd = [2460236.5 - 3e-8, 2460236.5, 2460236.7, 2460235.5, 2460235.5 - 3e-8, 2460236.4]
    some = retimed(alerts.slice(0, 6), jd=jd)
    config = config_at(tmp_path)
    archive = Archive(MemoryStore(), TABLES)
    store_science(science_of(config), some)
    run_job(config, archive, 6)
    before = content(archive)
    candids = some["candid"].to_pylist()
    nights = {"20231018": {0, 3, 5}, "20231019": {1, 2}, "20231017": {4}}
    for night, rows in nights.items():
        assert {candid for _, _, candid in hbase_candids(config, night, archive)} == {candids[row] for row in rows}
    for night, rows in nights.items():
        assert rewrite_night(config, night, archive=archive) == len(rows)
        assert content(archive) == before


def test_a_night_removed_for_its_age_stays_in_the_database(tmp_path: Path, alerts: pa.Table) -> None:
    config = config_at(tmp_path)
    archive = archived(config, alerts.slice(0, 20))
    before = content(archive)
    table = science_of(config)
    with NightWriter(table, NIGHT) as writer:
        writer.publish(table.log.end(), 0, removed=True)
    assert rewrite_night(config, NIGHT, archive=archive) == 0
    assert content(archive) == before
    store_science(table, alerts.slice(20, 5), "science-late")
    run_job(config, archive, 25)
    ((_, record),) = archive.records("statistics", EVERYTHING)
    assert record["basic:sci"] == 25
    with_late = content(archive)
    assert rewrite_night(config, NIGHT, archive=archive) == 5
    assert content(archive) == with_late
