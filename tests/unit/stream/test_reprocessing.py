"""A night run again: what changes is told, written once, and found by the check of the tables.

One file, though a long one: all tests change the same stored night, which takes seconds to make.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console
from stored_nights import NIGHT, Stored, raw_rows

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.hbase import open as hbase_opening
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.archive.reading import files_of_night, read_night
from fink_broker.archive.upkeep import merge_table
from fink_broker.cli import main
from fink_broker.cli.hbase_upkeep import rewrite_in_hbase
from fink_broker.config import Config
from fink_broker.errors import ConfigError, UsageError
from fink_broker.science.outcome import MADE_WITH
from fink_broker.science.testing import offline_config, ordinary_alert
from fink_broker.stream import archiving, reprocessing
from fink_broker.stream.archive import Archiving
from fink_broker.stream.archive_marks import Marks
from fink_broker.stream.differences import Changes, differing
from fink_broker.stream.reprocess_task import redone, run_portion
from fink_broker.stream.reprocessing import reprocess

MODULES = ["nalerthist", "asteroids", "transient", "superluminous", "features"]
ALERTS = 60


def packets() -> list[dict]:
    """Return alerts of which every fourth has a poor real-bogus score."""
    found = [ordinary_alert(candid, 4 + candid % 5) for candid in range(1, ALERTS + 1)]
    for number, packet in enumerate(found):
        packet["candidate"] |= {"jd": 2460235.75, "rb": 0.58 if number % 4 == 0 else 0.9, "fid": 1 + number % 2}
    return found


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the work of the processes here: starting two takes seconds."""

    def run(portions: list) -> Iterator:
        yield from map(run_portion, portions)

    monkeypatch.setattr(reprocessing, "_run", run)


@pytest.fixture
def stored(tmp_path: Path, in_process: None) -> Stored:
    """Return a night that came in three batches, not merged."""
    config = offline_config()
    config = config.model_copy(
        update={
            "storage": config.storage.model_copy(
                update={"online": str(tmp_path / "online"), "state": tmp_path / "state", "min_free_gib": 0.0}
            ),
            "science": config.science.model_copy(update={"modules": MODULES, "batch_alerts": 16}),
            "distribution": config.distribution.model_copy(update={"topics": ["vra", "first_pass_candidates"]}),
            "filters": config.filters.model_copy(update={"file": str(tmp_path / "none.toml"), "sdss": "none"}),
        }
    )
    stored = Stored(config)
    raw = raw_rows(packets(), config)
    for number in range(3):
        stored.add(str(number), raw.slice(20 * number, 20))
    return stored


def stricter(config: Config, rb_min: float = 0.6) -> Config:
    return config.model_copy(update={"quality": config.quality.model_copy(update={"rb_min": rb_min})})


def content(stored: Stored) -> pa.Table:
    return pa.concat_tables(read_night(stored.science, NIGHT), promote_options="permissive").sort_by("candid")


def digests(stored: Stored) -> list[str]:
    files = files_of_night(stored.science, NIGHT)
    return [hashlib.sha256(Path(stored.science.storage.root, file.path).read_bytes()).hexdigest() for file in files]


def test_nothing_changes_with_the_modules_of_then(stored: Stored) -> None:
    before = digests(stored)
    done = reprocess(stored.config, NIGHT)
    changes = done.changes
    assert (done.alerts, changes.before, changes.now, changes.gained, changes.lost) == (ALERTS, ALERTS, ALERTS, 0, 0)
    assert (changes.columns, changes.versions, changes.any, done.generation) == ({}, {}, False, 0)
    assert digests(stored) == before
    took = set(range(1, 61, 20)) | set(range(8, 61, 20)) | set(range(15, 61, 20))  # what the topics table says
    assert changes.topics["vra"] == [0, len(took)]


def test_alerts_are_lost_and_gained_with_the_cuts(stored: Stored) -> None:
    strict = stricter(stored.config)
    would = reprocess(strict, NIGHT, dry_run=True)
    assert (would.changes.lost, would.generation, len(content(stored))) == (15, 0, ALERTS)
    done = reprocess(strict, NIGHT)
    assert (done.cuts, done.changes.lost, done.changes.gained, done.generation) == ({"rb": 15}, 15, 0, 1)
    assert content(stored)["candid"].to_pylist() == [k for k in range(1, ALERTS + 1) if (k - 1) % 4]
    written = digests(stored)
    again = reprocess(strict, NIGHT)
    assert (again.changes.any, again.generation) == (False, 0)
    assert digests(stored) == written
    back = reprocess(stored.config, NIGHT)
    assert (back.changes.gained, back.changes.lost, back.generation) == (15, 0, 2)
    assert len(content(stored)) == ALERTS


