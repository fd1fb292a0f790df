"""One alert is found wherever it is: where it was said to be, in a merged file, in a file that came later."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transfer_rows import commit, rows

from fink_broker.archive import AlertTable, lookup
from fink_broker.archive.lookup import find_alert
from fink_broker.archive.merging import merge_night
from fink_broker.archive.reading import files_of_night
from fink_broker.archive.retiring import purge
from fink_broker.errors import DataError

NIGHT = "20231018"
FIRST = 10**18
COLUMNS = ["cutoutScience", "candidate.magpsf"]


def alerts(number: int, first: int = 0) -> pa.Table:
    """Return alerts with an image each of its own, in no order."""
    images = [{"stampData": f"image {k}".encode() * 50, "fileName": "f"} for k in range(first, first + number)]
    found = rows(number, first, cutoutScience=pa.array(images))
    return found.take(pa.array(np.random.default_rng(first).permutation(number)))


@pytest.fixture
def table(tmp_path: Path) -> AlertTable:
    """Return a night in three merged files and two that came later."""
    table = AlertTable(str(tmp_path / "science"))
    commit(table, "q-0", NIGHT, alerts(200))
    commit(table, "q-1", NIGHT, alerts(200, 200))
    merged = merge_night(table, NIGHT, 2, file_mib=1 / 64)  # type: ignore[arg-type]
    assert len(merged.files) > 1
    purge(table.storage, 0.0)
    commit(table, "q-2", NIGHT, alerts(20, 400))
    commit(table, "q-3", NIGHT, alerts(20, 420))
    return table


def is_it(found: pa.Table | None, number: int) -> bool:
    assert found is not None
    assert found.column_names == ["candidate", "cutoutScience"]
    (row,) = found.to_pylist()
    assert row["cutoutScience"]["stampData"] == f"image {number}".encode() * 50
    assert row["candidate"] == {"magpsf": pytest.approx(15.0 + number % 10)}
    return True


@pytest.mark.parametrize("number", [0, 57, 199, 200, 399, 400, 439])
def test_an_alert_is_found(table: AlertTable, number: int) -> None:
    assert is_it(find_alert(table, NIGHT, f"ZTF{number:04d}", FIRST + number, COLUMNS), number)


def test_where_it_was_said_to_be_is_looked_at_first(table: AlertTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_in_night", lambda *_: pytest.fail("the night was searched"))
    for file in files_of_night(table, NIGHT):
        candids = pq.ParquetFile(Path(table.storage.root, file.path)).read(["candid"])["candid"].to_pylist()
        for row in (0, len(candids) // 2, len(candids) - 1):
            found = find_alert(table, NIGHT, "", candids[row], COLUMNS, (file.path, row))
            assert is_it(found, candids[row] - FIRST)


@pytest.mark.parametrize(
    "hint", [("night=20231018/q-0-0.parquet", 3), ("merged", 10**6), ("merged", -1), ("merged", 0)], ids=str
)
def test_a_wrong_hint_costs_nothing_but_time(table: AlertTable, hint: tuple[str, int]) -> None:
    path = files_of_night(table, NIGHT)[1].path if hint[0] == "merged" else hint[0]
    assert is_it(find_alert(table, NIGHT, "ZTF0003", FIRST + 3, COLUMNS, (path, hint[1])), 3)


def test_what_is_not_there_is_none(table: AlertTable) -> None:
    assert find_alert(table, NIGHT, "ZTF0003", FIRST + 500, COLUMNS) is None
    assert find_alert(table, "20200101", "ZTF0003", FIRST + 3, COLUMNS) is None
    assert find_alert(table, NIGHT, "ZTF0003", 5, COLUMNS, (files_of_night(table, NIGHT)[0].path, 0)) is None
    assert find_alert(AlertTable(table.storage.root + "-none"), NIGHT, "ZTF0003", FIRST, COLUMNS) is None


def test_columns_that_are_not_there_are_left_out(table: AlertTable) -> None:
    found = find_alert(table, NIGHT, "ZTF0003", FIRST + 3, ["objectId", "cutoutTemplate", "no_such.thing"])
    assert found is not None
    assert found.to_pylist() == [{"objectId": "ZTF0003"}]


def test_a_merge_in_between_is_noticed(table: AlertTable) -> None:
    assert find_alert(table, NIGHT, "ZTF0405", FIRST + 405, COLUMNS) is not None
    hint = (files_of_night(table, NIGHT)[-1].path, 0)
    merge_night(table, NIGHT, 4)
    purge(table.storage, 0.0)
    for number in (3, 405, 439):
        assert is_it(find_alert(table, NIGHT, f"ZTF{number:04d}", FIRST + number, COLUMNS, hint), number)


def test_threads_ask_while_the_night_is_merged(table: AlertTable) -> None:
    failed: list[object] = []
    done = threading.Event()

    def ask(seed: int) -> None:
        own, generator = AlertTable(table.storage.root), np.random.default_rng(seed)
        while not done.is_set():
            number = int(generator.integers(440))
            try:
                is_it(find_alert(own, NIGHT, f"ZTF{number:04d}", FIRST + number, COLUMNS), number)
            except (AssertionError, DataError) as error:
                failed.append((number, error))

    askers = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
    for asker in askers:
        asker.start()
    for number in range(3):
        commit(table, f"r-{number}", NIGHT, alerts(5, 1000 + 10 * number))
        merge_night(table, NIGHT, table.log.end(), file_mib=1 / 64)  # type: ignore[arg-type]
        purge(table.storage, 0.0)
    done.set()
    for asker in askers:
        asker.join()
    assert failed == []


def test_few_footers_are_kept(table: AlertTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_footers", lookup._Kept(2))
    for number in range(0, 440, 20):
        assert is_it(find_alert(table, NIGHT, f"ZTF{number:04d}", FIRST + number, COLUMNS), number)
    assert len(lookup._footers._things) == 2


def test_a_damaged_file_is_told(table: AlertTable) -> None:
    path = Path(table.storage.root, files_of_night(table, NIGHT)[0].path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"cannot be read: .*`fink archive check --night 20231018`"):
        find_alert(table, NIGHT, "ZTF0000", FIRST, COLUMNS)
