"""Processes of fits: bounded, in order, cancelled, and outlived by those who ask."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fit_examples import EXAMPLES

from fink_broker.portal.web.fits import forked, job_folder
from fink_broker.portal.web.fits import jobs as jobs_module
from fink_broker.portal.web.fits.forked import Forking
from fink_broker.portal.web.fits.job_folder import FitError, JobFolder, Order
from fink_broker.portal.web.fits.jobs import ENDED, MOST_OF_VISITOR, MOST_WAITING, Jobs, JobState
from fink_broker.portal.web.fits.kinds import KINDS


def ended(jobs: Jobs, job_id: str) -> JobState:
    return until(jobs, job_id, lambda state: state.state in ENDED)


def until(jobs: Jobs, job_id: str, is_so: Callable[[JobState], bool], seconds: float = 20.0) -> JobState:
    deadline = time.monotonic() + seconds
    while not is_so(state := jobs.look(job_id)):
        assert time.monotonic() < deadline, state
        time.sleep(0.01)
    return state


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path_factory.mktemp("fits") / "jobs", 2, 60.0, EXAMPLES)
    yield jobs
    jobs.close()


def test_result_comes_from_a_process_of_its_own(jobs: Jobs) -> None:
    state = ended(jobs, jobs.start("double", {"number": 4}))
    assert state.state == "done"
    assert state.result["number"] == 8
    assert state.result["pid"] != os.getpid()


def test_start_is_quick_once_the_libraries_are_loaded(jobs: Jobs) -> None:
    ended(jobs, jobs.start("double", {"number": 0}))
    begun = time.monotonic()
    ended(jobs, jobs.start("double", {"number": 1}))
    assert time.monotonic() - begun < 1.0


def test_same_inputs_give_the_same_result_again(jobs: Jobs) -> None:
    first = jobs.start("double", {"number": 5, "other": [1.5]})
    result = ended(jobs, first).result
    again = jobs.start("double", {"other": [1.5], "number": 5})
    assert again == first
    assert jobs.look(again).result == result
    assert jobs.start("double", {"number": 5, "other": [2.5]}) != first


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("refuse", "These numbers are of no use."),
        ("stumble", "could not converge"),
        ("devour", "too much memory"),
        ("die", "was killed"),
        ("infinite", "unexpectedly"),
    ],
)
def test_failures_end_in_words(jobs: Jobs, kind: str, words: str) -> None:
    state = ended(jobs, jobs.start(kind, {}))
    assert state.state == "failed"
    assert words in state.words
    assert ended(jobs, jobs.start("double", {"number": 1})).state == "done"


def test_fit_that_is_changed_takes_the_place_of_the_one_before(jobs: Jobs) -> None:
    first = jobs.start("count", {"seconds": 60, "settings": 1}, "someone")
    until(jobs, first, lambda state: state.state == "running")
    assert jobs.start("count", {"seconds": 60, "settings": 1}, "someone", first) == first
    of_another = jobs.start("count", {"seconds": 60, "settings": 1}, "another")
    assert of_another != first
    assert jobs.start("count", {"seconds": 60, "settings": 1}, "another", of_another) == of_another
    changed = jobs.start("count", {"seconds": 60, "settings": 2}, "someone", first)
    assert ended(jobs, first).state == "cancelled"
    until(jobs, changed, lambda state: state.state == "running")
    assert jobs.look(of_another).state == "running"
    for job in (changed, of_another):
        jobs.cancel(job)
        ended(jobs, job)


def test_one_visitor_leaves_room_for_others(jobs: Jobs) -> None:
    mine = [jobs.start("count", {"seconds": 60, "mine": number}, "someone") for number in range(MOST_OF_VISITOR)]
    with pytest.raises(FitError, match="from your address"):
        jobs.start("count", {"seconds": 60, "mine": 99}, "someone")
    instead = jobs.start("count", {"seconds": 60, "mine": 99}, "someone", mine[-1])
    other = jobs.start("double", {"number": 31}, "another")
    for job in (*mine, instead):
        jobs.cancel(job)
        assert ended(jobs, job).state == "cancelled"
    assert ended(jobs, other).result["number"] == 62


def test_job_of_another_kind_is_unknown(jobs: Jobs) -> None:
    job = jobs.start("double", {"number": 41})
    assert ended(jobs, job).state == "done"
    assert jobs.look(job, "double").state == "done"
    assert (jobs.look(job, "count").state, dict(jobs.look(job, "count").result)) == ("unknown", {})


def test_progress_is_seen_and_a_running_fit_can_be_cancelled(jobs: Jobs) -> None:
    job = jobs.start("count", {"seconds": 60})
    state = until(jobs, job, lambda state: state.share > 0)
    assert (state.state, state.words) == ("running", "Counting")
    assert state.share < 0.5
    jobs.cancel(job)
    assert ended(jobs, job).state == "cancelled"


def test_fits_wait_in_order_and_those_that_wait_can_be_cancelled(jobs: Jobs) -> None:
    running = [jobs.start("count", {"seconds": 60, "number": number}) for number in range(2)]
    waiting = [jobs.start("count", {"seconds": 60, "number": number}) for number in range(2, 5)]
    places = [until(jobs, job, lambda state: state.place > 0).place for job in waiting]
    assert places == [1, 2, 3]
    jobs.cancel(waiting[1])
    assert ended(jobs, waiting[1]).state == "cancelled"
    assert until(jobs, waiting[2], lambda state: state.place == 2).state == "waiting"
    jobs.cancel(running[0])
    until(jobs, waiting[0], lambda state: state.state == "running")
    assert jobs.look(running[1]).state == "running"
    for job in (running[1], waiting[0], waiting[2]):
        jobs.cancel(job)
        ended(jobs, job)


def test_most_fits_at_once_counts_for_all_processes_of_the_portal(jobs: Jobs) -> None:
    held = [jobs.start("count", {"seconds": 60, "held": number}) for number in range(2)]
    for job in held:
        until(jobs, job, lambda state: state.state == "running")
    code = (
        "import sys; from pathlib import Path; from fit_examples import EXAMPLES\n"
        "from fink_broker.portal.web.fits.jobs import Jobs\n"
        "jobs = Jobs(Path(sys.argv[1]), 2, 60.0, EXAMPLES); print(jobs.start('double', {'number': 77}))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, str(jobs.folder)]
    elsewhere = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert until(jobs, elsewhere, lambda state: state.place > 0).place == 1
    for job in held:
        jobs.cancel(job)
    assert ended(jobs, elsewhere).result["number"] == 154


def test_no_more_than_some_may_wait(jobs: Jobs) -> None:
    started = [jobs.start("count", {"seconds": 60, "crowd": number}) for number in range(2 + MOST_WAITING)]
    with pytest.raises(FitError, match="Too many fits are waiting"):
        jobs.start("double", {"number": 99})
    for job in started:
        jobs.cancel(job)
    for job in started:
        assert ended(jobs, job).state == "cancelled"


def test_fit_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, 1, 0.5, EXAMPLES)
    state = ended(jobs, jobs.start("spin", {}))
    assert state.state == "failed"
    assert "longer than 0.5 s" in state.words
    jobs.close()


def test_running_fit_dies_with_the_process_that_forks_and_waiting_ones_go_on(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, 1, 60.0, EXAMPLES)
    running = jobs.start("count", {"seconds": 60})
    until(jobs, running, lambda state: state.state == "running")
    waiting = jobs.start("double", {"number": 3})
    assert jobs._started is not None
    jobs._started.kill()
    jobs._started.wait()
    assert ended(jobs, waiting).result["number"] == 6
    state = ended(jobs, running)
    assert (state.state, "from outside" in state.words) == ("failed", True)
    jobs.close()


def test_process_that_forks_ends_when_no_portal_is_left(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, 1, 60.0, EXAMPLES)
    ended(jobs, jobs.start("double", {"number": 3}))
    jobs.close()
    assert jobs._started is not None
    assert jobs._started.wait(10) == 0


def test_fit_nobody_looks_at_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "UNSEEN_SECONDS", 5.0)
    files = JobFolder(tmp_path)
    forking = Forking(files, 1, 60.0, EXAMPLES)
    job = files.order("spin", {})
    other = files.order("spin", {"other": 1})
    forking.work()
    assert (files.read(job, "now") or {})["state"] == "running"
    assert (files.read(other, "now") or {})["place"] == 1
    for each in (job, other):
        os.utime(files.file(each, "job"), (time.time() - 10, time.time() - 10))
    forking.work()
    for each in (job, other):
        assert (files.read(each, "end") or {})["state"] == "cancelled"
    assert forking.is_idle


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n", 5, None])
def test_names_that_are_no_jobs_are_unknown(jobs: Jobs, name: object) -> None:
    assert jobs.look(name).state == "unknown"  # type: ignore[arg-type]
    jobs.cancel(name)  # type: ignore[arg-type]


def test_job_nobody_ordered_is_unknown(jobs: Jobs) -> None:
    assert jobs.look("0" * 32).state == "unknown"
    assert "run it again" in jobs.look("0" * 32).words


def test_inputs_that_are_no_finite_numbers_or_too_large_are_refused(jobs: Jobs) -> None:
    with pytest.raises(FitError, match="not a finite number"):
        jobs.start("double", {"number": float("nan")})
    with pytest.raises(FitError, match="too many measurements"):
        jobs.start("double", {"number": [0.123456789] * 500_000})
    with pytest.raises(KeyError):
        jobs.start("os:system", {})


def test_folder_that_cannot_be_written_ends_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FitError, match="tell its operator"):
        Jobs(tmp_path / "file" / "fits", 1, 1.0, EXAMPLES).start("double", {"number": 1})


def test_disk_that_is_full_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(tmp_path, 1, 60.0, EXAMPLES)
    job = jobs.start("count", {"seconds": 60})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JobFolder, "_write", full)
    monkeypatch.setattr(Jobs, "_ring", full)
    with pytest.raises(FitError, match="tell its operator"):
        jobs.cancel(job)
    with pytest.raises(FitError, match="tell its operator"):
        jobs.start("count", {"seconds": 50}, "someone", job)
    assert jobs.look(job).state in ("waiting", "running")
    monkeypatch.undo()
    jobs.cancel(job)
    assert ended(jobs, job).state == "cancelled"
    jobs.close()


def test_long_log_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "LARGEST_LOG", 100)
    log = tmp_path / "fits.log"
    for size, is_kept in ((100, True), (101, False)):
        log.write_bytes(b"." * size)
        jobs = Jobs(tmp_path, 1, 60.0, EXAMPLES)
        ended(jobs, jobs.start("double", {"number": size}))
        assert log.read_bytes().startswith(b"." * size) == is_kept
        assert jobs._started is not None
        jobs._started.kill()
        jobs._started.wait()
        jobs.close()


def test_failures_do_not_push_results_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_folder, "KEPT_RESULTS", 2)
    files = JobFolder(tmp_path)
    result, *failures = (files.order("double", {"number": number}) for number in range(6))
    files.end(result, {"state": "done", "result": {}})
    for age, job in enumerate(failures):
        files.end(job, {"state": "cancelled"})
        os.utime(files.file(job, "end"), (time.time() - age,) * 2)
    os.utime(files.file(result, "end"), (time.time() - 60,) * 2)
    files.clean()
    assert {path.stem for path in tmp_path.glob("*.end")} == {result, *failures[:2]}


def test_old_files_and_too_many_results_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_folder, "KEPT_RESULTS", 2)
    files = JobFolder(tmp_path)
    old, *recent = (files.order("double", {"number": number}) for number in range(4))
    for age, job in enumerate((old, *recent)):
        files.end(job, {"state": "done"})
        at = time.time() - (7200 if job == old else 10 - age)
        os.utime(files.file(job, "end"), (at, at))
    (tmp_path / "notes.txt").write_text("not ours")
    files.clean()
    assert {path.stem for path in tmp_path.glob("*.end")} == set(recent[1:])
    assert (tmp_path / "notes.txt").exists()
    assert files.same("double", {"number": 0}) == ""


def test_damaged_order_harms_nobody(tmp_path: Path) -> None:
    files = JobFolder(tmp_path)
    (tmp_path / f"{'a' * 32}.job").write_text("{")
    (tmp_path / f"{'b' * 32}.job").write_text('{"kind": "double"}')
    (tmp_path / "c.job").write_text("{}")
    order = files.order("double", {"number": 1})
    assert [each.job_id for each in files.orders(set())] == [order]
    assert isinstance(files.orders(set())[0], Order)


def test_each_kind_names_a_function() -> None:
    assert all(callable(forked._function(name)) for name in KINDS.values())
