"""From science rows to database rows and back."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archived import archived_alerts, empty_archive, fill, science_rows

from fink_broker.archive.columns import position_columns, publish
from fink_broker.archive.hbase import rows as database_row_module
from fink_broker.archive.hbase.cells import ALERT_CELL
from fink_broker.archive.hbase.rows import Rows, database_rows, index_keys, places, wanted
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.archive.hbase.tables import INDEX
from fink_broker.archive.hbase.writing import write

PLACE = "night=20231018/a-0.parquet"


@pytest.fixture(scope="module")
def alerts(shared_data: Path) -> pa.Table:
    return science_rows(shared_data, retimed=True)


def made_of(alerts: pa.Table) -> Rows:
    return database_rows(alerts, places(PLACE, 0, len(alerts)))


def cells_of(rows: Rows) -> dict[tuple[str, bytes], tuple[int | None, dict[bytes, bytes]]]:
    """Return what is written, by table and key; a key that is written twice would be lost here."""
    found = [((part.suffix, key), (part.time_ms, dict(cells))) for part in rows.tables for key, cells in part.rows]
    assert len(found) == len(dict(found))
    return dict(found)


def test_what_was_archived_reads_back_value_by_value(alerts: pa.Table, shared_data: Path) -> None:
    archive = archived_alerts(shared_data, retimed=True)
    wanted_rows = publish(alerts)
    ids = sorted(set(alerts["objectId"].to_pylist()))
    found = archive.alerts(ids)
    assert {field.name: field.type for field in found.schema} == {
        name: pa.list_(pa.string()) if name == "d:science_failed" else wanted_rows.schema.field(name).type
        for name in wanted_rows.column_names
    }
    order = np.argsort(wanted_rows["i:candid"].to_numpy())
    ours = found.take(pa.array(np.argsort(found["i:candid"].to_numpy())))
    theirs = wanted_rows.take(pa.array(order)).select(found.column_names)
    for name in found.column_names:
        assert repr(ours[name].to_pylist()) == repr(theirs[name].to_pylist()), name


def test_the_rows_of_an_alert_do_not_depend_on_its_batch(alerts: pa.Table) -> None:
    some = alerts.slice(0, 24)
    together = cells_of(made_of(some))
    apart: dict = {}
    for row in range(len(some)):
        one = database_rows(some.slice(row, 1), places(PLACE, row, 1))
        for key, cells in cells_of(one).items():
            if key not in apart or (cells[0] or 0) >= (apart[key][0] or 0):
                apart[key] = cells
    assert apart == together


def test_of_two_alerts_at_one_time_the_same_is_latest_in_whatever_order_they_come(alerts: pa.Table) -> None:
    some = alerts.slice(0, 4)
    twins = {
        "objectId": pa.array(["ZTF18aaaaaaa"] * 4),
        "candid": pa.array([2500000000000015001 + number for number in range(4)], pa.int64()),
        "candidate": pa.array([some["candidate"][0].as_py()] * 4, some.schema.field("candidate").type),
    }
    for name, column in twins.items():
        some = some.set_column(some.column_names.index(name), name, column)
    found = set()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        archive = empty_archive()
        for row in order:
            fill(archive, some.slice(row, 1))
        ((_, cells),) = archive.store.scan(archive.name("position"), ALL_KEYS)
        found.add(cells[ALERT_CELL])
    together = empty_archive()
    fill(together, some)
    ((_, cells),) = together.store.scan(together.name("position"), ALL_KEYS)
    assert found == {cells[ALERT_CELL]}


def test_every_table_holds_what_it_should(alerts: pa.Table) -> None:
    published = publish(alerts)
    rows = Counter()
    for part in made_of(alerts).tables:
        rows[part.suffix] += len(part.rows)
    expected = {table.suffix: int(table.takes(published).sum()) for table in INDEX if not table.newest_wins}
    assert {name: rows[name] for name in expected} == expected
    assert rows[""] == len(alerts)
    assert len(set(alerts["objectId"].to_pylist())) <= rows["position"] < len(alerts)


def test_the_position_table_has_the_latest_alert_whatever_the_order(alerts: pa.Table) -> None:
    forth, back = empty_archive(), empty_archive()
    fill(forth, alerts)
    fill(back, alerts.take(pa.array(np.arange(len(alerts))[::-1])))
    latest: dict[str, float] = {}
    candidates = publish(alerts).select(["i:objectId", "i:jd", "i:ra", "i:dec"]).to_pylist()
    for row in candidates:
        latest[row["i:objectId"]] = max(row["i:jd"], latest.get(row["i:objectId"], 0.0))
    for row in candidates[::23]:
        for archive in (forth, back):
            near = {found["i:objectId"]: found for found in archive.around(row["i:ra"], row["i:dec"], 5.0).to_pylist()}
            assert near[row["i:objectId"]]["i:jd"] == latest[row["i:objectId"]]
            assert set(near[row["i:objectId"]]) == {*position_columns(), "v:separation_degree"}


def test_images_are_found_by_file_and_row(alerts: pa.Table, shared_data: Path) -> None:
    archive = empty_archive()
    fill(archive, alerts, PLACE)
    row = 700
    found = archive.cutout_places(alerts["objectId"][row].as_py()).to_pylist()
    place = {entry["i:candid"]: entry["d:hdfs_path"] for entry in found}
    assert place[alerts["candid"][row].as_py()] == f"{PLACE}#{row}"


def test_an_alert_that_cannot_be_archived_keeps_no_other_back(alerts: pa.Table) -> None:
    some = alerts.slice(0, 40)
    candids = some["candid"].to_pylist()
    names = some["objectId"].to_pylist()
    names[3], names[17] = None, ""
    spoilt = some.set_column(some.column_names.index("objectId"), "objectId", pa.array(names, pa.string()))
    broken = candids[29]
    texts = [b"\xff\xfe" if candid == broken else b"Unknown" for candid in candids]
    raw = pa.array(texts, pa.binary()).view(pa.string())  # no UTF-8, as a damaged file may give
    spoilt = spoilt.set_column(some.column_names.index("cdsxmatch"), "cdsxmatch", raw)
    rows = made_of(spoilt)
    told = {refused.candid: refused for refused in rows.refused}
    assert {candids[3], candids[17]} <= set(told) <= {candids[3], candids[17], broken}
    assert told[candids[3]].place == f"{PLACE}#3"
    assert all(refused.reason for refused in rows.refused)
    assert rows.count == 40 - len(rows.refused)
    write(empty_archive(), rows)


def test_a_column_nobody_can_pack_is_told_for_each_alert(alerts: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    some = alerts.slice(0, 9)
    bad = some["candid"][4].as_py()

    def pack_or_not(table: pa.Table) -> tuple[str, list[bytes]]:
        if "i:candid" in table.column_names and bad in table["i:candid"].to_pylist():
            raise pa.ArrowInvalid("cannot be packed")
        return real(table)

    real = database_row_module.pack
    monkeypatch.setattr(database_row_module, "pack", pack_or_not)
    rows = made_of(some)
    assert [(refused.candid, refused.reason) for refused in rows.refused] == [(bad, "cannot be packed")]
    assert rows.count == 8
    assert sum(len(part.rows) for part in rows.tables if part.suffix == "") == 8


def test_only_the_wanted_columns_are_read(alerts: pa.Table) -> None:
    names = {name.split(".")[0] for name in wanted(alerts.schema)}
    assert not {"cutoutScience", "cutoutTemplate", "cutoutDifference", "fp_hists", "origin"} & names
    slim = alerts.select([name for name in alerts.column_names if name in names]).slice(0, 50)
    assert cells_of(made_of(slim)) == cells_of(made_of(alerts.slice(0, 50)))


def test_index_keys_are_those_that_are_written(alerts: pa.Table) -> None:
    some = alerts.slice(0, 100)
    written = {key for key in cells_of(made_of(some)) if key[0]}
    assert {(suffix, key) for suffix, keys in index_keys(publish(some)).items() for key in keys} == written


def test_a_batch_takes_little_time(alerts: pa.Table) -> None:
    batch = alerts.slice(0, 500)
    slim = batch.select([name for name in batch.column_names if not name.startswith("cutout")])
    made_of(slim)
    started = time.process_time()
    made_of(slim)
    assert time.process_time() - started < 0.3  # 0.04 s on an idle core
