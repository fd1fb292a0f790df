"""Which transfers the portal has begun: one small JSON file each, beside its log, for all its processes to see."""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fink_broker.config import Config

#: Days after which a transfer is forgotten here; its topic stays.
KEPT_DAYS = 30
TOPIC = re.compile(r"ftransfer_[a-z0-9]{1,20}_\d{4}-\d\d-\d\d_\d{1,6}", re.ASCII)
Ended = Literal["", "complete", "failed", "forgotten"]


@dataclass(frozen=True)
class Record:
    """A transfer that was begun.

    Parameters
    ----------
    topic : str
        Where it goes to.
    created : float
        When, unix time in seconds.
    visitor : str
        Who asked for it, as a digest.
    selection : str
        What is selected, as the query string of the page.
    pid : int
        Of the process that sends; 0: another machine does.
    started : float
        When that process began, unix time in seconds.
    batch : int
        Number of the Livy batch; -1: none.
    ended : {"", "complete", "failed", "forgotten"}
        How it ended; empty: it has not, as far as is known.
    """

    topic: str
    created: float
    visitor: str
    selection: str
    pid: int = 0
    started: float = 0.0
    batch: int = -1
    ended: Ended = ""

    @property
    def is_begun(self) -> bool:
        """Whether somebody has taken it on; before, its name and its place among the others are kept for it."""
        return self.pid > 0 or self.batch >= 0


class Records:
    """The transfers of one portal.

    Parameters
    ----------
    config : Config
        Whose state folder they are in.
    """

    def __init__(self, config: Config) -> None:
        self.folder = Path(config.storage.state) / "transfers"

    def new_topic(self, survey: str, now: float) -> str:
        """Return a name nobody has, ``ftransfer_<survey>_<YYYY-MM-DD>_<microsecond>``; to be called while `alone`."""
        moment = datetime.fromtimestamp(now, UTC)
        for step in range(1_000_000):
            topic = f"ftransfer_{survey}_{moment:%Y-%m-%d}_{(moment.microsecond + step) % 1_000_000:06d}"
            if not self._path(topic).exists():
                return topic
        raise RuntimeError(f"All names of {moment:%Y-%m-%d} are taken.")

    def read(self, topic: str) -> Record | None:
        """Return a transfer, None if none of that name was begun here."""
        if not TOPIC.fullmatch(topic):
            return None
        try:
            return Record(**json.loads(self._path(topic).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def read_all(self) -> list[Record]:
        """Return all transfers, the oldest first."""
        found = (self.read(path.stem) for path in self.folder.glob("ftransfer_*.json"))
        return sorted((record for record in found if record is not None), key=lambda record: record.created)

    def write(self, record: Record) -> None:
        """Keep a transfer."""
        path = self._path(record.topic)
        beside = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.new")
        beside.write_text(json.dumps(asdict(record)), encoding="utf-8")
        beside.replace(path)

    def remove(self, topic: str) -> None:
        """Forget a transfer that nobody took on."""
        self._path(topic).unlink(missing_ok=True)

    def log(self, topic: str) -> Path:
        """Return where the log of a transfer is."""
        return self._path(topic).with_suffix(".log")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes and threads from beginning a transfer while the block lasts; forget old ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._forget_old()
            yield

    def _forget_old(self) -> None:
        first = time.time() - KEPT_DAYS * 86400
        for path in self.folder.glob("ftransfer_*"):
            with suppress(FileNotFoundError):  # others write and remove without the lock
                if path.stat().st_mtime < first:
                    path.unlink()

    def _path(self, topic: str) -> Path:
        return self.folder / f"{topic}.json"
