"""The work of a Spark task of raw2science, on real Parquet files and without Spark."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.alert.batch import field_types
from fink_broker.archive.commits import DataFile
from fink_broker.config.model import Config, QualityConfig, ScienceConfig
from fink_broker.science.testing import offline_config
from fink_broker.stream import science_task
from fink_broker.stream.science_task import Done, Task, run_task, split

NIGHT = "20240101"


def alerts(first: int, count: int, *, rb: float = 0.9, more: dict[str, pa.Array] | None = None) -> pa.Table:
    """Return rows of a raw table with the fields that cuts and cheap modules read."""
    root, candidate, history = field_types()
    rows = [{"rb": rb, "nbad": 0, "fid": 1, "magpsf": 18.0, "jd": 2460000.5 + k} for k in range(count)]
    past = pa.list_(pa.struct(list(history.items())))
    return pa.table(
        {
            "candid": pa.array(range(first, first + count), root["candid"]),
            "objectId": pa.array([f"ZTF{k}" for k in range(count)]),
            "candidate": pa.array(rows, pa.struct(list(candidate.items()))),
            "prv_candidates": pa.array([[]] * count, past),
            **(more or {}),
        }
    )


def task(tmp_path: Path, *tables: pa.Table, batch_alerts: int = 512) -> Task:
    """Write raw files and return the task for them."""
    folder = tmp_path / "raw" / f"night={NIGHT}"
    folder.mkdir(parents=True)
    files = []
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet")
        files.append(DataFile(f"night={NIGHT}/{number}.parquet", NIGHT, len(table), 1))
    science = ScienceConfig(modules=["nalerthist"], batch_alerts=batch_alerts, tns_catalogue="none")
    config = Config(science=science, crossmatch=offline_config().crossmatch, quality=QualityConfig())
    return Task(config.model_dump_json(), str(tmp_path / "raw"), tuple(files), str(tmp_path / "out"), "part-0")


def written(tmp_path: Path) -> list[pa.Table]:
    return [pq.ParquetFile(file).read() for file in sorted((tmp_path / "out").glob("night=*/*.parquet"))]


def test_files_are_gathered_and_every_alert_is_there_once(tmp_path):
    done = run_task(task(tmp_path, alerts(0, 30), alerts(30, 40), alerts(70, 5, rb=0.1), batch_alerts=50))
    (table,) = written(tmp_path)
    assert sorted(table["candid"].to_pylist()) == list(range(70))
    assert done.cuts == {"rb": 5}
    assert done.seconds["nalerthist"] > 0
    assert set(table["nalerthist"].to_pylist()) == {1}


@pytest.mark.parametrize(
    "other",
    [
        {"fp_hists": pa.array([[{"jd": 1.0}]] * 20)},
        {"brand_new": pa.array(["text"] * 20)},
        {"brand_new": pa.array(range(20))},
    ],
)
def test_files_of_several_schemas_are_written_side_by_side(tmp_path, other):
    """A writer that brings new fields, in the middle of a batch: nothing of it stops the job, nothing is lost."""
    first = alerts(0, 20, more={"brand_new": pa.array([1.5] * 20)})
    run_task(task(tmp_path, first, alerts(20, 20, more=other), alerts(40, 20)))
    tables = written(tmp_path)
    assert len(tables) == 3
    assert sorted(candid for table in tables for candid in table["candid"].to_pylist()) == list(range(60))
    assert len({table.schema.remove_metadata().to_string() for table in tables}) == 3


def test_a_task_that_fails_leaves_no_file(tmp_path, monkeypatch):
    calls = []

    def fails_later(rows, pipeline):
        calls.append(rows)
        if len(calls) == 2:
            raise ValueError("no")
        return rows.append_column("science_failed", pa.array([[]] * len(rows), pa.list_(pa.string())))

    monkeypatch.setattr(science_task, "enrich", fails_later)
    monkeypatch.setattr(science_task, "OUTCOMES", {"failed": "science_failed"})
    with pytest.raises(ValueError, match="no"):
        run_task(task(tmp_path, alerts(0, 60), batch_alerts=30))
    assert not list((tmp_path / "out").rglob("*.*"))


def test_files_are_split_by_night_and_size():
    files = [DataFile(f"a{k}", "20240101", rows, 1) for k, rows in enumerate((100, 60, 50, 10))]
    files.append(DataFile("b", "20240102", 7, 1))
    groups = split(files, 2)
    assert sorted(sum(file.rows for file in group) for group in groups) == [7, 110, 110]
    assert {file for group in groups for file in group} == set(files)
    assert all(len({file.partition for file in group}) == 1 for group in groups)


def test_seconds_of_tasks_add_up():
    both = Done(seconds={"a": 1.0, "b": 2.0}) + Done(seconds={"b": 0.5, "c": 0.25}) + Done()
    assert both.seconds == {"a": 1.0, "b": 2.5, "c": 0.25}
    assert Done().seconds == {}


def test_a_worker_tells_only_of_the_time_of_its_task(tmp_path):
    job = task(tmp_path, alerts(0, 30))
    _, pipeline = science_task._ready(job.settings)
    pipeline.seconds["nalerthist"] += 1000.0  # of earlier tasks of this worker
    assert 0 < run_task(job).seconds["nalerthist"] < 500