def test_a_merged_night_gives_the_same(stored: Stored) -> None:
    for name in ("raw", "science", "topics"):
        assert merge_table(stored.config, name, NIGHT, lambda *_: None).merged is not None
    assert not reprocess(stored.config, NIGHT).changes.any
    done = reprocess(stricter(stored.config), NIGHT)
    assert (done.changes.lost, done.generation) == (15, 2)
    assert merge_table(stored.config, "science", NIGHT, lambda *_: None).merged is None


def test_values_that_differ_are_told_by_column(stored: Stored) -> None:
    """The night was stored with a module that counted otherwise."""
    table = content(stored)
    wrong = pc.add(table["nalerthist"], pa.array(np.arange(ALERTS) % 3, pa.int32()))
    place = table.schema.get_field_index("nalerthist")
    made_with = [
        [(name, "0 then" if name == "nalerthist" else text) for name, text in row]
        for row in table[MADE_WITH].to_pylist()
    ]
    kind = table.schema.field(MADE_WITH).type
    table = table.set_column(place, "nalerthist", wrong)
    table = table.set_column(table.schema.get_field_index(MADE_WITH), MADE_WITH, pa.array(made_with, kind))
    (first, *others) = files_of_night(stored.science, NIGHT)
    pa.parquet.write_table(table, Path(stored.science.storage.root, first.path))
    for other in others:
        pa.parquet.write_table(table.slice(0, 0), Path(stored.science.storage.root, other.path))
    now = table["nalerthist"].to_pylist()[2] - 2
    for modules in ((), ("nalerthist",)):
        done = reprocess(stored.config, NIGHT, modules, dry_run=modules == ())
        assert list(done.changes.columns) == ["nalerthist"]
        found = done.changes.columns["nalerthist"]
        assert (found.alerts, found.largest, found.example) == (40, 2.0, f"3: {now + 2} → {now}")
        (before, after), *more = done.changes.versions["nalerthist"]
        assert (before, more) == ("0 then", [])
        assert after == dict(content(stored)[MADE_WITH][0].as_py())["nalerthist"] or modules == ()
    assert not reprocess(stored.config, NIGHT).changes.any


def test_a_module_and_what_needs_it_are_made_anew(stored: Stored) -> None:
    pipeline = stored.pipeline
    assert redone(pipeline, ["nalerthist"]) == tuple(
        module.name
        for module in pipeline.modules
        if module.name == "nalerthist" or "nalerthist" in module.needs.outputs
    )
    assert reprocess(stored.config, NIGHT, ["superluminous"]).generation == 0
    with pytest.raises(ConfigError, match="no configured science module 'nonsense'"):
        reprocess(stored.config, NIGHT, ["nonsense"])


def test_a_night_that_is_not_there_or_not_filtered_yet_is_refused(stored: Stored) -> None:
    with pytest.raises(UsageError, match="no alerts of the night 20200101"):
        reprocess(stored.config, "20200101")
    late = raw_rows([ordinary_alert(1000)], stored.config)
    stored.add_raw("late", late, files=1)
    assert reprocess(stored.config, NIGHT).alerts == ALERTS  # raw2science has it still to come
    stored.add_science("late", late, files=1)
    with pytest.raises(UsageError, match="not yet in topics"):
        reprocess(stored.config, NIGHT)


def test_alerts_that_come_after_a_reprocessing_are_kept(stored: Stored) -> None:
    reprocess(stricter(stored.config), NIGHT)
    stored.add("late", raw_rows([ordinary_alert(1000)], stored.config), files=1)
    assert content(stored)["candid"].to_pylist()[-1] == 1000
    done = reprocess(stricter(stored.config), NIGHT)
    assert (done.alerts, done.changes.any) == (ALERTS + 1, False)


class TestDifferences:
    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            (pa.array([1.0, None, np.nan, 2.0, None]), pa.array([1.0, None, np.nan, 3.0, 1.0]), [3, 4]),
            (pa.array([2**60, 2**60 + 1]), pa.array([2**60, 2**60]), [1]),
            (pa.array([1, 2], pa.int32()), pa.array([1.0, 2.5]), [1]),
            (pa.array(["a", None, "b"]), pa.array(["a", "b", None]), [1, 2]),
            (pa.array([[1.0, np.nan], None]), pa.array([[1.0, np.nan], []]), [1]),
            (pa.array([{"x": np.nan}, None, {"x": 1.0}]), pa.array([{"x": np.nan}, {"x": None}, {"x": 2.0}]), [1, 2]),
            (pa.nulls(2), pa.array(["a", None]), [0]),
        ],
    )
    def test_where_two_columns_differ(self, one: pa.Array, other: pa.Array, expected: list[int]) -> None:
        assert np.flatnonzero(differing(one, other)).tolist() == expected

    def test_topics_gain_and_lose(self) -> None:
        told = pa.table({"candid": [1, 2, 3], "topics": [["vra"], [], ["vra", "other"]]})
        changes = Changes()
        now = np.array([2, 3, 4])
        changes.compare_topics(
            told, now, {"vra": np.array([True, False, True]), "other": np.array([False, True, False])}
        )
        assert changes.topics == {"vra": [2, 2], "other": [0, 0]}
        assert (changes.unfiltered, changes.without_alert) == ([4], [1])


