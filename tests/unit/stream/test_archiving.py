"""Nights in HBase that changed in Parquet."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from archived import TABLES, science_rows, store_science

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.columns import publish
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.archive.hbase.tables import needed
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


def archived(config: Config, *batches: pa.Table) -> Archive:
    """Return an archive to which the job brought some batches."""
    archive = Archive(MemoryStore(), TABLES)
    table = AlertTable(Layout(config.storage.online).table("science"))
    for number, batch in enumerate(batches):
        store_science(table, batch, f"science-{number}")
    stop = threading.Event()
    threading.Timer(0.7, stop.set).start()
    Archiving(config, archive).run(stop, print)
    assert {candid for _, _, candid in hbase_candids(config, NIGHT, archive)} == {
        candid for batch in batches for candid in batch["candid"].to_pylist()
    }
    return archive


def replace(config: Config, alerts: pa.Table) -> None:
    """Let the science table of a night hold other alerts, as reprocessing does."""
    online = Path(config.storage.online)
    (online / "science").rename(online / "science of before")
    store_science(AlertTable(str(online / "science")), alerts, "science-again")


def content(archive: Archive) -> dict[str, Any]:
    cells = {
        name: [(key, dict(cells)) for key, cells in archive.store.scan(name, EVERYTHING)]
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
    monkeypatch.setattr(archiving, "ALERTS_AT_ONCE", 32)
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
    (Path(config.storage.online) / "science of before").rename(tmp_path / "aside")
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
