"""What keeps a reprocessing from losing something: alerts without raw, modules that fail, a full disk, a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from stored_nights import NIGHT, Stored, raw_rows

from fink_broker.archive.merged_night import MergedNights
from fink_broker.archive.reading import files_of_night, read_night
from fink_broker.archive.storage import Storage
from fink_broker.archive.upkeep import merge_table, remove_night
from fink_broker.cli import main
from fink_broker.errors import DataError, ServiceError, UsageError
from fink_broker.science.outcome import FAILED
from fink_broker.science.testing import offline_config, ordinary_alert
from fink_broker.stream import reprocess_task, reprocessing
from fink_broker.stream.differences import Changes, failures
from fink_broker.stream.reprocess_task import run_portion
from fink_broker.stream.reprocessing import reprocess

ALERTS = 20
MODULE = "nalerthist"

Made = Callable[[pa.Table], pa.Table]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Return a night that came in two batches; what processes do is done here: starting two takes seconds."""

    def run(portions: list) -> Iterator:
        yield from map(run_portion, portions)

    monkeypatch.setattr(reprocessing, "_run", run)
    config = offline_config()
    storage = {"online": str(tmp_path / "online"), "state": tmp_path / "state", "min_free_gib": 0.0}
    config = config.model_copy(
        update={
            "storage": config.storage.model_copy(update=storage),
            "science": config.science.model_copy(update={"modules": [MODULE], "batch_alerts": 16}),
            "distribution": config.distribution.model_copy(update={"topics": ["vra"]}),
            "filters": config.filters.model_copy(update={"file": str(tmp_path / "none.toml"), "sdss": "none"}),
        }
    )
    stored = Stored(config)
    for number in range(2):
        alerts = [ordinary_alert(candid) for candid in range(10 * number + 1, 10 * number + 11)]
        stored.add(str(number), raw_rows(alerts, config), files=1)
    return stored


def content(stored: Stored) -> pa.Table:
    return pa.concat_tables(read_night(stored.science, NIGHT), promote_options="permissive").sort_by("candid")


def with_values(rows: pa.Table, **columns: object) -> pa.Table:
    for name, value in columns.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.array([value] * len(rows), rows.schema.field(name).type))
    return rows


def made_otherwise(monkeypatch: pytest.MonkeyPatch, change: Made) -> None:
    """Let science modules of today give something else."""
    enrich = reprocess_task.enrich
    monkeypatch.setattr(reprocess_task, "enrich", lambda rows, pipeline: change(enrich(rows, pipeline)))


def test_science_alerts_whose_raw_alerts_are_gone_are_not_thrown_away(stored: Stored) -> None:
    for name in ("raw", "science", "topics"):
        merge_table(stored.config, name, NIGHT, lambda *_: None)
    assert remove_night(stored.config, "raw", NIGHT, dry_run=False) is not None
    with pytest.raises(UsageError, match=r"20 science alerts .* removed from raw for their age"):
        reprocess(stored.config, NIGHT)
    stored.add("late", raw_rows([ordinary_alert(99)], stored.config), files=1)
    with pytest.raises(UsageError, match=r"20 science alerts .* `fink reprocess --module"):
        reprocess(stored.config, NIGHT)
    assert len(content(stored)) == ALERTS + 1
    assert reprocess(stored.config, NIGHT, [MODULE]).alerts == ALERTS + 1


