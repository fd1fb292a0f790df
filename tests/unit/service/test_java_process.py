"""A Java server that is started, watched and ended; a shell stands for Java."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fink_broker.errors import ServiceError
from fink_broker.service import java_process
from fink_broker.service.java_process import JavaProcess, java_command


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], JavaProcess]]:
    """Return a function that runs a shell script as a server."""
    started = []

    def start(script: str) -> JavaProcess:
        process = JavaProcess("Server", tmp_path / "logs" / "server.log")
        process.begin_log()
        process.start(["sh", "-c", script])
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_that_runs_and_is_ended(start: Callable[[str], JavaProcess]) -> None:
    process = start("echo up; exec sleep 60")
    process.check()
    assert process.running
    assert process.pid
    process.terminate()
    assert not process.running


def test_a_deaf_server_is_killed(start: Callable[[str], JavaProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_process, "STOP_SECONDS", 0.3)
    process = start("trap '' TERM; echo up; while true; do sleep 0.1; done")
    wait_for(lambda: "up" in process.log.read_text())
    process.terminate()
    assert not process.running


def test_a_server_that_ends_says_what_its_log_says(start: Callable[[str], JavaProcess]) -> None:
    process = start("echo 'ERROR of yesterday'")
    wait_for(lambda: not process.running)
    process.begin_log()
    process.start(["sh", "-c", "echo 'x.BindException: in use'; printf '\\tat java.Main\\n'; echo bye; exit 7"])
    wait_for(lambda: not process.running)
    with pytest.raises(
        ServiceError, match=r"Server ended by itself with exit code 7\. .*says: x\.BindException: in use$"
    ):
        process.check()


def test_lines_of_the_log_are_told_once_and_whole(start: Callable[[str], JavaProcess]) -> None:
    process = start("printf 'one\ntwo\nthr'; sleep 0.5; printf 'ee\n'; exec sleep 60")
    seen: list[str] = []

    def look() -> bool:
        seen.extend(process.new_lines())
        return len(seen) == 3

    wait_for(look)
    assert seen == ["one", "two", "three"]


def test_a_log_that_grows_large_is_set_aside_and_no_line_of_it_is_missed(
    start: Callable[[str], JavaProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java_process, "ROTATE_BYTES", 20_000)
    process = start("for n in $(seq 1 9000); do echo line $n; done; echo 'ERROR at the end'; exit 1")
    wait_for(lambda: not process.running)
    with pytest.raises(ServiceError, match="says: ERROR at the end"):
        process.check()
    assert process.new_lines() == [*(f"line {n}" for n in range(1, 9001)), "ERROR at the end"]
    assert process.bytes_told > 80_000
    aside = process.log.with_name("server.log.1")
    assert process.log.stat().st_size + aside.stat().st_size < 41_000


def test_of_a_long_log_only_the_end_is_searched_for_trouble(
    start: Callable[[str], JavaProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java_process, "TROUBLE_BYTES", 5_000)
    process = start("echo 'ERROR long ago'; for n in $(seq 1 2000); do echo line $n; done")
    wait_for(lambda: not process.running)
    with pytest.raises(ServiceError, match=r"exit code 0\. Its log is .*server\.log\.$"):
        process.check()


def test_a_killed_server_is_told(start: Callable[[str], JavaProcess]) -> None:
    process = start("kill -9 $$")
    wait_for(lambda: not process.running)
    with pytest.raises(ServiceError, match=r"Server was killed by signal 9\. Its log is .*server\.log\.$"):
        process.check()


def test_a_command_runs_to_its_end(tmp_path: Path) -> None:
    process = JavaProcess("Server", tmp_path / "server.log")
    process.begin_log()
    assert process.run_once(["sh", "-c", "echo formatted"])
    assert not process.run_once(["sh", "-c", "exit 1"])
    assert process.log.read_text() == "formatted\n"
    process.terminate()  # nothing runs: nothing to do


def test_settings_come_before_the_parts_on_the_class_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_process.java_parts, "classpath", lambda parts: f"{parts}.jar")
    command = java_command(Path("/jdk/bin/java"), "hbase", 300, ("-XX:+UseSerialGC",), Path("/conf"))
    assert command[:2] == ["/jdk/bin/java", "-Xmx300m"]
    assert command[-3:] == ["-XX:+UseSerialGC", "-cp", "/conf:hbase.jar"]
    assert java_command(Path("java"), "kafka", 300)[-1] == "kafka.jar"
