"""The process of users' functions: hostile ones harm nobody but themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from fink_broker.errors import ConfigError
from fink_broker.filters.users.answer import Answer
from fink_broker.filters.users.arguments import inputs_of, raw_columns
from fink_broker.filters.users.functions import UserFunction
from fink_broker.filters.users.runner import Runner
from fink_broker.filters.view import AlertView

HERE = str(Path(__file__).parent)
SECONDS = 1.5


def table(length: int = 200) -> pa.Table:
    magnitudes = np.random.default_rng(5).uniform(16, 20, length)
    candidates = [{"magpsf": value} for value in magnitudes]
    points = pa.list_(pa.struct([("magpsf", pa.float32())]))
    return pa.table(
        {
            "candid": pa.array(range(length)),
            "candidate": pa.array(candidates, pa.struct([("magpsf", pa.float32())])),
            "prv_candidates": pa.array([[{"magpsf": 19.0}] * (k % 3) for k in range(length)], points),
        }
    )


ALERTS = table()
BRIGHT = np.asarray(ALERTS["candidate"].combine_chunks().field("magpsf")) < 18


def function(name: str) -> UserFunction:
    return UserFunction(f"hostile_functions:{name}", HERE)


def ask(runner: Runner, *names: str, alerts: pa.Table = ALERTS) -> dict[str, Answer]:
    chosen = {name: inputs_of(runner.arguments[name], alerts.schema) for name in names}
    paths = [path for inputs in chosen.values() for wanted in inputs.values() for path in wanted]
    runner.send(raw_columns(alerts, paths), chosen)
    return {answer.name: answer for answer in runner.collect()}


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Return functions that do no more harm than raising, in one process."""
    names = (
        "bright raises short stops texts prints reads_input hungry vandal faint_past poisoned leaves_a_thread "
        "everything"
    )
    running = Runner({name: function(name) for name in names.split()}, SECONDS, memory_bytes=4 << 30)
    running.load()
    with running:
        yield running


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raises", "ValueError: no way"),
        ("short", "1 values for 200 alerts"),
        ("stops", "SystemExit: enough"),
        ("texts", "texts instead of"),
        ("hungry", "MemoryError"),
    ],
)
def test_a_failure_is_the_failure_of_one_filter(runner: Runner, name: str, error: str) -> None:
    pid = runner.pid
    answers = ask(runner, "bright", name, "faint_past")
    assert error in answers[name].error
    assert answers[name].cause == "raised"
    assert answers[name].failed.all()
    assert not answers[name].passed.any()
    assert answers["bright"].passed.tolist() == BRIGHT.tolist()
    assert answers["faint_past"].passed.tolist() == [k % 3 > 0 for k in range(200)]
    assert runner.pid == pid


def test_what_functions_print_read_or_write_disturbs_nobody(runner: Runner) -> None:
    answers = ask(runner, "prints", "reads_input", "vandal", "leaves_a_thread", "bright", "faint_past")
    for name in ("prints", "reads_input", "leaves_a_thread", "bright"):
        assert answers[name].error == ""
        assert answers[name].passed.tolist() == BRIGHT.tolist()
    assert answers["vandal"].passed.all()
    assert answers["faint_past"].passed.any()


def test_the_failure_of_one_alert_is_the_failure_of_one_alert(runner: Runner) -> None:
    answer = ask(runner, "poisoned")["poisoned"]
    assert np.flatnonzero(answer.failed).tolist() == [7, 57, 107, 157]
    assert answer.passed.tolist() == (BRIGHT & ~answer.failed).tolist()
    assert "poison" in answer.error


def test_a_function_that_cannot_be_called_by_name_is_not_loaded(runner: Runner) -> None:
    with pytest.raises(ConfigError, match="'columns' cannot be given by name"):
        runner.check_loaded("everything")


def test_functions_see_harmless_variables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FINK_KAFKA_PASSWORD", "SN_CHANNEL", "AWS_ACCESS_KEY_ID", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "not theirs")
    monkeypatch.setenv("LC_NUMERIC", "C")
    with Runner({"secrets": function("secrets")}, SECONDS) as alone:
        alone.load()
        answer = ask(alone, "secrets")["secrets"]
    assert "not theirs" not in answer.error
    for name in ("PATH", "HOME", "LC_NUMERIC", "OMP_NUM_THREADS"):
        assert f"'{name}'" in answer.error


def test_good_filters_cost_little_beside_their_own_time(runner: Runner) -> None:
    overheads = []
    for _ in range(5):
        started = time.perf_counter()
        answers = ask(runner, "bright", "faint_past")
        overheads.append(time.perf_counter() - started - sum(answer.seconds for answer in answers.values()))
    assert min(overheads) < 0.05  # a few milliseconds where the machine is free


