"""HBase held against science by value: each kind of difference is found, and gone once the night is written anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from archived import TABLES, science_rows, store_science

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.columns import publish
from fink_broker.archive.hbase.cells import ALERT_CELL, CUTOUT_CELL, HISTORY_CELL
from fink_broker.archive.hbase.latest import NOBODY
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.archive.hbase.tables import POSITION, main_keys, versions
from fink_broker.archive.hbase.writing import create_tables
from fink_broker.archive.merging import merge_night
from fink_broker.config.model import Config, StorageConfig
from fink_broker.stream.archive_comparison import Comparison, compare_night
from fink_broker.stream.archive_positions import Positions
from fink_broker.stream.archiving import rewrite_night

NIGHT = "20231018"
ALERTS = 40


@pytest.fixture(scope="module")
def alerts(shared_data: Path) -> pa.Table:
    rows = science_rows(shared_data)
    days = publish(rows)["i:jd"].to_numpy() - 0.5
    ours = rows.filter(pa.array(days // 1 == 2460235)).slice(0, ALERTS)
    assert len(ours) == ALERTS
    return ours


@pytest.fixture
def config(tmp_path: Path, alerts: pa.Table) -> Config:
    """Return a configuration whose science table has a night of two batches."""
    made = Config(storage=StorageConfig(online=str(tmp_path / "online"), state=tmp_path / "state", min_free_gib=0.0))
    for number in range(2):
        store_science(science(made), alerts.slice(20 * number, 20), f"science-{number}")
    return made


@pytest.fixture
def archive(config: Config) -> Archive:
    made = Archive(MemoryStore(), TABLES)
    assert rewrite_night(config, NIGHT, archive=made) == ALERTS
    return made


def science(config: Config) -> AlertTable:
    return AlertTable(Layout(config.storage.online).table("science"))


def first(archive: Archive, suffix: str) -> bytes:
    return next(archive.store.scan(archive.name(suffix), ALL_KEYS))[0]


def absent_everywhere(archive: Archive) -> None:
    archive.store._tables.clear()
    create_tables(archive)


def absent_from_the_main_table(archive: Archive) -> None:
    archive.store.delete(TABLES, [first(archive, "")])


def absent_from_a_class(archive: Archive) -> None:
    archive.store.delete(archive.name("class"), [first(archive, "class")])


def absent_from_the_positions(archive: Archive) -> None:
    key = first(archive, "position")
    ((_, version),) = archive.store.get_versions(archive.name("position"), [key], ALERT_CELL)
    archive.store.put(archive.name("position"), [(key, {ALERT_CELL: NOBODY})], version)


def damaged(archive: Archive) -> None:
    archive.store.put(TABLES, [(first(archive, ""), {ALERT_CELL: b"damaged"})])


def damaged_in_the_positions(archive: Archive) -> None:
    key = first(archive, "position")
    ((_, version),) = archive.store.get_versions(archive.name("position"), [key], ALERT_CELL)
    archive.store.put(archive.name("position"), [(key, {ALERT_CELL: b"damaged"})], version)


def without_its_history(archive: Archive) -> None:
    key, row = next(row for row in archive.store.scan(TABLES, ALL_KEYS) if HISTORY_CELL in row[1])
    archive.store.delete(TABLES, [key])
    archive.store.put(TABLES, [(key, {name: row[name] for name in (ALERT_CELL, CUTOUT_CELL)})])


def with_values_of_another(archive: Archive) -> None:
    (one, _), (_, other), *_ = archive.store.scan(archive.name("jd"), ALL_KEYS)
    archive.store.put(archive.name("jd"), [(one, other)])


def in_a_class_it_has_not(archive: Archive) -> None:
    key, row = next(archive.store.scan(archive.name("class"), ALL_KEYS))
    salt, _, rest = key.split(b"_", 2)
    archive.store.put(archive.name("class"), [(salt + b"_Microlensing%20candidate_" + rest, row)])


def strange_and_is_not(archive: Archive) -> None:
    strange = {key for key, _ in archive.store.scan(archive.name("anomaly"), ALL_KEYS)}
    ordinary = next(row for row in archive.store.scan(archive.name("jd"), ALL_KEYS) if row[0] not in strange)
    archive.store.put(archive.name("anomaly"), [ordinary])


DIFFERENCES: dict[Callable[[Archive], None], str] = {
    absent_everywhere: "Alerts that have no row in the main table of HBase: 40 (",
    absent_from_the_main_table: "Alerts that have no row in the main table of HBase: 1 (",
    absent_from_a_class: "Alerts that have no row in table `class` of HBase: 1 (",
    absent_from_the_positions: "Objects of which HBase has not the latest alert by position: 1 (ZTF",
    damaged: "Alerts of which the main table of HBase has other values than science, or damaged ones: 1 (",
    damaged_in_the_positions: "Objects of which HBase has not the latest alert by position: 1 (ZTF",
    without_its_history: "Alerts of which the main table of HBase has other values than science, or damaged ones: 1 (",
    with_values_of_another: "Alerts of which table `jd` of HBase has other values than science, or damaged ones: 1 (",
    in_a_class_it_has_not: "Rows of table `class` of HBase of alerts that science has not, or has elsewhere: 1 (",
    strange_and_is_not: "Rows of table `anomaly` of HBase of alerts that science has not, or has elsewhere: 1 (",
}


def compared(config: Config, archive: Archive) -> list[str]:
    return compare_night(config, NIGHT, archive=archive).sentences()


def test_what_was_archived_agrees(config: Config, archive: Archive) -> None:
    assert compare_night(config, NIGHT, archive=archive) == Comparison()


@pytest.mark.parametrize("spoil", DIFFERENCES, ids=lambda spoil: spoil.__name__)
def test_each_difference_is_told_and_mended(config: Config, archive: Archive, spoil: Callable[[Archive], None]) -> None:
    spoil(archive)
    archive = Archive(archive.store, TABLES)  # knows no schemas
    told = compared(config, archive)
    assert any(sentence.startswith(DIFFERENCES[spoil]) for sentence in told), told
    assert spoil is absent_everywhere or len(told) == 1
    assert rewrite_night(config, NIGHT, archive=archive) == ALERTS
    assert compared(config, archive) == []


def test_values_of_before_are_told(config: Config, archive: Archive, alerts: pa.Table, tmp_path: Path) -> None:
    online = Path(config.storage.online)
    (online / "science").rename(tmp_path / "before")
    place = alerts.column_names.index("finkclass")
    labels = pa.array(["SN candidate"] * 7 + alerts["finkclass"].slice(7).to_pylist())
    kind = alerts.schema.field("finkclass")
    store_science(science(config), alerts.set_column(place, kind, labels.cast(kind.type)))
    told = compared(config, archive)
    (main,) = [sentence for sentence in told if "the main table" in sentence]
    assert ": 7 (" in main
    assert main.endswith(" …).")
    assert any("no row in table `class`" in sentence for sentence in told)
    assert any("Rows of table `class`" in sentence for sentence in told)
    rewrite_night(config, NIGHT, archive=archive)
    assert compared(config, archive) == []


def test_merging_changes_no_value(config: Config, archive: Archive) -> None:
    merge_night(science(config), NIGHT, 2)
    assert compared(config, archive) == []


def test_an_alert_that_cannot_be_archived_is_no_difference(config: Config, archive: Archive, alerts: pa.Table) -> None:
    names = ["", *alerts["objectId"].slice(1, 2).to_pylist()]
    spoilt = alerts.slice(0, 3).set_column(alerts.column_names.index("objectId"), "objectId", pa.array(names))
    again = spoilt.set_column(alerts.column_names.index("candid"), "candid", pa.array([7, 8, 9], pa.int64()))
    store_science(science(config), again, "science-spoilt")
    rewrite_night(config, NIGHT, archive=archive)
    found = compare_night(config, NIGHT, archive=archive)
    assert (found.sentences(), found.refused) == ([], {7})


def test_positions_of_objects_that_have_gone_are_cleared(config: Config, archive: Archive) -> None:
    key = first(archive, "")
    name = key.split(b"_")[0].decode()
    mine = [each for each, _ in archive.store.scan(TABLES, ALL_KEYS) if each.startswith(name.encode())]
    archive.store.delete(TABLES, mine)
    there = [row for row in archive.store.scan(archive.name("position"), ALL_KEYS) if name.encode() in row[0]]
    assert there
    assert Positions(archive).mend_all() == len(there)
    assert all(not row[ALERT_CELL] for row in archive.store.get(archive.name("position"), [key for key, _ in there]))
    assert Positions(archive).mend_all() == 0


def test_versions_of_positions_only_grow(config: Config, archive: Archive, alerts: pa.Table) -> None:
    published = publish(alerts)
    keys = POSITION.keys(published)
    stored = archive.store.get_versions(archive.name("position"), keys, ALERT_CELL)
    own = dict(zip(main_keys(published), versions(published).tolist(), strict=True))
    assert {version for _, version in stored} <= set(own.values())
    value, version = stored[0]
    archive.store.put(archive.name("position"), [(keys[0], {ALERT_CELL: value[:-1]})], version + 5)
    rewrite_night(config, NIGHT, archive=archive)
    again = archive.store.get_versions(archive.name("position"), keys, ALERT_CELL)
    grown = [new[1] - old[1] for old, new in zip(stored, again, strict=True)]
    assert set(grown) == {0, 6}
