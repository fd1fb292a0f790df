"""Ctrl-C and SIGTERM, in a process of its own for each case."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
import tom_fink

BEGIN = """
import signal, sys, threading, time
from tom_fink.stopping import Stopping

stopping, stop, begun, go_on = Stopping(), threading.Event(), threading.Event(), threading.Event()
busy = threading.RLock()
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have told them to ignore it
{before}
stopping.install()

def listen():
    with stopping.listening(stop):
        begun.set()
        stop.wait()
        print("told to stop", flush=True)
        if {waits}:
            go_on.wait()
        with busy:
            print("alert in hand is done", flush=True)

thread = threading.Thread(target=listen)
"""
#: the main thread waits; Python may sleep over a signal that comes just before a wait without end
WAITS = "\nwhile not go_on.wait(0.05):\n    pass\n"
LISTENS = "thread.start(); begun.wait(); print('ready', flush=True)"


def process(end: str, *, before: str = "", waits: bool = False) -> subprocess.Popen[str]:
    script = BEGIN.format(before=before, waits=waits) + textwrap.dedent(end)
    folder = Path(tom_fink.__file__).parents[1]
    started = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    assert started.stdout.readline() == "ready\n"
    return started


def ended(started: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        printed, complained = started.communicate(timeout=10)
    finally:
        started.kill()
    assert "Traceback" not in complained
    return started.returncode, printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("main", ["", WAITS], ids=["main thread is done", "main thread waits"])
def test_the_alert_in_hand_is_done_and_the_process_ends_well(number: signal.Signals, main: str) -> None:
    started = process(LISTENS + main)
    started.send_signal(number)
    assert ended(started) == (0, "told to stop\nalert in hand is done\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    started = process(LISTENS, waits=True)
    started.send_signal(number)
    assert started.stdout.readline() == "told to stop\n"
    deadline = time.monotonic() + 10
    while started.poll() is None and time.monotonic() < deadline:
        started.send_signal(number)  # Python may sleep over one that comes right after the first
        with suppress(subprocess.TimeoutExpired):
            started.wait(0.5)
    assert ended(started) == (-number, "")


def test_while_others_work_the_signal_is_handed_on_when_ours_is_done() -> None:
    started = process("threading.Thread(target=go_on.wait).start()\n" + LISTENS)
    started.send_signal(signal.SIGTERM)
    assert ended(started) == (-signal.SIGTERM, "told to stop\nalert in hand is done\n")


def test_a_main_thread_with_a_lock_that_the_alert_in_hand_needs_goes_on() -> None:
    """Such as that of the log, to which a main thread writes as well."""
    end = """
    thread.start()
    begun.wait()
    with busy:
        print("ready", flush=True)
        while not stop.is_set():
            time.sleep(0.01)
    """
    started = process(textwrap.dedent(end) + WAITS)
    started.send_signal(signal.SIGTERM)
    assert ended(started) == (0, "told to stop\nalert in hand is done\n")


def test_a_stream_that_begins_while_others_stop_stops_as_well() -> None:
    end = """
    while not stop.is_set():
        time.sleep(0.01)
    late = threading.Event()
    with stopping.listening(late):
        late.wait(10)
        print("late one", late.is_set(), flush=True)
    go_on.set()
    while True:
        time.sleep(0.05)
    """
    started = process(LISTENS + textwrap.dedent(end), waits=True)
    started.send_signal(signal.SIGTERM)
    code, printed = ended(started)
    assert (code, sorted(printed.splitlines())) == (0, ["alert in hand is done", "late one True", "told to stop"])


def test_a_signal_that_is_to_be_ignored_is() -> None:
    """As Ctrl-C is by what a shell runs behind."""
    before = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    started = process(LISTENS, before=before)
    started.send_signal(signal.SIGINT)
    started.send_signal(signal.SIGTERM)
    code, printed = ended(started)
    assert (code, printed) == (0, "told to stop\nalert in hand is done\n")


def test_while_nothing_listens_a_signal_does_what_it_did() -> None:
    # no print, no lock: it may interrupt the main thread in the midst of either
    before = """
import os
done = []
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"mine\\n"), done.append(True)))
"""
    started = process("print('ready', flush=True)\nwhile not done:\n    time.sleep(0.05)\n", before=before)
    started.send_signal(signal.SIGTERM)
    assert ended(started) == (0, "mine\n")


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    end = """
    other = Stopping()
    made = threading.Thread(target=other.install); made.start(); made.join()
    assert signal.getsignal(signal.SIGTERM) == stopping._on_signal
    assert other._previous == {}
    print('ready', flush=True)
    """
    assert ended(process(end)) == (0, "")
