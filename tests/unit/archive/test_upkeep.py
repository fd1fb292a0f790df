"""How far nights are merged, what goes for its age, and what stays."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from transfer_rows import rows

from fink_broker.archive import AlertTable, Commit, Layout, merging
from fink_broker.archive.following import settled, taken
from fink_broker.archive.reading import files_of_night, nights_of, read_night
from fink_broker.archive.upkeep import (
    merge_table,
    nights_there,
    purge_tables,
    remove_night,
    remove_rejected,
    remove_staging,
    remove_unfinished,
    too_old,
)
from fink_broker.config import Config
from fink_broker.config.model import StorageConfig
from fink_broker.config.paths import nearly_full
from fink_broker.errors import UsageError

NIGHT, NEXT = "20231018", "20231019"


def quietly(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(storage=StorageConfig(online=str(tmp_path / "online"), min_free_gib=0))


def table(config: Config, name: str) -> AlertTable:
    return AlertTable(Layout(config.storage.online).table(name))


def add(config: Config, name: str, number: int, inputs: tuple[str, ...] = (), night: str = NIGHT) -> None:
    """Commit ten alerts to a table."""
    own, commit_id = table(config, name), f"{name}-{number}"
    own.create()
    folder = Path(own.staging(commit_id)) / f"night={night}"
    folder.mkdir(parents=True)
    pa.parquet.write_table(rows(10, 10 * number), folder / "0.parquet")
    own.commit(Commit(commit_id, list(inputs), own.publish(commit_id), {"in": 10, "out": 10}, 1.0, 2.0))


def count(config: Config, name: str, night: str = NIGHT) -> int:
    return sum(len(part) for part in read_night(table(config, name), night, ["candid"]))


def test_a_table_is_settled_as_far_as_the_slowest_later_job(config: Config) -> None:
    for number in range(4):
        add(config, "raw", number)
    layout = Layout(config.storage.online)
    assert settled(layout, "raw") == (0, "science")
    add(config, "science", 0, ("raw-0", "raw-1"))
    add(config, "science", 1, ("raw-2",))
    assert taken(table(config, "raw"), table(config, "science")) == 3
    assert settled(layout, "raw") == (3, "science")
    assert settled(layout, "science") == (0, "topics")
    add(config, "topics", 0, ("science-0", "science-1"))
    assert settled(layout, "science") == (2, "topics")
    assert settled(layout, "topics") == (1, "")
    table(config, "archived").create()
    assert settled(layout, "science") == (0, "archived")
    table(config, "archived").log.write(Commit("a-0", ["science-0"], [], {"in": 10, "out": 10}, 1.0, 2.0))
    assert settled(layout, "science") == (1, "archived")


def test_files_a_later_job_still_needs_are_left_and_told(config: Config) -> None:
    for number in range(3):
        add(config, "raw", number)
    add(config, "science", 0, ("raw-0", "raw-1"))
    found = merge_table(config, "raw", NIGHT, quietly)
    assert found.merged is not None
    assert (found.files, found.waiting, found.waits_for, found.merged.rows) == (2, 1, "science", 20)
    assert count(config, "raw") == 30
    again = merge_table(config, "raw", NIGHT, quietly)
    assert (again.merged, again.waiting) == (None, 1)
    waiting = merge_table(config, "science", NIGHT, quietly)
    assert (waiting.merged, waiting.waiting, waiting.waits_for) == (None, 1, "topics")


def test_nights_older_than_they_are_to_be_kept() -> None:
    today = datetime(2024, 1, 11, 5, tzinfo=UTC)
    nights = ["20240101", "20240102", "20240110"]
    assert too_old(nights, 0, today) == []
    assert too_old(nights, 10, today) == []
    assert too_old(nights, 9, today) == ["20240101"]
    assert too_old(nights, 1, today) == ["20240101", "20240102"]


def test_a_night_goes_when_later_jobs_have_done_with_it(config: Config) -> None:
    add(config, "raw", 0)
    add(config, "raw", 1)
    add(config, "raw", 2, night=NEXT)
    add(config, "science", 0, ("raw-0",))
    assert remove_night(config, "raw", NIGHT, dry_run=False) is None
    assert count(config, "raw") == 20
    add(config, "science", 1, ("raw-1", "raw-2"))
    merge_table(config, "raw", NIGHT, quietly)
    purge_tables(config, (), at_once=[NIGHT])
    would = remove_night(config, "raw", NIGHT, dry_run=True)
    assert would is not None
    assert would.files == 1
    assert count(config, "raw") == 20
    freed = remove_night(config, "raw", NIGHT, dry_run=False)
    assert freed is not None
    assert freed.bytes == would.bytes > 0
    assert files_of_night(table(config, "raw"), NIGHT) == []
    assert count(config, "raw", NEXT) == 10
    purge_tables(config, (), at_once=[NIGHT])
    assert not list(Path(table(config, "raw").storage.root, f"night={NIGHT}").iterdir())
    add(config, "raw", 3)  # an alert that comes years late
    assert count(config, "raw") == 10


def test_an_empty_folder_goes_when_it_has_been_left_alone(config: Config) -> None:
    add(config, "raw", 0)
    add(config, "science", 0, ("raw-0",))
    remove_night(config, "raw", NIGHT, dry_run=False)
    remove_night(config, "raw", NIGHT, dry_run=False)
    assert nights_of(table(config, "raw")) == [NIGHT]
    folder = Path(table(config, "raw").storage.root, f"night={NIGHT}")
    os.utime(folder, (1.0, 1.0))
    remove_night(config, "raw", NIGHT, dry_run=False)
    assert nights_of(table(config, "raw")) == []
    assert nights_there(config) == [NIGHT]  # science has it


def test_what_an_unfinished_transfer_sends_stays(config: Config) -> None:
    add(config, "science", 0)
    add(config, "topics", 0, ("science-0",))
    (file,) = files_of_night(table(config, "science"), NIGHT)
    assert remove_night(config, "science", NIGHT, {file.path}, dry_run=False) is None
    merge_table(config, "science", NIGHT, quietly)
    assert purge_tables(config, {file.path}, at_once=[NIGHT]).files == 0
    assert Path(table(config, "science").storage.root, file.path).exists()
    assert purge_tables(config, (), at_once=[NIGHT]).files == 1


def test_what_was_merged_away_and_an_unfinished_transfer_sends_keeps_its_night(config: Config) -> None:
    add(config, "science", 0)
    add(config, "topics", 0, ("science-0",))
    (file,) = files_of_night(table(config, "science"), NIGHT)
    merge_table(config, "science", NIGHT, quietly)
    assert remove_night(config, "science", NIGHT, {file.path}, dry_run=False) is None
    assert Path(table(config, "science").storage.root, file.path).exists()
    freed = remove_night(config, "science", NIGHT, dry_run=False)
    assert freed is not None
    assert freed.files == 2
    assert not list(Path(table(config, "science").storage.root, f"night={NIGHT}").iterdir())


def test_only_the_nights_that_are_named_go_at_once(config: Config) -> None:
    for number, night in enumerate((NIGHT, NEXT)):
        add(config, "topics", number, night=night)
        merge_table(config, "topics", night, quietly)
    assert purge_tables(config, ()).files == 0
    assert purge_tables(config, (), at_once=[NEXT]).files == 1
    folders = [Path(table(config, "topics").storage.root, f"night={night}") for night in (NIGHT, NEXT)]
    assert [len(list(folder.iterdir())) for folder in folders] == [2, 1]


@pytest.mark.parametrize("step", ["retire", "list"])
def test_a_night_goes_whole_after_a_merge_that_was_killed(
    config: Config, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    add(config, "topics", 0)
    with monkeypatch.context() as patch:
        where = {"retire": "fink_broker.archive.night_writer.retire"}
        patch.setattr(where.get(step, "fink_broker.archive.merged_night.MergedNights.write"), killed)
        with pytest.raises(Killed):
            merge_table(config, "topics", NIGHT, quietly)
    folder = Path(table(config, "topics").storage.root, f"night={NIGHT}")
    assert len(list(folder.iterdir())) == 2
    assert remove_night(config, "topics", NIGHT, dry_run=False) is not None
    assert not list(folder.iterdir())


def test_a_merge_that_was_killed_does_not_take_the_room_of_the_next(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(config, "topics", 0)
    root = Path(table(config, "topics").storage.root)

    def leave() -> None:
        for name in (NIGHT, f"{NIGHT}-piles-0"):
            (root / "_merging" / name).mkdir(parents=True, exist_ok=True)
            (root / "_merging" / name / "0").write_bytes(b"x" * 1_000_000)

    def free(_location: str) -> float:
        left = sum(path.stat().st_size for path in (root / "_merging").rglob("*") if path.is_file())
        return (1_500_000 - left) / 1024**3

    leave()
    monkeypatch.setattr(merging, "free_gib", free)
    assert merge_table(config, "topics", NIGHT, quietly).merged is not None
    leave()
    with table(config, "topics").merged.alone(), pytest.raises(UsageError, match="being merged"):
        remove_unfinished(config, dry_run=False, now=time.time())
    assert remove_unfinished(config, dry_run=True, now=time.time()).bytes == 2_000_000
    assert remove_unfinished(config, dry_run=False, now=time.time()).files == 2
    assert not (root / "_merging").exists()


def test_files_nobody_finished_writing_go_after_a_day(config: Config) -> None:
    add(config, "topics", 0)
    half = Path(table(config, "topics").storage.root, "_commits", ".000000.jsonl.0123456789ab.tmp")
    half.write_bytes(b"half")
    assert remove_unfinished(config, dry_run=False, now=time.time()).files == 0
    assert remove_unfinished(config, dry_run=False, now=time.time() + 2 * 86400).files == 1
    assert not half.exists()


def test_rejected_packets_and_old_staging_go(config: Config) -> None:
    storage = config.storage.model_copy(update={"keep_rejected_days": 30})
    config = config.model_copy(update={"storage": storage})
    rejected = Path(table(config, "rejected").storage.root)
    today = datetime.now(UTC).strftime("%Y%m%d")
    for day in ("20200101", today):
        (rejected / f"date={day}").mkdir(parents=True)
        (rejected / f"date={day}" / "a.parquet").write_bytes(b"x" * 100)
    days, freed = remove_rejected(config, dry_run=False)
    assert (days, freed.files, freed.bytes) == (["20200101"], 1, 100)
    assert [path.name for path in rejected.iterdir()] == [f"date={today}"]
    staged = Path(table(config, "raw").storage.root, "_staging", "q-7")
    staged.mkdir(parents=True)
    (staged / "0.parquet").write_bytes(b"x" * 100)
    assert remove_staging(config, dry_run=False, now=time.time()).files == 0
    assert remove_staging(config, dry_run=False, now=time.time() + 2 * 86400).files == 1
    assert not staged.exists()


def test_a_nearly_full_disk_is_told(tmp_path: Path) -> None:
    assert nearly_full(tmp_path / "not" / "there", 0.0) == ""
    assert nearly_full("hdfs://somewhere/online", 1e9) == ""
    assert "is nearly full" in nearly_full(tmp_path, 1e9)
