"""``fink archive check``: what it finds beside running jobs and after removals, what it mends, and what it leaves."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored_nights import NIGHT, Stored, raw_rows

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.additions import TRACKLET, TrackletNames, with_column
from fink_broker.archive.hbase import open as hbase_opening
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.archive.night_writer import NightWriter
from fink_broker.archive.reading import files_of_night, read_night
from fink_broker.archive.upkeep import merge_table, remove_night
from fink_broker.cli import main, table_repair
from fink_broker.cli import merge as merging
from fink_broker.science.testing import offline_config, ordinary_alert
from fink_broker.stream import archiving
from fink_broker.stream.agreement import Held, differences
from fink_broker.stream.archive import Archiving
from fink_broker.stream.archive_marks import Marks
from fink_broker.stream.archive_tally import ArchiveTally
from fink_broker.stream.archiving import rewrite_night

ALERTS = 20
TABLES = ("raw", "science", "topics")


def alert(candid: int) -> dict:
    packet = ordinary_alert(candid)
    packet["candidate"]["jd"] = 2460235.75
    return packet


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Return a night that came in two batches."""
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "fink.conf").write_text("[storage]\nmin_free_gib = 0\nwarn_free_gib = 0\n")
    config = offline_config()
    storage = {"online": str(tmp_path / "online"), "state": tmp_path / ".fink", "min_free_gib": 0.0}
    config = config.model_copy(
        update={
            "storage": config.storage.model_copy(update=storage),
            "science": config.science.model_copy(update={"modules": ["nalerthist"]}),
        }
    )
    stored = Stored(config)
    raw = raw_rows([alert(candid) for candid in range(1, ALERTS + 1)], config)
    for number in range(2):
        stored.add(str(number), raw.slice(10 * number, 10), files=1)
    return stored


def check(*more: str) -> int:
    return main(["archive", "check", "--night", NIGHT, *more])


def path_of(table: AlertTable, number: int = 0) -> Path:
    return Path(table.storage.root, files_of_night(table, NIGHT)[number].path)


def count(table: AlertTable) -> int:
    return sum(len(part) for part in read_night(table, NIGHT, ["candid"]))


def merge_all(stored: Stored) -> None:
    for name in TABLES:
        merge_table(stored.config, name, NIGHT, lambda *_: None)


def spoil(path: Path) -> None:
    """Write over the end of a column that is not compared."""
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    spoiled = next(each for each in columns if each.path_in_schema == "candidate.magpsf")
    content = bytearray(path.read_bytes())
    content[spoiled.data_page_offset + spoiled.total_compressed_size - 1] ^= 0x01
    path.write_bytes(content)


