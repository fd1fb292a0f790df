"""Records of nights: sums that count every batch once, whenever the job is killed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from archived import empty_archive, science_rows

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.archive import AlertTable, Commit
from fink_broker.archive.columns import publish
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.statistics import GALAXIES, NightStatistics, Tally, by_night, record_key
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.errors import ArchiveAway

EVERYTHING = KeyRange(b"", b"\xff" * 64)


def tally(alerts: int, **more: object) -> Tally:
    jd = more.pop("jd", 2460000.7)
    return Tally(
        Counter(sci=alerts, raw=alerts + 1), Counter({"Unknown": alerts}), frozenset([jd]), frozenset([700]), **more
    )


@pytest.fixture
def archive() -> Archive:
    return empty_archive()


@pytest.fixture
def table(tmp_path: Path) -> AlertTable:
    made = AlertTable(str(tmp_path / "archived"))
    made.create()
    return made


def commit(table: AlertTable, name: str, **nights: Tally) -> None:
    details = {"nights": {night.removeprefix("n"): tally.to_json() for night, tally in nights.items()}}
    table.commit(Commit(name, [], [], {"in": 1, "out": 1}, time.time(), time.time(), details))


def records(archive: Archive) -> dict[str, dict]:
    return dict(archive.records("statistics", EVERYTHING))


def test_a_record_is_the_sum_of_commits(table: AlertTable, archive: Archive) -> None:
    commit(table, "a", n20240101=tally(3), n20240102=tally(5))
    commit(table, "b", n20240101=tally(4, jd=2460000.8))
    NightStatistics(table, archive).catch_up()
    found = records(archive)
    assert found["ztf_20240101"] == {
        "basic:raw": 9, "basic:sci": 7, "basic:n_g": 0, "basic:n_r": 0, "basic:exposures": 2, "basic:fields": 1,
        "class:Unknown": 7, "class:simbad_tot": 0, "class:simbad_gal": 0,
    }  # fmt: skip
    assert found["ztf_20240102"]["basic:sci"] == 5


def test_killed_between_any_two_steps_nothing_counts_twice(
    table: AlertTable, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        commit(table, f"c{number}", n20240101=tally(2), n20240102=tally(1))
    keeper = NightStatistics(table, archive)
    steps = 0

    def killed_at(step: int, real, *args: object) -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            raise KeyboardInterrupt
        real(*args)

    puts, writes = archive.put_records, table.storage.write_atomically
    kills = 0
    for step in range(1, 6):
        steps = 0
        monkeypatch.setattr(archive, "put_records", lambda *args, step=step: killed_at(step, puts, *args))
        monkeypatch.setattr(
            keeper._archived.storage, "write_atomically", lambda *a, step=step: killed_at(step, writes, *a)
        )
        try:
            keeper.catch_up()
        except KeyboardInterrupt:
            kills += 1
    assert kills > 2
    NightStatistics(table, archive).catch_up()
    commit(table, "last", n20240102=tally(10))
    NightStatistics(table, archive).catch_up()
    assert records(archive)["ztf_20240101"]["basic:sci"] == 6
    assert records(archive)["ztf_20240102"]["basic:sci"] == 13


def test_while_the_database_is_away_nothing_is_forgotten(table: AlertTable, archive: Archive) -> None:
    keeper = NightStatistics(table, archive)
    commit(table, "a", n20240101=tally(3))
    archive.store.away = True
    with pytest.raises(ArchiveAway):
        keeper.catch_up()
    archive.store.away = False
    keeper.catch_up()
    keeper.catch_up()
    assert records(archive)["ztf_20240101"]["basic:sci"] == 3


def test_a_night_that_was_archived_anew_starts_afresh(table: AlertTable, archive: Archive) -> None:
    keeper = NightStatistics(table, archive)
    commit(table, "a", n20240101=tally(3))
    keeper.replace("20240101", tally(8), 1)
    keeper.catch_up()
    assert records(archive)["ztf_20240101"]["basic:sci"] == 8
    commit(table, "b", n20240101=tally(1))
    keeper.catch_up()
    assert records(archive)["ztf_20240101"]["basic:sci"] == 9
    commit(table, "merged", n20240101=tally(4, whole=True))
    commit(table, "c", n20240101=tally(2))
    keeper.catch_up()
    assert records(archive)["ztf_20240101"]["basic:sci"] == 6


def test_what_was_archived_while_a_night_was_written_anew_counts_once(table: AlertTable, archive: Archive) -> None:
    keeper = NightStatistics(table, archive)
    commit(table, "a", n20240101=tally(3))
    commit(table, "meanwhile", n20240101=tally(5), n20240102=tally(1))
    keeper.catch_up()
    keeper.replace("20240101", tally(2).as_whole(), 1)  # read when there was one commit
    assert records(archive)["ztf_20240101"]["basic:sci"] == 7
    commit(table, "later", n20240101=tally(10))
    keeper.catch_up()
    assert records(archive)["ztf_20240101"]["basic:sci"] == 17
    assert records(archive)["ztf_20240102"]["basic:sci"] == 1


def test_records_can_be_written_again(table: AlertTable, archive: Archive) -> None:
    commit(table, "a", n20240101=tally(3), n20240102=tally(5))
    NightStatistics(table, archive).catch_up()
    before = records(archive)
    empty = empty_archive()
    NightStatistics(table, empty).put_all()
    assert records(empty) == before
    NightStatistics(table, empty).catch_up()
    assert records(empty) == before


def test_two_keepers_of_sums_do_not_undo_one_another(table: AlertTable, archive: Archive) -> None:
    commit(table, "a", n20240101=tally(3))
    one, other = NightStatistics(table, archive), NightStatistics(table, archive)
    real, began, may_go_on = archive.put_records, threading.Event(), threading.Event()

    def slowly(*args: object) -> None:
        began.set()
        may_go_on.wait(10)
        real(*args)

    archive.put_records = slowly  # type: ignore[method-assign]
    first = threading.Thread(target=one.catch_up)
    first.start()
    assert began.wait(10)
    second = threading.Thread(target=other.replace, args=("20240101", tally(8), 1))
    second.start()
    second.join(0.2)
    assert second.is_alive()  # it waits its turn
    may_go_on.set()
    first.join()
    second.join()
    assert records(archive)["ztf_20240101"]["basic:sci"] == 8


def test_a_tally_survives_json() -> None:
    one = tally(3, whole=True)
    assert Tally.from_json(one.to_json()) == one


def test_galaxies_are_neither_failures_nor_supernovae_nor_unknown() -> None:
    assert set(EXTRAGALACTIC) - set(GALAXIES) == {
        "Unknown", "Transient", "Fail", "Fail 504", "SN", "Candidate_SN*", "SN*_Candidate",
    }  # fmt: skip


def test_labels_that_failed_are_no_match(shared_data: Path) -> None:
    alerts = publish(science_rows(shared_data).slice(0, 6))
    place = alerts.column_names.index("d:cdsxmatch")
    labels = ["Unknown", "Fail 503", "Fail", "QSO", "Galaxy", "Seyfert_1"]
    numbers = Tally.of(alerts.set_column(place, "d:cdsxmatch", pa.array(labels))).numbers
    assert (numbers["simbad_tot"], numbers["simbad_gal"], numbers["sci"]) == (3, 2, 6)


def test_alerts_are_counted_in_their_night(shared_data: Path) -> None:
    alerts = publish(science_rows(shared_data, retimed=True))
    nights = by_night(alerts)
    assert len(nights) > 20
    assert sum(each.numbers["sci"] for each in nights.values()) == len(alerts)
    assert all(night.startswith("20") and len(night) == 8 for night in nights)
    assert record_key("20240101") == "ztf_20240101"
