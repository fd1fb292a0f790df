"""A merged night holds the same alerts in few sorted files, whatever interrupts the merge and whoever reads."""

from __future__ import annotations

import dataclasses
import hashlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transfer_rows import commit, rows

from fink_broker.archive import AlertTable, Commit
from fink_broker.archive.additions import BATCH, BatchNames
from fink_broker.archive.buckets import COLUMN_BYTES, Buckets, bounds_of, keys_of, memory_of
from fink_broker.archive.merging import merge_night
from fink_broker.archive.night_writer import ROWS_IN_A_GROUP
from fink_broker.archive.reading import files_of_night, nights_of, read_night
from fink_broker.archive.retiring import purge
from fink_broker.archive.storage import Storage
from fink_broker.errors import CountsDoNotClose, DataError, ServiceError, UsageError

NIGHT = "20231018"
OTHER = "20231019"
#: so that a few hundred made-up rows make several files
SMALL = 1 / 64


def shuffled(number: int, first: int = 0, seed: int = 0, **columns: pa.Array) -> pa.Table:
    """Return alerts of few objects, in no order."""
    alerts = rows(number, first, **columns)
    names = pa.array([f"ZTF{(first + k) * 7 % 97:04d}" for k in range(number)])
    alerts = alerts.set_column(0, "objectId", names)
    return alerts.take(pa.array(np.random.default_rng(seed).permutation(number)))


@pytest.fixture
def table(tmp_path: Path) -> AlertTable:
    """Return a table of two nights that came in six batches."""
    table = AlertTable(str(tmp_path / "science"))
    for number in range(5):
        commit(table, f"q-{number}", NIGHT, shuffled(90, 90 * number, number))
    commit(table, "q-5", OTHER, shuffled(40, 1000))
    return table


def merge(table: AlertTable, until: int | None = None, file_mib: float = SMALL, night: str = NIGHT):
    return merge_night(table, night, table.log.end() if until is None else until, file_mib=file_mib)  # type: ignore[arg-type]


def alerts_of(table: AlertTable, night: str = NIGHT) -> list[dict]:
    found = pa.concat_tables(read_night(table, night), promote_options="permissive")
    return sorted(found.to_pylist(), key=lambda row: row["candid"])


def candids_of(table: AlertTable, night: str = NIGHT) -> list[int]:
    return [candid for part in read_night(table, night, ["candid"]) for candid in part["candid"].to_pylist()]