def test_values_are_not_replaced_by_failures_unless_that_is_accepted(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(stored)
    made_otherwise(monkeypatch, lambda rows: with_values(rows, **{MODULE: None, FAILED: [MODULE]}))
    done = reprocess(stored.config, NIGHT)
    assert done.changes.worse == {MODULE: (0, ALERTS)}
    assert (done.refused, done.generation) == (True, 0)
    assert content(stored).equals(before)
    done = reprocess(stored.config, NIGHT, accept_failures=True)
    assert (done.refused, done.generation) == (False, 1)
    assert content(stored)[MODULE].null_count == ALERTS
    monkeypatch.undo()
    monkeypatch.setattr(reprocessing, "_run", lambda portions: map(run_portion, portions))
    done = reprocess(stored.config, NIGHT)  # mended: it fails in fewer alerts
    assert (done.changes.worse, done.generation) == ({}, 2)
    assert content(stored)[MODULE].to_pylist() == before[MODULE].to_pylist()


def test_labels_that_say_nobody_could_be_asked_are_failures() -> None:
    def alerts(*labels: str | None) -> pa.Table:
        return pa.table({"candid": list(range(len(labels))), "cdsxmatch": pa.array(labels, pa.string())})

    assert failures(alerts("Fail", "Fail 504", "Failed star", "QSO", None)) == {"cdsxmatch": 2}
    changes = Changes()
    changes.compare([alerts("QSO", "Fail", "Star")], [alerts("Fail", "QSO", "Fail 504")])
    assert changes.worse == {"cdsxmatch": (1, 2)}


def test_a_refused_reprocessing_is_an_error_of_the_command(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_otherwise(monkeypatch, lambda rows: with_values(rows, **{MODULE: None, FAILED: [MODULE]}))
    storage = stored.config.storage
    conf = tmp_path / "fink.conf"
    conf.write_text(
        f'[storage]\nonline = "{storage.online}"\nstate = "{storage.state}"\nmin_free_gib = 0\n'
        f'[science]\nmodules = ["{MODULE}"]\n[distribution]\ntopics = ["vra"]\n'
        f'[filters]\nsdss = "none"\nfile = "{tmp_path / "none.toml"}"\n'
    )
    arguments = ["reprocess", "--night", NIGHT, "-c", str(conf)]
    assert main([*arguments, "--dry-run"]) == 0
    assert f"{MODULE} failed in 0 alerts, and fails in {ALERTS:,} now." in capsys.readouterr().out
    assert main(arguments) == ServiceError.exit_code
    told = capsys.readouterr()
    assert "values would be replaced by failures" in told.err
    assert "\n\n" not in told.err  # no bars where there is no terminal
    assert main([*arguments, "--accept-failures"]) == 0


def test_alerts_of_two_schemas_are_compared_each_with_its_own(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column is a number in one batch and a text in the other: neither is taken for lost."""
    path = Path(stored.science.storage.root, files_of_night(stored.science, NIGHT)[0].path)
    rows = pa.parquet.ParquetFile(path).read()
    place = rows.schema.get_field_index(MODULE)
    pa.parquet.write_table(rows.set_column(place, MODULE, pa.array(["x"] * len(rows))), path)
    changes = reprocess(stored.config, NIGHT, dry_run=True).changes
    assert (changes.before, changes.now, changes.gained, changes.lost) == (ALERTS, ALERTS, 0, 0)
    assert changes.columns[MODULE].alerts == 10

    def text_in_some(rows: pa.Table) -> pa.Table:
        if rows["candid"][0].as_py() <= 10:
            return rows
        return rows.set_column(rows.schema.get_field_index(MODULE), MODULE, pa.array(["y"] * len(rows)))

    made_otherwise(monkeypatch, text_in_some)
    done = reprocess(stored.config, NIGHT)
    assert (done.changes.before, done.changes.now, done.changes.gained, done.changes.lost) == (ALERTS, ALERTS, 0, 0)
    assert sum(len(part) for part in read_night(stored.science, NIGHT)) == ALERTS


def test_a_full_disk_is_told_as_what_it_is(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(reprocess_task.pq, "write_table", full)
        with pytest.raises(ServiceError, match=r"could not be written: .*No space left"):
            reprocess(stored.config, NIGHT)
    with monkeypatch.context() as patch:
        patch.setattr("fink_broker.archive.buckets.Buckets._put", full)
        with pytest.raises(ServiceError, match=r"could not be written below .*No space left"):
            reprocess(stored.config, NIGHT)
    path = Path(stored.raw.storage.root, files_of_night(stored.raw, NIGHT)[0].path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        reprocess(stored.config, NIGHT)


class Killed(BaseException):
    """Stands for kill -9 at one step."""


@pytest.mark.parametrize("step", ["move", "retire", "list"])
def test_a_kill_while_the_night_is_replaced_leaves_it_as_it_was(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    before = content(stored)
    with monkeypatch.context() as patch:
        made_otherwise(patch, lambda rows: with_values(rows, **{MODULE: 77}))
        owner, name = {
            "move": (Storage, "move"),
            "retire": ("fink_broker.archive.night_writer", "retire"),
            "list": (MergedNights, "write"),
        }[step]
        with patch.context() as dead:
            if isinstance(owner, str):
                dead.setattr(f"{owner}.{name}", killed)
            else:
                dead.setattr(owner, name, killed)
            dead.setattr(Storage, "remove_folder", lambda *_: None)
            with pytest.raises(Killed):
                reprocess(stored.config, NIGHT)
        assert content(stored).equals(before)
        done = reprocess(stored.config, NIGHT)
        assert done.changes.columns[MODULE].alerts == ALERTS
        assert set(content(stored)[MODULE].to_pylist()) == {77}
    assert stored.science.storage.folders("_merging") == []
    listed = {file.path for file in files_of_night(stored.science, NIGHT)}
    merged = stored.science.storage.find(f"night={NIGHT}", ".parquet")
    assert {f"night={NIGHT}/{info.base_name}" for info in merged if "merged-" in info.base_name} == listed


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
CHILD = """
import time
from fink_broker.stream.reprocess_task import end_with_parent
end_with_parent()
print("ready", flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
    return "Z" not in status.rpartition(")")[2].split()[:1]


def test_a_process_of_a_reprocessing_that_was_killed_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(child, signal.SIGINT)  # Ctrl-C reaches all processes of a terminal: it is left to the one that started them
    time.sleep(0.2)
    assert is_alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)