def test_damage_in_any_column_is_found(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    merge_all(stored)
    assert check() == 0
    spoil(path_of(stored.science))
    assert check("--quick") == 0
    assert check() == 5
    assert re.search(r"science: the file night=\S+ cannot be read", capsys.readouterr().out)


def test_a_file_of_another_length_is_told(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    path = path_of(stored.science)
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows, path, compression="none", use_dictionary=False)
    assert check("--quick") == 5
    assert re.search(r"has [\d,]+ bytes, not [\d,]+ as is listed", capsys.readouterr().out)


def test_what_running_jobs_and_merges_are_about_to_finish_is_no_trouble(
    stored: Stored, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(stored.science.staging("s-9")) / f"night={NIGHT}"
    folder.mkdir(parents=True)
    (folder / "0.parquet").write_bytes(b"half")
    published = path_of(stored.science).with_name("s-9-0.parquet")
    published.write_bytes(b"half")
    merged = path_of(stored.science).with_name("merged-000001-000000.parquet")
    merged.write_bytes(b"half")
    assert check() == 5
    out = capsys.readouterr().out
    assert "science: the batch s-9 was cut short." in out
    assert "merged-000001-000000.parquet belongs to no batch" in out
    assert "s-9-0.parquet belongs" not in out
    monkeypatch.setattr("fink_broker.cli.archive_check.running_jobs", lambda _config: frozenset(["science"]))
    with stored.science.merged.alone():
        assert check() == 0


def test_tables_whose_job_runs_are_left_alone(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    stranger = path_of(stored.science).with_name("merged-000001-000000.parquet")
    stranger.write_bytes(b"half")
    assert table_repair.running_jobs(stored.config) == frozenset()
    with table_repair.StateStore(stored.config.storage.state).only_one("raw2science"):
        assert check("--repair") == 5
    assert "science is left as it is: The service raw2science is already running" in capsys.readouterr().err
    assert stranger.exists()
    assert check("--repair") == 0
    assert not stranger.exists()


def test_a_file_without_a_batch_goes_if_it_holds_nothing_of_its_own(
    stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(stored.science)
    copy, own, damaged = (path.with_name(f"s-{number}-0.parquet") for number in (7, 8, 9))
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows, copy)
    pq.write_table(with_column(rows, "candid", pa.array(range(500, 510), pa.int64())), own)
    damaged.write_bytes(b"half")
    assert check("--repair") == 5
    told = capsys.readouterr()
    assert "s-8-0.parquet stays: 10 of its alerts are nowhere else" in told.err
    assert told.out.count("belongs to no batch") == 1
    assert own.exists()
    own.unlink()
    assert check() == 0
    assert main(["merge", "--night", NIGHT, "--now"]) == 0
    assert not copy.exists()
    assert not damaged.exists()
    assert count(stored.science) == ALERTS


def test_a_lost_list_of_merged_files_is_made_again(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "--night", NIGHT, "--now"]) == 0
    Path(stored.science.storage.root, "_merged", f"{NIGHT}.json").unlink()
    assert check() == 5
    assert main(["merge", "--night", NIGHT]) == 2 or "is gone" in capsys.readouterr().err
    assert check("--repair") == 0
    assert "the list of its 1 merged files was made from these files" in capsys.readouterr().err
    assert count(stored.science) == ALERTS


def test_alerts_explained_by_a_reprocessing_are_known_one_by_one(
    stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many alerts as were cut by a reprocessing are lost besides, and as many that were cut come back."""
    rows = pa.concat_tables(read_night(stored.science, NIGHT))
    kept = rows.filter(pa.compute.greater(rows["candid"], 2))
    known = {"unfiltered": [], "without_alert": [1, 2]}

    def replace(alerts: pa.Table) -> None:
        with NightWriter(stored.science, NIGHT) as writer:
            writer.write(alerts)
            writer.publish(stored.science.log.end(), len(alerts), reprocessed=known)

    replace(kept)
    topics = "in topics and not in science"
    assert check() == 5  # the cuts in force are others
    assert topics not in capsys.readouterr().out
    replace(rows.filter(pa.array([candid not in {1, 7} for candid in rows["candid"].to_pylist()])))
    check()
    assert f"1 alert (7) are {topics}." in capsys.readouterr().out


def test_a_night_that_was_removed_is_compared_as_far_as_it_is_there(
    stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    merge_all(stored)
    for name in ("science", "topics"):
        assert remove_night(stored.config, name, NIGHT, dry_run=False) is not None
    assert check() == 0  # raw has its alerts still
    stored.add("late", raw_rows([alert(99)], stored.config), files=1)
    assert check() == 0
    merge_all(stored)
    assert check() == 0
    path_of(stored.science).unlink()
    assert check() == 5
    out = capsys.readouterr().out
    assert "1 alert (99) are in topics and not in science." in out
    assert "pass the cuts" not in out.split("The night")[-1].partition("science:")[2]


def test_what_is_removed_from_one_table_is_no_difference_to_another() -> None:
    def table(name: str, *candids: int, partial: bool = False) -> Held:
        found = pa.array(candids, pa.int64()).to_numpy()
        return Held(name, candids=found, kept=found, partial=partial)

    whole, none = table("", 1, 2, 3), table("", 3, partial=True)
    assert differences(none, whole, whole, None) == []
    assert differences(whole, none, none, None) == []
    assert differences(whole, none, table("", partial=True), None) == ["1 alert (3) are in science and not in topics."]
    assert differences(none, none, none, whole) == []
    assert differences(whole, whole, none, None) == []


@pytest.fixture
def database(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """Bring the night to a database of memory, as the archive job does; return it."""
    store = MemoryStore()
    for module in (archiving, hbase_opening):
        monkeypatch.setattr(module, "open_archive", lambda _config: Archive(store, "ztf"))
    run_archiving(stored, store, ALERTS)
    return store


def run_archiving(stored: Stored, store: MemoryStore, alerts: int) -> None:
    """Let the job run until so many alerts are in the database."""
    archived, stop = AlertTable(Layout(stored.config.storage.online).table("archived")), threading.Event()
    worker = threading.Thread(target=Archiving(stored.config, Archive(store, "ztf")).run, args=(stop, lambda _: None))
    worker.start()
    deadline = time.monotonic() + 20
    while sum(commit.counts["out"] for commit in archived.log.read_all()) < alerts and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)  # the records of nights
    stop.set()
    worker.join()


def rows_in_hbase(store: MemoryStore) -> int:
    return sum(1 for _ in store.scan("ztf", ALL_KEYS))


def test_alerts_that_cannot_be_archived_are_told_and_no_difference(
    stored: Stored, database: MemoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    nameless = raw_rows([alert(30), alert(31)], stored.config)
    place = nameless.schema.get_field_index("objectId")
    nameless = nameless.set_column(place, "objectId", pa.array([None, "ZTF23test031"], pa.string()))
    stored.add("nameless", nameless, files=1)
    run_archiving(stored, database, ALERTS + 1)
    for more in ((), ("--quick",)):
        assert check(*more) == 0
        assert "Alerts of science that cannot be archived: 1;" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["gone", "shorter", "spoiled"])
def test_hbase_is_left_as_it_is_while_science_is_damaged(
    stored: Stored, database: MemoryStore, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    assert rows_in_hbase(database) == ALERTS
    path = path_of(stored.science)
    if damage == "gone":
        path.unlink()
    elif damage == "shorter":
        pq.write_table(pq.ParquetFile(path).read().slice(0, 3), path)
    else:
        path.write_bytes(path.read_bytes()[:-20])
    assert check("--repair") == 5
    assert "HBase is left as it is: files of science are gone or damaged" in capsys.readouterr().err
    assert rows_in_hbase(database) == ALERTS


def test_a_night_that_is_merged_while_a_batch_is_archived_counts_once(stored: Stored) -> None:
    job = Archiving(stored.config, Archive(MemoryStore(), "ztf"))
    parts = job._parts(stored.science.log.read_all(), ArchiveTally())
    found = [next(parts)]
    merge_all(stored)
    assert stored.science.merged.until(NIGHT) == 2
    found += parts
    assert [part.merged for part in found] == [False, False]
    assert sum(len(part.alerts) for part in found) == ALERTS


class TestTracklets:
    def rows(self, names: list[str | None]) -> pa.Table:
        rows = pa.table({"candid": pa.array(range(1, len(names) + 1), pa.int64())})
        return rows if names == [None] * len(names) else rows.append_column(TRACKLET, pa.array(names, pa.string()))

    def test_alerts_whose_tracklet_is_another_one_are_told(self) -> None:
        found = TrackletNames()
        found.look(self.rows(["A", "A", "B", "", None]))
        found._names = {1: "A", 2: "C", 4: "D"}
        assert found.changed() == {2, 3, 4}

    def test_nothing_changes_where_nothing_did(self) -> None:
        found = TrackletNames()
        found.look(self.rows([None, None]))
        assert found.changed() == frozenset()

    @pytest.mark.parametrize(
        ("changed", "behind", "expected"),
        [((), False, []), ((3, 4), False, [frozenset([3, 4])]), ((3, 4), True, [None]), ((), True, [])],
        ids=["nothing", "two alerts", "the whole night, which is behind", "nothing of a night that is behind"],
    )
    def test_a_merge_brings_to_hbase_what_it_changed(
        self,
        stored: Stored,
        database: MemoryStore,
        monkeypatch: pytest.MonkeyPatch,
        changed: tuple[int, ...],
        behind: bool,
        expected: list,
    ) -> None:
        brought = []
        marks = Marks(stored.config)
        if behind:
            marks.set(NIGHT)

        def rewrite(_config: object, night: str, _talk: object, candids: frozenset[int] | None) -> None:
            assert marks.nights() == [NIGHT]  # a kill leaves a trace
            brought.append(candids)

        monkeypatch.setattr(merging, "rewrite_in_hbase", rewrite)
        monkeypatch.setattr(TrackletNames, "changed", lambda _self: frozenset(changed))
        assert main(["merge", "--night", NIGHT]) == 0
        assert brought == expected
        assert marks.nights() == ([NIGHT] if changed or behind else [])

    def test_only_some_alerts_are_written(self, stored: Stored, database: MemoryStore) -> None:
        database_before = dict(database.scan("ztf", ALL_KEYS))
        changed = pa.concat_tables(read_night(stored.science, NIGHT))
        changed = with_column(changed, "nalerthist", pa.array([77] * ALERTS, changed.schema.field("nalerthist").type))
        with NightWriter(stored.science, NIGHT) as writer:
            writer.write(changed)
            writer.publish(stored.science.log.end(), ALERTS)
        Marks(stored.config).set(NIGHT)
        assert rewrite_night(stored.config, NIGHT, candids=[3, 4]) == 2
        assert Marks(stored.config).nights() == []
        after = dict(database.scan("ztf", ALL_KEYS))
        differ = {key for key in after if after[key][b"alert:row"] != database_before[key][b"alert:row"]}
        assert {int(key.rsplit(b"_")[-1]) for key in differ} == {3, 4}