class TestCheck:
    """`fink archive check` on the tables of a reprocessed night."""

    @pytest.fixture
    def conf(self, stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("COLUMNS", "200")
        path = tmp_path / "fink.conf"
        storage = stored.config.storage
        path.write_text(f'[storage]\nonline = "{storage.online}"\nstate = "{storage.state}"\nmin_free_gib = 0\n')
        return str(path)

    def check(self, conf: str, *more: str) -> int:
        return main(["archive", "check", "--night", NIGHT, "-c", conf, *more])

    def test_all_agree(self, conf: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.check(conf) == 0
        out = capsys.readouterr().out
        assert "All agree." in out
        assert re.search(r"raw .* 6 .* 60 .* 60", out)
        assert main(["merge", "--night", NIGHT, "-c", conf]) == 0
        assert self.check(conf) == 0

    def test_a_reprocessed_night_agrees_with_the_cuts_of_then(
        self, conf: str, stored: Stored, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reprocess(stricter(stored.config), NIGHT)
        assert self.check(conf) == 5
        assert "15 alerts (1, 5, 9, 13, 17 …) pass the cuts and are not in science." in capsys.readouterr().out
        monkeypatch.setenv("FINK__QUALITY__RB_MIN", "0.6")
        assert self.check(conf) == 0

    def test_each_difference_has_its_sentence(
        self, conf: str, stored: Stored, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = Path(stored.science.storage.root)
        files = files_of_night(stored.science, NIGHT)
        (root / files[0].path).unlink()
        whole = (root / files[1].path).read_bytes()
        (root / files[1].path).write_bytes(whole[:-9])
        (root / f"night={NIGHT}" / "stranger.parquet").write_bytes((root / files[2].path).read_bytes())
        (root / "_staging" / "s-unfinished" / f"night={NIGHT}").mkdir(parents=True)
        (root / "_staging" / "s-unfinished" / f"night={NIGHT}" / "0.parquet").write_bytes(b"half")
        (root / "_staging" / "s-of-another" / "night=20991231").mkdir(parents=True)
        twice = root / files[3].path
        pa.parquet.write_table(pa.concat_tables([pa.parquet.ParquetFile(twice).read()] * 2), twice)
        assert self.check(conf) == 5
        out = capsys.readouterr().out
        assert f"science: the file {files[0].path} is gone." in out
        assert f"the file {files[1].path} cannot be read" in out
        assert f"the file night={NIGHT}/stranger.parquet belongs to no batch." in out
        assert "the batch s-unfinished was cut short" in out
        assert "s-of-another" not in out
        assert f"the file {files[3].path} holds 20 alerts, not 10 as is listed." in out
        assert "science: 10 alerts (31, 32, 33, 34, 35 …) are more than once." in out
        assert "20 alerts (1, 2, 3, 4, 5 …) pass the cuts and are not in science." in out
        assert "20 alerts (1, 2, 3, 4, 5 …) are in topics and not in science." in out

    def test_what_a_killed_batch_left_is_removed_on_request(
        self, conf: str, stored: Stored, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = Path(stored.science.storage.root)
        (root / "_staging" / "s-9").mkdir(parents=True)
        left = root / f"night={NIGHT}" / "s-9-0.parquet"
        left.write_bytes(b"half")
        merged = root / f"night={NIGHT}" / "merged-000009-000000.parquet"
        merged.write_bytes(b"half")
        assert self.check(conf) == 5
        assert left.exists()
        assert self.check(conf, "--repair") == 0
        assert not left.exists()
        assert not merged.exists()

    def test_what_waits_is_told(self, conf: str, stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
        stored.add_raw("late", raw_rows([ordinary_alert(1000)], stored.config), files=1)
        assert self.check(conf) == 5
        out = capsys.readouterr().out
        assert "1 alert in 1 batch of raw is not yet in science." in out
        assert "1 alert (1000) pass the cuts and are not in science." in out

    @pytest.fixture
    def database(self, stored: Stored, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
        """Bring the night to a database of memory, as the archive job does; return it."""
        store = MemoryStore()
        monkeypatch.setattr(archiving, "open_archive", lambda _config: Archive(store, "ztf"))
        monkeypatch.setattr(hbase_opening, "open_archive", lambda _config: Archive(store, "ztf"))
        archived, stop = AlertTable(Layout(stored.config.storage.online).table("archived")), threading.Event()
        archived.create()
        job = Archiving(stored.config, Archive(store, "ztf"))
        worker = threading.Thread(target=job.run, args=(stop, print), daemon=True)
        worker.start()
        deadline = time.monotonic() + 20
        while archived.log.end() == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        stop.set()
        worker.join()  # once the records of nights are written
        assert sum(commit.counts["out"] for commit in archived.log.read_all()) == ALERTS
        return store

    def test_hbase_is_compared_and_brought_up_to_date(
        self, conf: str, stored: Stored, database: MemoryStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.check(conf) == 0
        (key, _), *_ = database.scan("ztf", ALL_KEYS)
        database.delete("ztf", [key])
        assert self.check(conf, "--no-hbase") == 0
        assert self.check(conf, "--quick") == 5
        candid = key.rsplit(b"_")[-1].decode()
        assert f"1 alert ({candid}) are in science and not in HBase." in capsys.readouterr().out
        assert self.check(conf, "--repair") == 0
        assert self.check(conf) == 0

    def test_values_that_differ_in_hbase_are_found_and_mended(
        self, conf: str, database: MemoryStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (key, row), *_ = database.scan("ztf", ALL_KEYS)
        database.put("ztf", [(key, {b"alert:row": row[b"alert:row"][:-1]})])
        (wrong, _), *_ = database.scan("ztf.class", ALL_KEYS)
        database.delete("ztf.class", [wrong])
        assert self.check(conf, "--quick") == 0
        assert self.check(conf) == 5
        out = capsys.readouterr().out
        assert "Alerts of which the main table of HBase has other values than science, or damaged ones: 1 (" in out
        assert "Alerts that have no row in table `class` of HBase: 1 (" in out
        assert self.check(conf, "--repair") == 0
        assert self.check(conf) == 0

    def test_a_night_that_was_reprocessed_while_hbase_was_away_is_marked_until_it_is_written(
        self,
        conf: str,
        stored: Stored,
        database: MemoryStore,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("FINK__QUALITY__RB_MIN", "0.6")
        database.away = True
        reprocess(stricter(stored.config), NIGHT)
        assert Marks(stored.config).nights() == [NIGHT]
        assert rewrite_in_hbase(stored.config, NIGHT, Console()) is None
        assert "HBase was not brought up to date" in capsys.readouterr().out
        database.away = False
        assert self.check(conf, "--quick") == 5
        out = capsys.readouterr().out
        assert "HBase: the night was changed at 20" in out
        assert "15 alerts (1, 5, 9, 13, 17 …) have a row in HBase and are not in science." in out
        assert self.check(conf, "--repair") == 0
        assert Marks(stored.config).nights() == []
        assert self.check(conf) == 0

    def test_a_mark_alone_has_the_night_written(self, conf: str, stored: Stored, database: MemoryStore) -> None:
        marks = Marks(stored.config)
        marks.set(NIGHT)
        seen = marks.read(NIGHT)
        marks.set(NIGHT)
        marks.remove(NIGHT, seen)  # it was set again since it was read
        assert self.check(conf) == 5
        assert self.check(conf, "--repair") == 0
        assert marks.nights() == []

    def test_an_emptied_hbase_is_filled_again(
        self, conf: str, database: MemoryStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = {name: list(database.scan(name, ALL_KEYS)) for name in database._tables}
        database._tables.clear()
        assert main(["archive", "rebuild", "-c", conf]) == 0
        assert f"{NIGHT} HBase: {ALERTS} rows written" in capsys.readouterr().out
        assert {name: list(database.scan(name, ALL_KEYS)) for name in database._tables} == before
        assert self.check(conf) == 0
        assert main(["archive", "rebuild", "--night", NIGHT, "-c", conf]) == 0
        assert main(["archive", "rebuild", "--night", "20200101", "-c", conf]) == 1
        database.away = True
        assert main(["archive", "rebuild", "-c", conf]) == 3

    def test_hbase_that_is_away_is_told(
        self, conf: str, database: MemoryStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        database.away = True
        for more in ((), ("--quick",), ("--repair",)):
            assert self.check(conf, *more) == 5
            assert "HBase could not be compared: The database in memory was told to be away." in capsys.readouterr().out

    @pytest.mark.parametrize("night", ["20200101", "yesterday", "2023-13-45x", ""])
    def test_no_such_night(self, conf: str, night: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["archive", "check", "--night", night, "-c", conf]) == 1
        assert capsys.readouterr().err
