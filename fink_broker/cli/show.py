"""``fink show`` and ``fink logs``: look at services."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil

from fink_broker.cli.configuration import load
from fink_broker.cli.text import USE_DASHBOARD, USE_STOP
from fink_broker.config.paths import nearly_full
from fink_broker.errors import UsageError
from fink_broker.service import catalogue, control, logs
from fink_broker.service.state import ServiceState, StateStore

HEADER = ("USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TT", "STAT", "STARTED", "TIME", "COMMAND")
STATUS_LETTERS = {"running": "R", "sleeping": "S", "disk-sleep": "D", "stopped": "T", "idle": "I"}
DAY_SECONDS = 86400


def show(conf: str | None) -> int:
    """Print the running services, what they do, which died, and whether the disk is nearly full; always 0."""
    storage = load(conf, quiet=True).config.storage
    store = StateStore(storage.state)
    states = control.known(store)
    rows = [(state, row) for state in states if state.running and (row := _row(state))]
    print(f"{len(rows)} Fink service(s) running:")
    for line in _table([HEADER, *(row for _, row in rows)]):
        print(line)
    print(USE_STOP)
    print(USE_DASHBOARD)
    for state, _ in rows:
        print(f"{state.name} since {_clock(state.since)}: {state.doing or 'starting'}; log {state.log}")
    for state in states:
        if state.died:
            print(f"{state.name} died: {state.why} See `fink logs {state.name}`.")
    warnings = (nearly_full(folder, storage.warn_free_gib) for folder in (storage.online, storage.state))
    if warning := next(filter(None, warnings), None):
        print(warning)
    return 0


def print_log(name: str, conf: str | None, count: int, *, follow: bool) -> int:
    """Print the last lines of a service's log, and (``follow``) what is added until Ctrl-C.

    Raises
    ------
    UsageError
        If the service is unknown or has no log yet.
    """
    catalogue.find(name)
    path = StateStore(load(conf, quiet=True).config.storage.state).log_path(name)
    if not path.is_file():
        raise UsageError(f"There is no log of {name} yet: {path}.", f"It begins with `fink start {name}`.")
    end = path.stat().st_size
    for line in logs.last_lines(path, count):
        print(line)
    if follow:
        try:
            for text in _added(path, end):
                sys.stdout.write(text)
                sys.stdout.flush()
        except KeyboardInterrupt:
            return 0
    return 0


def _added(path: Path, position: int) -> Iterator[str]:
    while True:
        size = path.stat().st_size if path.exists() else 0
        if size < position:  # set aside and begun anew
            position = 0
        if size > position:
            with path.open("rb") as file:
                file.seek(position)
                text = file.read()
            position += len(text)
            yield text.decode(errors="replace")
        time.sleep(0.2)


def _row(state: ServiceState) -> tuple[str, ...] | None:
    """Return the row of a service; its numbers include its Java machine and Python workers."""
    process = state.process.find()
    if process is None:
        return None
    try:
        family = [process, *process.children(recursive=True)]
        cpu_seconds, rss, vsz = 0.0, 0, 0
        for member in family:
            try:
                times, memory = member.cpu_times(), member.memory_info()
            except psutil.NoSuchProcess:
                continue
            cpu_seconds += times.user + times.system
            rss, vsz = rss + memory.rss, vsz + memory.vms
        lived = max(time.time() - process.create_time(), 0.001)
        terminal = process.terminal()
        return (
            process.username(),
            str(process.pid),
            f"{100 * cpu_seconds / lived:.1f}",
            f"{100 * rss / psutil.virtual_memory().total:.1f}",
            str(vsz // 1024),
            str(rss // 1024),
            terminal.removeprefix("/dev/") if terminal else "?",
            STATUS_LETTERS.get(process.status(), "?") + ("+" if terminal else ""),
            _clock(state.since),
            f"{int(cpu_seconds) // 60}:{int(cpu_seconds) % 60:02d}",
            " ".join(state.command),
        )
    except psutil.NoSuchProcess:
        return None


def _clock(when: float) -> str:
    form = "%H:%M:%S" if time.time() - when < DAY_SECONDS else "%b%d"
    return datetime.fromtimestamp(when).astimezone().strftime(form)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    if len(rows) == 1:
        return [" ".join(rows[0])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if column in (0, 6, 7) else text.rjust(width)
            for column, (text, width) in enumerate(zip(row[:-1], widths[:-1], strict=True))
        ]
        lines.append(" ".join([*cells, row[-1]]))
    return lines
