"""A table's batches are all or nothing, whatever step a kill interrupts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.archive import AlertTable, Commit
from fink_broker.errors import CountsDoNotClose, DataError


class Killed(BaseException):
    """Stands for kill -9 at one step."""


def stage(table: AlertTable, commit_id: str, rows: int = 3, night: str = "20240101") -> None:
    folder = Path(table.staging(commit_id)) / f"night={night}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"candid": list(range(rows))}), folder / "part-0.parquet")


def commit(commit_id: str, files, rows: int) -> Commit:
    return Commit(commit_id, [], files, {"in": rows, "out": rows}, 1.0, 2.0)


@pytest.fixture
def table(tmp_path: Path) -> AlertTable:
    table = AlertTable(str(tmp_path / "raw"))
    table.create()
    return table


def add(table: AlertTable, commit_id: str, rows: int = 3, night: str = "20240101") -> None:
    stage(table, commit_id, rows, night)
    table.commit(commit(commit_id, table.publish(commit_id), rows))


def test_a_committed_batch_is_plain_parquet_by_night(table: AlertTable):
    add(table, "q-1", 3, "20240101")
    add(table, "q-2", 2, "20240102")
    read = pq.read_table(table.storage.root)
    assert read.num_rows == 5
    assert set(read["night"].to_pylist()) == {20240101, 20240102}
    assert [entry.id for entry in table.log.read_all()] == ["q-1", "q-2"]
    assert table.log.read_from(1, 8)[0].files[0].partition == "20240102"


@pytest.mark.parametrize("step", ["move", "write_atomically", "remove_folder"])
def test_a_kill_at_any_step_leaves_the_batch_whole_or_absent(table: AlertTable, monkeypatch, step: str):
    add(table, "q-1")
    real = getattr(table.storage, step)

    def killed(*arguments):
        if step != "move" or arguments[1].startswith("night="):
            if step == "remove_folder":
                pass  # killed before the staging folder went
            elif step == "move":
                real(*arguments)  # killed after the first file had moved
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(table.storage, step, killed)
    with pytest.raises(Killed):
        add(table, "q-2")
    monkeypatch.undo()
    again = AlertTable(table.storage.root)
    unfinished = again.recover()
    existed = again.log.has("q-2")
    assert unfinished == ([] if existed else ["q-2"])
    assert pq.read_table(again.storage.root).num_rows == (6 if existed else 3)
    if not existed:
        add(again, "q-2")
    assert pq.read_table(again.storage.root).num_rows == 6
    assert again.storage.folders("_staging") == []


def test_counts_that_do_not_close_are_never_a_commit():
    with pytest.raises(CountsDoNotClose, match="took in 5 alerts but accounts for 4"):
        Commit("q-1", [], [], {"in": 5, "out": 3, "rejected": 1}, 1.0, 2.0)


def test_a_damaged_commit_is_a_data_error():
    with pytest.raises(DataError):
        Commit.from_json(b'{"id": "q-1"')
    with pytest.raises(DataError):
        Commit.from_json(b'{"id": "q-1", "files": []}')


def test_a_schema_is_kept_once(table: AlertTable):
    name = table.keep_schema('{"type": "struct"}')
    assert table.keep_schema('{"type": "struct"}') == name
    assert table.read_schema(name) == '{"type": "struct"}'
