"""The `fink` command: what it prints, and its exit codes, with nothing running."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fink_broker import __version__
from fink_broker.cli import main
from fink_broker.metrics.sample import ServiceSample, host_name
from fink_broker.service.state import Process, ServiceState, StateStore

NOTHING_RUNS = [
    "0 Fink service(s) running:",
    "USER PID %CPU %MEM VSZ RSS TT STAT STARTED TIME COMMAND",
    "Use <fink stop service_name> to stop a service.",
    "Use <fink start dashboard> to start the dashboard or check its status.",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    monkeypatch.setenv("FINK__STORAGE__WARN_FREE_GIB", "0")
    monkeypatch.delenv("SIGNAL", raising=False)
    return tmp_path


@pytest.fixture
def store(home: Path) -> StateStore:
    return StateStore(home / ".fink")


def dead(name: str, **changes: object) -> ServiceState:
    values = {"ended": 9.0, "exit_code": 3, "reason": "Port 9092 is taken."} | changes
    return ServiceState(name, Process(1 << 22, 5.0), 5.0, "x.log", "fink.conf", ["fink", "start", name], **values)


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Handle Kafka stream received by Apache Spark"
    assert lines[-2:] == [
        "Available services are: kafka, hbase, simulator, checkstream, stream2raw, raw2science, distribution, archive, "
        "notifier, api, portal, dashboard, tom",
        "Typical configuration would be ${FINK_HOME}/conf/fink.conf",
    ]
    for word in ("fink init", "fink start <service> -h", "fink stop", "fink show", "fink logs", "fink demo"):
        assert any(word in line for line in lines), word


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["start"], "needs the name of a service"),
        (["start", "nonsense"], "There is no service named nonsense"),
        (["stop", "nonsense"], "There is no service named nonsense"),
        (["logs", "nonsense"], "There is no service named nonsense"),
        (["start", "science_archival"], "no service named science_archival: its work is done by `fink start archive`."),
        (["stop", "distribute"], "no service named distribute: its work is done by `fink start distribution`."),
        (["start", "merge_and_clean"], "its work is done by `fink merge` and `fink clean`."),
        (["logs", "kafka"], "There is no log of kafka yet"),
        (["start", "kafka", "--nonsense"], "unknown argument --nonsense"),
        (["show", "--nonsense"], "No such option: --nonsense"),
        (["show", "nonsense"], "unexpected extra argument"),
    ],
)
def test_what_is_unknown_is_one_line_on_stderr(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


def test_show_with_nothing_running(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show"]) == 0
    assert capsys.readouterr().out.splitlines() == NOTHING_RUNS


def test_show_warns_of_a_disk_that_is_nearly_full(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINK__STORAGE__WARN_FREE_GIB", "1e9")
    assert main(["show"]) == 0
    *lines, warning = capsys.readouterr().out.splitlines()
    assert lines == NOTHING_RUNS
    assert warning.startswith(f"The disk of {home}/online is nearly full: ")


def test_show_names_the_running_and_the_dead(store: StateStore, capsys: pytest.CaptureFixture[str]) -> None:
    me = Process.of(psutil.Process())
    store.write(
        ServiceState(
            "simulator", me, time.time(), "s.log", "fink.conf", ["fink", "start", "simulator", "--rate", "5"], "7 sent"
        )
    )
    store.write(dead("kafka"))
    store.write(dead("stream2raw", ended=None, exit_code=None, reason="", doing="batch 3"))
    store.write(dead("distribution", exit_code=0, reason="done"))
    assert main(["show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 Fink service(s) running:"
    assert lines[1].split() == NOTHING_RUNS[1].split()
    assert lines[2].split()[1] == str(os.getpid())
    assert lines[2].endswith(" fink start simulator --rate 5")
    assert lines[3:5] == NOTHING_RUNS[2:]
    assert lines[5].endswith("7 sent; log s.log")
    assert lines[6:] == [
        "kafka died: Port 9092 is taken. See `fink logs kafka`.",
        "stream2raw died: it was killed while it was doing this: batch 3. See `fink logs stream2raw`.",
    ]


def test_stop_with_nothing_running(home: Path, store: StateStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop", "kafka"]) == 0
    assert main(["stop"]) == 0
    assert capsys.readouterr().out.splitlines() == ["No fink kafka service to stop", "No fink service to stop"]
    store.write(dead("kafka"))
    sample = home / "online" / ServiceSample("kafka", host_name(), 7, 1.0, 2.0, ended=3.0, reason="It broke.").path
    sample.parent.mkdir(parents=True)
    sample.touch()
    assert main(["stop", "all"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["No fink service to stop"]
    assert "kafka had died: Port 9092 is taken." in printed.err
    assert store.read("kafka") is None, "what was told need not be told again"
    assert not sample.exists(), "nor by the dashboard"


def sleeping(store: StateStore, code: str) -> subprocess.Popen[bytes]:
    """Register a process as the service simulator."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    who = Process.of(psutil.Process(process.pid))
    store.write(ServiceState("simulator", who, time.time(), "s.log", "fink.conf", ["fink", "start", "simulator"]))
    return process


def test_stop_sends_the_signal_of_the_environment(
    store: StateStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import signal; signal.signal(signal.SIGUSR1, lambda *_: exit(0)); print(1, flush=True); signal.pause()"
    process = sleeping(store, code)
    monkeypatch.setenv("SIGNAL", "nonsense")
    assert main(["stop", "simulator"]) == 1
    assert "SIGNAL is NONSENSE, which is not a signal" in capsys.readouterr().err
    monkeypatch.setenv("SIGNAL", "USR1")
    assert main(["stop", "simulator"]) == 0
    assert capsys.readouterr().out.splitlines() == ["Stopping simulator..."]
    process.wait(5)


def test_stop_kills_after_the_grace_period(
    store: StateStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINK__STREAM__STOP_GRACE_SECONDS", "0.5")
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    process = sleeping(store, code)
    assert main(["stop"]) == 3
    assert "simulator did not drain within 0.5 s and had to be killed" in capsys.readouterr().err
    process.wait(5)


def test_logs_prints_the_last_lines(store: StateStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.logs.mkdir(parents=True)
    store.log_path("kafka").write_text("".join(f"line {n}\n" for n in range(100)))
    assert main(["logs", "kafka", "-n", "2"]) == 0
    assert capsys.readouterr().out == "line 98\nline 99\n"


def test_show_is_quick_and_needs_no_spark(home: Path) -> None:
    code = (
        "import sys; from fink_broker.cli import main; main(['show']); main(['--version']); main([]);"
        "main(['start', 'stream2raw', '-h']);"
        "print([m for m in ('pyspark', 'numpy', 'pyarrow', 'pandas', 'confluent_kafka') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