@pytest.mark.parametrize(
    ("name", "cause", "error"),
    [
        ("sleeps", "slow", "more than 1.5 s"),
        ("exits", "crashed", "exit code 3 .*my last words"),
        ("segfaults", "crashed", "SIGSEGV"),
    ],
)
def test_a_new_process_goes_on_where_a_function_took_the_old_one_down(name: str, cause: str, error: str) -> None:
    with Runner({key: function(key) for key in ("bright", name, "faint_past")}, SECONDS) as runner:
        runner.load()
        before = runner.pid
        answers = ask(runner, "bright", name, "faint_past")
        assert answers[name].cause == cause
        assert answers[name].failed.all()
        with pytest.raises(ConfigError, match=error):
            runner.check_loaded(name)
        assert answers["bright"].passed.tolist() == BRIGHT.tolist()
        assert answers["faint_past"].cause == ""
        assert runner.pid != before
        assert not psutil.pid_exists(before or 0)
        assert ask(runner, "bright")["bright"].error == ""


def test_a_process_that_is_killed_between_batches_is_replaced() -> None:
    with Runner({"bright": function("bright")}, SECONDS) as runner:
        runner.load()
        os.kill(runner.pid or 0, signal.SIGKILL)
        assert ask(runner, "bright")["bright"].passed.tolist() == BRIGHT.tolist()


def test_imports_that_hang_exit_or_fail_take_no_other_filter_down(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(1000)\ndef f(candid): return candid > 0\n")
    (tmp_path / "dies.py").write_text("import os\nos._exit(4)\n")
    (tmp_path / "wrong.py").write_text("def f(candid: return\n")
    (tmp_path / "needs.py").write_text("import no_such_package_x\n")
    (tmp_path / "fine.py").write_text("number = 3\ndef f(candid): return candid > 100\n")
    places = {
        "hangs": "hangs:f", "hangs_too": "hangs:g", "dies": "dies:f", "wrong": "wrong:f", "needs": "needs:f",
        "absent": "no_such_module_y:f", "lacks": "fine:g", "number": "fine:number", "fine": "fine:f",
        "entry": "no_such_entry_point",
    }  # fmt: skip
    functions = {name: UserFunction(place, str(tmp_path)) for name, place in places.items()}
    with Runner(functions, SECONDS, import_seconds=6.0) as runner:
        started = time.monotonic()
        runner.load()
        assert time.monotonic() - started < 12
        assert set(runner.arguments) == {"fine"}
        reasons = {name: loss.reason for name, loss in runner.lost.items()}
        assert ask(runner, "fine")["fine"].passed.sum() == 99
    assert "more than 3.0 s" in reasons["hangs"]
    assert reasons["hangs_too"] == reasons["hangs"]
    assert "exit code 4" in reasons["dies"]
    assert "SyntaxError" in reasons["wrong"]
    assert "'no_such_package_x'; install it (pip install no-such-package-x)" in reasons["needs"]
    assert "no module 'no_such_module_y'" in reasons["absent"]
    assert "has no attribute 'g'" in reasons["lacks"]
    assert "is no function" in reasons["number"]
    assert "no installed package announces" in reasons["entry"]


def test_a_function_is_a_rule_that_can_be_used_alone() -> None:
    rule = function("bright")
    rule.check(ALERTS.schema)
    assert rule.decide(AlertView(ALERTS)).tolist() == BRIGHT.tolist()
    with pytest.raises(ConfigError, match="no_such_column"):
        function("column").check(ALERTS.schema)


def test_a_function_made_for_spark_is_used_unchanged(tmp_path: Path) -> None:
    (tmp_path / "for_spark.py").write_text(
        "from pyspark.sql.functions import pandas_udf, PandasUDFType\n"
        "from pyspark.sql.types import BooleanType\n"
        "@pandas_udf(BooleanType(), PandasUDFType.SCALAR)\n"
        "def f(magpsf):\n    return magpsf < 18\n"
    )
    with Runner({"f": UserFunction("for_spark.f", str(tmp_path))}, SECONDS) as runner:
        runner.load()
        assert ask(runner, "f")["f"].passed.tolist() == BRIGHT.tolist()


def test_the_process_ends_with_the_broker(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from fink_broker.filters.users.functions import UserFunction\n"
        "from fink_broker.filters.users.runner import Runner\n"
        f"runner = Runner({{'f': UserFunction('hostile_functions:bright', {HERE!r})}})\n"
        "runner.load()\n"
        "print(runner.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=tmp_path) as broker:
        assert broker.stdout is not None
        worker = int(broker.stdout.readline())
        assert psutil.pid_exists(worker)
        broker.kill()
        broker.wait()
    end = time.monotonic() + 5
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "the process of users' functions outlives the broker"
        time.sleep(0.02)
