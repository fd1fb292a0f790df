"""The programs of the TOM are kept alive, heard, and ended in order."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from fink_broker.errors import ServiceError
from fink_broker.service.tom import process
from fink_broker.service.tom.process import Program, without

PATIENCE_SECONDS = 10.0


def program(folder: Path, code: str, name: str = "web") -> Program:
    return Program(name, [sys.executable, "-c", code], folder, os.environ)


def keep_until(kept: Program, file: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (file.is_file() and file.read_text() == text):
        kept.keep()
        assert time.monotonic() < deadline, file.read_text() if file.is_file() else "nothing yet"
        time.sleep(0.01)


def test_one_that_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_SECONDS", 0.01)
    mortal = program(tmp_path, "open('lives', 'a').write('x'); raise SystemExit(7)")
    mortal.start()
    keep_until(mortal, tmp_path / "lives", "xxx")
    mortal.stop(5)


def test_one_that_dies_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_SECONDS", 0.01)
    mortal = program(tmp_path, "open('lives', 'a').write('x'); print('ERROR tom_fink: wrong password.'); exit(1)")
    mortal.start()
    with pytest.raises(ServiceError, match=r"web ended 5 times .* exit code 1: ERROR tom_fink: wrong password\."):
        keep_until(mortal, tmp_path / "lives", "never")
    assert (tmp_path / "lives").read_text() == "xxxxx"


def test_deaths_long_ago_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(process, "WITHIN_SECONDS", 0.001)
    mortal = program(tmp_path, "open('lives', 'a').write('x')")
    mortal.start()
    keep_until(mortal, tmp_path / "lives", "x" * 7)
    mortal.stop(5)


def test_what_it_writes_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    talker = program(tmp_path, "print('INFO a: up'); print('[2026] [9] [WARNING] b'); print('ERROR c'); print('plain')")
    assert talker.run_once(threading.Event())
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "web: INFO a: up"),
        ("WARNING", "web: [2026] [9] [WARNING] b"),
        ("ERROR", "web: ERROR c"),
        ("INFO", "web: plain"),
    ]


def test_a_failure_says_its_cause(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"setup ended with exit code 1: ValueError: no such table\. See"):
        program(tmp_path, "raise ValueError('no such table')", "setup").run_once(threading.Event())


def test_it_ends_when_told_to_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert program(tmp_path, "import time; time.sleep(60)").run_once(stop) is False


COUNTING = """
import signal, time
asked = 0
def count(*_):
    global asked
    asked += 1
signal.signal(signal.SIGTERM, count)
open('ready', 'w').write('yes')
while not asked:
    time.sleep(0.01)
time.sleep(0.2)
open('asked', 'w').write(str(asked))
"""


def test_it_is_asked_to_end_once(tmp_path: Path) -> None:
    counting = program(tmp_path, COUNTING)
    counting.start()
    keep_until(counting, tmp_path / "ready", "yes")
    counting.ask_to_end()
    counting.stop(10)
    assert (tmp_path / "asked").read_text() == "1"
    counting.keep()
    assert not counting.running


def test_the_deaf_are_killed(tmp_path: Path) -> None:
    deaf = program(
        tmp_path,
        "import signal, time; signal.signal(15, signal.SIG_IGN); open('ready', 'w').write('yes'); time.sleep(60)",
    )
    deaf.start()
    keep_until(deaf, tmp_path / "ready", "yes")
    deaf.stop(0.1)
    assert not deaf.running


def test_secrets_and_our_packages_are_not_handed_on() -> None:
    environ = {"FINK_TOM_PASSWORD": "p", "PYTHONPATH": "/ours", "PATH": "/bin", "FINK_API_KEY": "k"}
    assert without(environ, "FINK_TOM_PASSWORD") == {"PATH": "/bin", "FINK_API_KEY": "k"}
