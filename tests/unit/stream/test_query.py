"""The supervisor of a streaming query, where no Spark is needed: what a batch waits for, and what an error says."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

from fink_broker.config.model import Config, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.stream import space
from fink_broker.stream.query import BARREN_STARTS, Drained, Supervisor, _first_line


class Notes:
    """A job that notes its batches."""

    name = "notes"
    input_in_checkpoint = True

    def __init__(self) -> None:
        self.batches: list[str] = []

    def process(self, batch) -> None:
        self.batches.append(batch.id)


@pytest.fixture
def supervised(tmp_path, monkeypatch):
    """Return job, supervisor, stop and what was said, on a disk whose free GiB are taken from a list."""
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "metadata").write_text(json.dumps({"id": "0123456789abcdef"}))
    config = Config(storage=StorageConfig(online=str(tmp_path), state=tmp_path, min_free_gib=1))
    job, stop, said, free = Notes(), threading.Event(), [], []
    monkeypatch.setattr(space, "free_gib", lambda _: free.pop(0))
    monkeypatch.setattr(space, "SPACE_SECONDS", 0.01)
    return job, Supervisor(job, config, str(tmp_path / "checkpoint"), stop, said.append), stop, said, free


def test_a_batch_waits_for_room_on_the_disk(supervised):
    job, supervisor, _, said, free = supervised
    free += [0.5, 0.9, 1.5]
    supervisor._process(None, 7)
    assert job.batches == ["01234567-000000007"]
    assert [text.split(":")[0] for text in said] == ["paused", "paused", "running"]


def test_a_full_disk_does_not_hinder_a_stop(supervised):
    job, supervisor, stop, _, free = supervised
    free += [0.5, 0.5]
    stop.set()
    with pytest.raises(Drained):
        supervisor._process(None, 7)
    job.input_in_checkpoint = False  # its own commits tell, so Spark may take the batch for done
    free += [0.5, 0.5]
    supervisor._process(None, 8)
    assert job.batches == []


def test_trouble_of_spark_itself_ends_a_job_only_if_no_batch_gets_done(supervised):
    _, supervisor, _, _, free = supervised
    query = SimpleNamespace(exception=lambda: "java.io.IOException: mkdir failed")
    supervisor._barren = BARREN_STARTS - 1
    assert supervisor._why(query) == "java.io.IOException: mkdir failed"
    supervisor._barren = BARREN_STARTS
    with pytest.raises(ServiceError, match="mkdir failed"):
        supervisor._why(query)
    free += [9]
    supervisor._process(None, 7)
    assert supervisor._why(query) == "java.io.IOException: mkdir failed"


def test_a_last_batch_that_failed_makes_no_honest_end(supervised):
    job, supervisor, _, _, free = supervised
    query = SimpleNamespace(isActive=False, exception=lambda: None)
    assert supervisor._drain(query) is None
    job.process = lambda batch: 1 / 0
    free += [9]
    with pytest.raises(ZeroDivisionError):
        supervisor._process(None, 7)
    with pytest.raises(ServiceError, match="division by zero"):
        supervisor._drain(query)


def test_an_error_of_spark_is_told_by_its_cause():
    text = "Job aborted.\n\tat org.x\nCaused by: java.io.IOException: disk gone\n\tat org.y\n"
    assert _first_line(text) == "Caused by: java.io.IOException: disk gone"
    assert _first_line("PythonException: x\nValueError: no such model\n") == "ValueError: no such model"
    assert _first_line("") == ""
