"""Merged files that no list names: rubbish of a killed merge goes, the only copy of a night never does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from transfer_rows import commit, rows

from fink_broker.archive import AlertTable
from fink_broker.archive.merged_night import MergedNight
from fink_broker.archive.merging import merge_night
from fink_broker.archive.night_writer import NightWriter
from fink_broker.archive.reading import files_of_night, read_night
from fink_broker.archive.relisting import forget_unfinished, newest_generation, relist, unlisted
from fink_broker.archive.retiring import purge
from fink_broker.errors import DataError

NIGHT = "20231018"
#: so that sixty made-up rows make several files
SMALL = 1 / 256


@pytest.fixture
def table(tmp_path: Path) -> AlertTable:
    """Return a table of a night that came in three batches."""
    table = AlertTable(str(tmp_path / "science"))
    for number in range(3):
        commit(table, f"q-{number}", NIGHT, rows(20, 20 * number))
    return table


def merge(table: AlertTable) -> MergedNight:
    merged = merge_night(table, NIGHT, table.log.end(), file_mib=SMALL)  # type: ignore[arg-type]
    assert merged is not None
    return merged


def lose_list(table: AlertTable) -> None:
    Path(table.storage.root, "_merged", f"{NIGHT}.json").unlink()


def candids_of(table: AlertTable) -> list[int]:
    return sorted(candid for part in read_night(table, NIGHT, ["candid"]) for candid in part["candid"].to_pylist())


def digests(table: AlertTable) -> dict[str, str]:
    folder = Path(table.storage.root, f"night={NIGHT}")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_only_copy_of_a_night_stays_and_is_listed_again(table: AlertTable) -> None:
    before = candids_of(table)
    merged = merge(table)
    assert len(merged.files) > 1
    purge(table.storage, 0.0)
    lose_list(table)
    there = digests(table)
    assert forget_unfinished(table, NIGHT) == [file.path for file in merged.files]
    assert digests(table) == there
    assert relist(table, NIGHT) == MergedNight(NIGHT, 1, 3, merged.files)
    assert candids_of(table) == before
    assert relist(table, NIGHT) is None
    assert forget_unfinished(table, NIGHT) == []
    assert digests(table) == there


def test_batches_that_came_later_are_read_beside_the_listed_files(table: AlertTable) -> None:
    merge(table)
    purge(table.storage, 0.0)
    commit(table, "q-3", NIGHT, rows(20, 60))
    lose_list(table)
    relisted = relist(table, NIGHT)
    assert relisted is not None
    assert (relisted.until, relisted.rows) == (3, 60)
    assert len(candids_of(table)) == len(set(candids_of(table))) == 80


def test_files_that_something_still_needs_are_not_read_twice(table: AlertTable) -> None:
    kept = files_of_night(table, NIGHT)[2].path
    merge(table)
    purge(table.storage, 0.0, needed=[kept])
    lose_list(table)
    relisted = relist(table, NIGHT)
    assert relisted is not None
    assert relisted.until == 3
    assert len(candids_of(table)) == 60


def test_a_later_merge_cut_short_is_not_taken_for_the_night(table: AlertTable) -> None:
    first = merge(table)
    purge(table.storage, 0.0)
    path = Path(table.storage.root, first.files[0].path)
    path.with_name("merged-000002-000000.parquet").write_bytes(path.read_bytes())
    path.with_name("merged-000003-000000.parquet").write_bytes(b"half")
    lose_list(table)
    assert relist(table, NIGHT) == MergedNight(NIGHT, 1, 3, first.files)
    assert len(candids_of(table)) == 60
    assert len(unlisted(table, NIGHT)) == 2
    assert forget_unfinished(table, NIGHT) == []
    assert unlisted(table, NIGHT) == []


def test_as_long_as_the_files_of_batches_are_there_merged_ones_without_a_list_go(table: AlertTable) -> None:
    merge(table)
    lose_list(table)
    assert relist(table, NIGHT) is None
    assert forget_unfinished(table, NIGHT) == []
    assert newest_generation(table.storage, NIGHT) == 0
    assert not table.storage.find("_retired")
    assert len(candids_of(table)) == 60


def test_files_that_hold_something_else_are_neither_listed_nor_removed(table: AlertTable) -> None:
    """A reprocessing with other cuts has fewer alerts than the batches brought."""
    with NightWriter(table, NIGHT) as writer:
        writer.write(rows(50))
        writer.publish(3, 50)
    purge(table.storage, 0.0)
    lose_list(table)
    there = digests(table)
    with pytest.raises(DataError, match="do not hold the 60 alerts that were merged"):
        relist(table, NIGHT)
    assert len(forget_unfinished(table, NIGHT)) == 1
    assert digests(table) == there


def test_an_older_list_that_was_put_back_removes_nothing(table: AlertTable) -> None:
    merge(table)
    older = Path(table.storage.root, "_merged", f"{NIGHT}.json").read_bytes()
    commit(table, "q-3", NIGHT, rows(20, 60))
    latest = merge(table)
    purge(table.storage, 0.0)
    Path(table.storage.root, "_merged", f"{NIGHT}.json").write_bytes(older)
    assert forget_unfinished(table, NIGHT) == [file.path for file in latest.files]
    assert relist(table, NIGHT) == MergedNight(NIGHT, 2, 4, latest.files)
    assert len(candids_of(table)) == 80


def test_a_night_without_its_list_is_not_merged_and_nothing_is_written_over(table: AlertTable) -> None:
    merge(table)
    purge(table.storage, 0.0)
    lose_list(table)
    there = digests(table)
    with pytest.raises(DataError, match=r"is gone. .* --repair"):
        merge(table)
    with NightWriter(table, NIGHT) as writer:
        assert writer.generation == 2
    assert digests(table) == there