def digests(table: AlertTable) -> dict[str, str]:
    paths = [Path(table.storage.root, file.path) for file in files_of_night(table, NIGHT)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_same_alerts_in_few_sorted_files(table: AlertTable) -> None:
    before = alerts_of(table)
    merged = merge(table)
    assert merged is not None
    assert (merged.rows, merged.until, merged.generation) == (450, 6, 1)
    assert 1 < len(merged.files) < 9
    assert [file.path for file in files_of_night(table, NIGHT)] == [file.path for file in merged.files]
    assert alerts_of(table) == before
    keys = []
    for file in merged.files:
        stored = pq.ParquetFile(Path(table.storage.root, file.path))
        assert max(stored.metadata.row_group(k).num_rows for k in range(stored.num_row_groups)) <= ROWS_IN_A_GROUP
        content = stored.read()
        assert (content["objectId"][0].as_py(), content["objectId"][-1].as_py()) == (file.first, file.last)
        jd = [row["jd"] for row in content["candidate"].to_pylist()]
        keys += list(zip(content["objectId"].to_pylist(), jd, content["candid"].to_pylist(), strict=True))
        names = {stored.metadata.schema.column(k).path: k for k in range(stored.metadata.num_columns)}
        for name in ("objectId", "candid"):
            assert stored.metadata.row_group(0).column(names[name]).statistics.has_min_max
    assert keys == sorted(keys)
    assert candids_of(table, OTHER) == shuffled(40, 1000)["candid"].to_pylist()


def test_a_row_group_holds_at_most_128_rows(tmp_path: Path) -> None:
    table = AlertTable(str(tmp_path / "science"))
    commit(table, "q-0", NIGHT, shuffled(300))
    merged = merge(table, file_mib=128)
    metadata = pq.read_metadata(Path(table.storage.root, merged.files[0].path))
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [128, 128, 44]


def test_twice_does_nothing_and_two_merges_write_the_same_bytes(table: AlertTable, tmp_path: Path) -> None:
    merge(table)
    first = digests(table)
    assert merge(table) is None
    assert digests(table) == first
    other = AlertTable(str(tmp_path / "other"))
    for number in range(5):
        commit(other, f"q-{number}", NIGHT, shuffled(90, 90 * number, number))
    commit(other, "q-5", OTHER, shuffled(40, 1000))
    merge(other)
    assert digests(other) == first
    assert len(first) > 1


def test_alerts_that_come_late_are_read_beside_and_merged_with_the_next_merge(table: AlertTable) -> None:
    merge(table)
    commit(table, "q-6", NIGHT, shuffled(30, 5000))
    assert len(candids_of(table)) == len(set(candids_of(table))) == 480
    merged = merge(table)
    assert (merged.generation, merged.rows) == (2, 480)
    assert len(set(candids_of(table))) == 480
    assert merge(table) is None


def test_only_what_later_jobs_have_taken_in_is_merged(table: AlertTable) -> None:
    merged = merge(table, until=3)
    assert (merged.rows, merged.until) == (270, 3)
    assert len(set(candids_of(table))) == len(candids_of(table)) == 450
    later = table.log.read_from(3, 1)[0].files[0]
    assert table.storage.exists(later.path)
    purge(table.storage, 0.0)
    assert table.storage.exists(later.path)
    assert not table.storage.exists(table.log.read_from(0, 1)[0].files[0].path)
    assert len(set(candids_of(table))) == 450


def test_old_files_stay_for_a_while(table: AlertTable) -> None:
    old = [file.path for file in files_of_night(table, NIGHT)]
    merge(table)
    assert purge(table.storage).files == 0
    assert all(table.storage.exists(path) for path in old)
    assert purge(table.storage, needed=old[:1], now=time.time() + 901).files == len(old) - 1
    assert table.storage.exists(old[0])
    assert purge(table.storage, dry_run=True, now=time.time() + 901).files == 1
    assert purge(table.storage, now=time.time() + 901).files == 1
    assert not table.storage.find("_retired")
    assert len(candids_of(table)) == 450


def test_columns_that_files_lack_are_null(tmp_path: Path) -> None:
    table = AlertTable(str(tmp_path / "science"))
    commit(table, "q-0", NIGHT, rows(10))
    wide = rows(10, 10, brand_new=pa.array(np.arange(10), pa.int32()))
    candidate = pa.StructArray.from_arrays(
        [*wide["candidate"].combine_chunks().flatten(), pa.array(["x"] * 10)], names=["jd", "magpsf", "drb", "more"]
    )
    commit(table, "q-1", NIGHT, wide.set_column(2, "candidate", candidate))
    commit(table, "q-2", NIGHT, rows(10, 20, brand_new=pa.array([2.5] * 10)))
    before = {row["candid"]: row for row in alerts_of(table)}
    merged = merge(table, file_mib=128)
    assert len(merged.files) == 1
    after = alerts_of(table)
    assert [row["brand_new"] for row in after] == [None] * 10 + [float(k) for k in range(10)] + [2.5] * 10
    assert [row["candidate"]["more"] for row in after] == [None] * 10 + ["x"] * 10 + [None] * 10
    for row in after:
        old = before[row["candid"]]
        assert {**row, "brand_new": None, "candidate": None} == {**old, "brand_new": None, "candidate": None}
        assert row["candidate"]["jd"] == old["candidate"]["jd"]


def test_types_that_have_none_in_common_stay_apart(tmp_path: Path) -> None:
    table = AlertTable(str(tmp_path / "science"))
    commit(table, "q-0", NIGHT, rows(10, brand_new=pa.array(["text"] * 10)))
    commit(table, "q-1", NIGHT, rows(10, 10, brand_new=pa.array([1.5] * 10)))
    commit(table, "q-2", NIGHT, rows(10, 20, brand_new=pa.array([[1]] * 10)))
    commit(table, "q-3", NIGHT, rows(10, 30))
    merged = merge(table, file_mib=128)
    kinds = [pq.read_schema(Path(table.storage.root, file.path)).field("brand_new").type for file in merged.files]
    assert [str(kind).split("<")[0] for kind in kinds] == ["string", "double", "list"]
    assert [file.rows for file in merged.files] == [20, 10, 10]
    values = [value for part in read_night(table, NIGHT) for value in part["brand_new"].to_pylist()]
    assert (values.count("text"), values.count(1.5), values.count([1]), values.count(None)) == (10, 10, 10, 10)


def test_the_topics_table_keeps_the_batch_of_each_row(tmp_path: Path) -> None:
    table = AlertTable(str(tmp_path / "topics"))
    for number in range(3):
        said = rows(10, 10 * number).select(["candid", "objectId"])
        commit(table, f"t-{number}", NIGHT, said)
    merge_night(table, NIGHT, 2, (BatchNames(),))
    merge_night(table, NIGHT, 3, (BatchNames(),))
    found = pa.concat_tables(read_night(table, NIGHT)).sort_by("candid")
    assert found[BATCH].to_pylist() == ["t-0"] * 10 + ["t-1"] * 10 + ["t-2"] * 10


def test_a_file_that_cannot_be_read_leaves_the_night_as_it_was(table: AlertTable) -> None:
    path = Path(table.storage.root, files_of_night(table, NIGHT)[2].path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"q-2-0.parquet cannot be read"):
        merge(table)
    assert table.merged.read(NIGHT) is None
    assert not table.storage.folders("_merging")


def test_a_count_that_does_not_close_replaces_nothing(table: AlertTable) -> None:
    first = table.log.read_from(0, 1)[0]
    wrong = dataclasses.replace(first.files[0], rows=91)
    listed = Commit(first.id, [], [wrong], {"in": 91, "out": 91}, 1.0, 2.0)
    (path,) = Path(table.storage.root, "_commits/000000").glob("000000000-*.json")
    path.write_bytes(listed.to_json())
    with pytest.raises(CountsDoNotClose, match="hold 450 alerts, those before 451"):
        merge(table)
    assert table.merged.read(NIGHT) is None


def test_two_at_once_and_a_full_disk_are_refused(table: AlertTable) -> None:
    with table.merged.alone(), pytest.raises(UsageError, match="being merged"):
        merge(AlertTable(table.storage.root))
    with pytest.raises(ServiceError, match="GiB free on the disk"):
        merge_night(table, NIGHT, 6, least_free_gib=10.0**9)


class Killed(BaseException):
    """Stands for kill -9 at one step."""


CHANGES = ("make_folder", "move", "write_atomically", "remove", "remove_folder")


@pytest.mark.parametrize("second", [False, True], ids=["first merge", "merge again"])
def test_killed_before_any_change_to_the_disk(table: AlertTable, monkeypatch: pytest.MonkeyPatch, second: bool) -> None:
    """Whichever change to the disk is the last one done, the night is whole, and the next merge is as ever."""
    if second:
        merge(table)
        commit(table, "q-6", NIGHT, shuffled(30, 5000))
    expected = sorted(candids_of(table))
    real = {name: getattr(Storage, name) for name in CHANGES}
    step, killed_all = 0, False
    while not killed_all:
        step += 1
        left = step

        def counted(name: str):
            def change(self: Storage, *arguments: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed
                if left < 0 and name == "remove_folder":
                    return None  # dead: nothing is tidied up
                return real[name](self, *arguments)

            return change

        with monkeypatch.context() as patch:
            for name in CHANGES:
                patch.setattr(Storage, name, counted(name))
            try:
                merge(AlertTable(table.storage.root))
                killed_all = True
            except Killed:
                pass
        assert sorted(candids_of(table)) == expected
        assert purge(table.storage, now=time.time()).files == 0
    assert step > 8
    assert merge(table) is None
    assert sorted(candids_of(table)) == expected
    listed = {file.path for file in files_of_night(table, NIGHT)}
    purge(table.storage, 0.0)
    there = {f"night={NIGHT}/{info.base_name}" for info in table.storage.find(f"night={NIGHT}")}
    assert there == listed


MERGE_SCRIPT = """
import sys
from fink_broker.archive import AlertTable
from fink_broker.archive.merging import merge_night
table = AlertTable(sys.argv[1])
print("begin", flush=True)
merge_night(table, "20231018", table.log.end(), file_mib=float(sys.argv[2]))
"""


def test_killed_at_random_moments(tmp_path: Path) -> None:
    table = AlertTable(str(tmp_path / "science"))
    for number in range(12):
        commit(table, f"q-{number}", NIGHT, shuffled(400, 400 * number, number))
    before = alerts_of(table)
    generator = np.random.default_rng()
    survived = 0
    for delay in (0.0, *generator.uniform(0.0, 0.5, 3)):
        process = subprocess.Popen(
            [sys.executable, "-c", MERGE_SCRIPT, table.storage.root, str(SMALL)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"begin\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        survived += process.wait() == 0
        process.stdout.close()
        assert len(candids_of(table)) == 4800
    assert survived < 4  # the one killed at once was not done
    merge(table)
    assert alerts_of(table) == before
    assert merge(table) is None
    assert not table.storage.folders("_merging")


class TestBuckets:
    def piles(self, folder: Path, alerts: pa.Table, memory: int) -> Buckets:
        return Buckets(folder, bounds_of(keys_of(alerts), 20), memory)

    def test_every_alert_comes_back_from_its_pile(self, tmp_path: Path) -> None:
        alerts = shuffled(500)
        wide = alerts.append_column("more", pa.array([1.5] * 500))
        buckets = self.piles(tmp_path / "piles", alerts, 300_000)
        for start in range(0, 500, 5):
            buckets.add((wide if start % 2 else alerts).slice(start, 5))
        found: list[int] = []
        last = ""
        for number in range(len(buckets)):
            parts = buckets.take(number)
            names = sorted(name for part in parts for name in part["objectId"].to_pylist())
            assert names[0] > last
            last = names[-1]
            found += [candid for part in parts for candid in part["candid"].to_pylist()]
        assert sorted(found) == sorted(alerts["candid"].to_pylist())

    def test_what_small_tables_take_beside_their_values_counts(self, tmp_path: Path) -> None:
        """A thousand files of few alerts on twenty piles do not stay in memory as a thousand tables each."""
        alerts = shuffled(200)
        limit = 400_000
        buckets = self.piles(tmp_path / "piles", alerts, limit)
        most_tables = 0
        for number in range(1000):
            buckets.add(alerts.slice(number % 190, 10))
            assert buckets.bytes <= limit
            most_tables = max(most_tables, sum(map(len, buckets._held)))
        assert memory_of(alerts.slice(0, 1)) > 10 * alerts.slice(0, 1).nbytes
        assert most_tables * COLUMN_BYTES < limit
        read = sum(len(part) for number in range(len(buckets)) for part in buckets.take(number))
        assert read == 10_000


def test_readers_find_every_alert_while_the_night_is_merged(table: AlertTable) -> None:
    wrong: list[str] = []
    done = threading.Event()
    least = 450

    def read() -> None:
        own = AlertTable(table.storage.root)
        while not done.is_set():
            at_least = least
            found = candids_of(own)
            if len(found) != len(set(found)) or len(found) < at_least:
                wrong.append(f"{len(found)} of {at_least}, {len(set(found))} distinct")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(6, 14):
        commit(table, f"q-{number}", NIGHT, shuffled(30, 1000 * number))
        least += 30
        merge(table)
        purge(table.storage, 0.0)
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(candids_of(table)) == 450 + 8 * 30


def test_nights_are_folders(table: AlertTable) -> None:
    assert nights_of(table) == [NIGHT, OTHER]
    merge(table)
    assert nights_of(table) == [NIGHT, OTHER]


def test_a_file_that_is_gone_for_good_is_told(table: AlertTable) -> None:
    Path(table.storage.root, files_of_night(table, NIGHT)[1].path).unlink()
    with pytest.raises(DataError, match=r"q-1-0.parquet is gone"):
        candids_of(table)
