"""Which filters are switched off, since when and why: one small JSON file, read again when it changes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from fink_broker.config import Config
from fink_broker.filters.filter import Filter

log = logging.getLogger(__name__)

#: failed: several batches in a row. slow, crashed: at once. unfit: it cannot be evaluated on the alerts there are.
#: hand: somebody switched it off; only somebody switches it on again.
Cause = Literal["failed", "slow", "crashed", "unfit", "hand"]


@dataclass(frozen=True)
class Off:
    """Why a filter is off.

    Parameters
    ----------
    identity : str
        The filter's identity at that time: with another rule it is on again, unless it was switched off by hand.
    cause : {"failed", "slow", "crashed", "unfit", "hand"}
        What kind of reason.
    reason : str
        What happened, in a sentence.
    since : float
        Unix time in seconds.
    """

    identity: str
    cause: Cause
    reason: str
    since: float


class Switches:
    """The switches of all filters.

    Parameters
    ----------
    path : pathlib.Path or None
        Their file; None: they are kept in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._off: dict[str, Off] = {}
        self.refresh()

    @classmethod
    def of(cls, config: Config) -> Switches:
        """Return the switches of a configuration: ``filters.json`` in the folder of its state."""
        return cls(Path(config.storage.state) / "filters.json")

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        if self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._off = self._read()

    def off(self, entry: Filter) -> Off | None:
        """Return why a filter is off, None if it is on."""
        found = self._off.get(entry.name)
        if found is None or (found.cause != "hand" and found.identity != entry.identity):
            return None
        return found

    def switch_off(self, entry: Filter, cause: Cause, reason: str) -> None:
        """Switch a filter off."""
        self._change(entry.name, Off(entry.identity, cause, reason, time.time()))

    def switch_on(self, name: str) -> bool:
        """Switch a filter on; return whether it was off."""
        self.refresh()
        was_off = name in self._off
        if was_off:
            self._change(name, None)
        return was_off

    def _change(self, name: str, off: Off | None) -> None:
        with self._alone():
            self.refresh()
            if off is None:
                self._off.pop(name, None)
            else:
                self._off[name] = off
            self._write()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from changing the file meanwhile: the broker and a command may do so at the same time."""
        if self._path is None:
            yield
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            log.warning("The switches of filters cannot be kept: %s.", error)
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self) -> None:
        if self._path is None:
            return
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        content = {name: asdict(off) for name, off in sorted(self._off.items())}
        try:
            with temporary.open("w", encoding="utf-8") as stream:
                json.dump(content, stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._path)
            self._stamp = _stamp(self._path)
        except OSError as error:  # a full disk: they hold until the restart
            log.warning("The switches of filters cannot be kept: %s.", error)

    def _read(self) -> dict[str, Off]:
        if self._path is None or self._stamp is None:
            return {}
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(name): Off(**entry) for name, entry in content.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("The switches of filters in %s cannot be read (%s): all are on.", self._path, error)
            return {}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
