"""Transfers by `fink transfer` on this machine: a process of its own for each, which outlives the portal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from fink_broker.config import Config
from fink_broker.portal.web.transfer.records import Record, Records
from fink_broker.portal.web.transfer.selection import Selection
from fink_broker.portal.web.transfer.sender import LOG_BYTES, Progress, begin, told

#: Seconds by which the start of a process may seem to change.
_SLACK = 1.0


class LocalSender:
    """Starts transfers on this machine.

    Parameters
    ----------
    config : Config
        The configuration in force; the process gets the same.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._records = Records(config)

    def submit(self, selection: Selection, visitor: str) -> Record:
        """Begin a transfer.

        Raises
        ------
        UsageError
            If there are too many.
        """
        return begin(
            self._config,
            selection,
            visitor,
            standing_of=lambda record: self.look(record).standing,
            start=lambda record: self._start(record, selection),
        )

    def look(self, record: Record) -> Progress:
        """Tell how far a transfer is, by its log."""
        is_running = _is_running(record)  # before the log is read: what it wrote last is not missed
        return told(last_lines(self._records.log(record.topic)), is_running=is_running)

    def _start(self, record: Record, selection: Selection) -> Record:
        log = self._records.log(record.topic)
        conf = log.with_suffix(".conf")
        conf.write_text(as_toml(self._config), encoding="utf-8")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fink_broker", "transfer", f"--conf={conf}", *selection.arguments(record.topic)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
            )
        return replace(record, pid=process.pid, started=psutil.Process(process.pid).create_time())


def last_lines(path: Path) -> list[str]:
    """Return the last lines of a log; none if there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def as_toml(config: Config) -> str:
    """Return a configuration as a file that `fink` reads; there are no secrets in it."""
    content = config.model_dump(mode="json")
    lines = [f"{key} = {_toml(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for name, section in content.items():
        if isinstance(section, dict):
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in section.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Return a value in TOML, whose texts, numbers and lists are those of JSON."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _is_running(record: Record) -> bool:
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started) <= _SLACK
        return record.pid > 0 and same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
