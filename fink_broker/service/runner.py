"""Run one service in this process: checks, lock, state, signals, and an honest end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil
import structlog
from rich.console import Console

from fink_broker.config.model import Config
from fink_broker.config.paths import free_gib
from fink_broker.errors import FinkError, ServiceError
from fink_broker.service import java_parts, logs
from fink_broker.service.catalogue import EntryPoint, Service
from fink_broker.service.java import find_java
from fink_broker.service.state import (
    Process,
    Reporter,
    ServiceState,
    StateStore,
    children_of,
    end_processes,
    now,
)

LEFTOVER_GRACE_SECONDS = 30.0
INTERRUPTED_EXIT_CODE = 130
#: Services that only show what is there: they are wanted most when a disk is full.
READERS = frozenset({"api", "checkstream", "dashboard", "portal"})

log = structlog.get_logger("fink_broker.service")


def check_ready(service: Service, config: Config, console: Console) -> None:
    """Check what a service needs of the machine before it starts: disk (if it fills one), Java, Java parts.

    Raises
    ------
    JavaMissing, ServiceError
        If something is missing; the message says what and how to mend it.
    """
    if service.name not in READERS:
        check_free_space(config)
    if service.java:
        find_java()
    for name in service.java:
        java_parts.ensure(name, console)


def check_free_space(config: Config) -> None:
    """Raise ServiceError if the disk of the state or of the data is nearly full."""
    for folder in (config.storage.state, config.storage.online):
        free = free_gib(folder)
        if free is not None and free < config.storage.min_free_gib:
            raise ServiceError(
                f"The disk of {folder} has {free:.2f} GiB free, less than storage.min_free_gib = "
                f"{config.storage.min_free_gib:g}.",
                "Free some space, or lower storage.min_free_gib.",
            )


def run_service(
    service: Service, config: Config, *, config_path: str, command: list[str], detached: bool, console: Console
) -> int:
    """Run a service until it is done or told to stop; return the exit code.

    Parameters
    ----------
    service : Service
        What to run.
    config : Config
        The configuration in force.
    config_path : str
        Path of the file it came from, for `fink show`.
    command : list of str
        How the service was started, for `fink show`.
    detached : bool
        Whether standard output is the service's log already.
    console : Console
        Where a progress bar goes.

    Raises
    ------
    UsageError
        If the service is running already.
    FinkError
        Whatever ended the service; a fault of the program becomes a ServiceError.
    """
    from fink_broker.metrics.beacon import Beacon  # noqa: PLC0415  (it loads Arrow, which `fink start --detach` spares)

    store = StateStore(config.storage.state)
    with store.only_one(service.name):
        _end_leftovers(store, service.name)
        reporter = Reporter(store, _first_state(store, service.name, config_path, command))
        log_path = store.log_path(service.name)
        beacon = Beacon(config, lambda: reporter.state)
        try:
            logs.set_up(config.log, None if detached else log_path)
            beacon.start()
            check_ready(service, config, console)
            with _stop_on_signals() as stop:
                _run(service.load(), config, stop, reporter)
        except FinkError as error:
            reporter.update(exit_code=error.exit_code, reason=str(error))
            raise
        except Exception as error:
            log.exception("crashed", service=service.name)
            crash = ServiceError(
                f"{service.name} crashed: {type(error).__name__}: {' '.join(str(error).split())[:300]}.",
                f"The traceback is in its log {log_path}.",
            )
            reporter.update(exit_code=crash.exit_code, reason=crash.message)
            raise crash from error
        else:
            reporter.update(exit_code=0, reason="done")
        finally:
            end_processes(children_of(psutil.Process()))
            reporter.update(ended=now(), children=[])
            beacon.end()
    return 0


def _first_state(store: StateStore, name: str, config_path: str, command: list[str]) -> ServiceState:
    return ServiceState(
        name=name,
        process=Process.of(psutil.Process()),
        since=now(),
        log=str(store.log_path(name)),
        config=config_path,
        command=command,
    )


def _end_leftovers(store: StateStore, name: str) -> None:
    """End the children of an earlier instance that was killed: they would hold its port and its files."""
    before = store.read(name)
    if before is not None and (count := end_processes(before.children, LEFTOVER_GRACE_SECONDS)):
        log.warning("ended what a killed instance left behind", service=name, processes=count)


def _run(entry: EntryPoint, config: Config, stop: threading.Event, reporter: Reporter) -> None:
    def say(text: str) -> None:
        if text != reporter.state.doing:
            log.info(text)
        up = not text.startswith("starting")
        if up and not reporter.state.up:
            _exit_after(config.stream.exit_after, stop)
        reporter.update(doing=text, up=reporter.state.up or up)

    failures: list[BaseException] = []

    def work() -> None:
        try:
            entry(config, stop, say)
        except BaseException as error:
            failures.append(error)

    # Not in the main thread: that one is for signals, which pyspark would take over where it finds itself there.
    watching = threading.Event()
    watcher = threading.Thread(target=reporter.watch_children, args=(watching,), daemon=True)
    worker = threading.Thread(target=work, name=reporter.state.name, daemon=True)
    watcher.start()
    worker.start()
    while worker.is_alive():
        worker.join(0.2)
    watching.set()
    watcher.join()
    if failures:
        raise failures[0]


def _exit_after(seconds: int, stop: threading.Event) -> None:
    # counted from when the service is up: 30 s on a slow machine shall not be 20 s of starting Spark
    if seconds > 0:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; a second SIGINT ends the process at once."""
    stop = threading.Event()
    started = time.monotonic()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and stop.is_set():
            end_processes(children_of(psutil.Process()), grace_seconds=0)
            os._exit(INTERRUPTED_EXIT_CODE)
        if not stop.is_set():
            name = signal.Signals(number).name
            log.info("stopping: finishing what has begun", signal=name, after_s=round(time.monotonic() - started))
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.stdout.flush()
