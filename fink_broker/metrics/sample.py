"""One sample of a running service: a small JSON file, replaced as a whole every few seconds.

Services on all hosts write theirs below the data they share, ``<storage.online>/_services/<host>-<name>.json``: who
reads the data finds the services too, without a port, an agent or a list of hosts.
"""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

#: Folder of the samples, below ``storage.online``.
FOLDER = "_services"
#: How the names of the files end.
SUFFIX = ".json"

#: Longest lines, texts and files that are written, in characters; a file that is longer is not read.
LONGEST_LINE = 500
LONGEST_TEXT = 1000
LONGEST_NAME = 100
LONGEST_METRICS = 200_000
LONGEST_FILE = 2_000_000
#: Most lines of a log, and most disks, in a sample.
MOST_LINES = 1000
MOST_DISKS = 16


class Disk(NamedTuple):
    """The disk a folder is on: the folder, and how much is free of how much in all, in GiB."""

    path: str
    free_gib: float
    total_gib: float


@dataclass(frozen=True)
class ServiceSample:
    """What a service tells of itself at one moment.

    Parameters
    ----------
    name : str
        Name of the service.
    host : str
        Name of the machine it runs on.
    pid : int
        Its process.
    since : float
        When it was started, unix seconds.
    sampled : float
        When the sample was taken, unix seconds.
    up : bool
        Whether it has come up.
    doing : str
        What it last said it is doing.
    ended : float or None
        When it ended, unix seconds; None while it runs, and if it was killed.
    reason : str
        Why it ended; ``done`` if it was asked to.
    cpu_percent : float
        Processor time of it and its children since the sample before, as a share of one core: two busy cores are 200.
    memory_mib : float
        Resident memory of it and its children, in MiB.
    log : tuple of str
        The last lines of its log, without secrets.
    metrics : str
        Its own numbers, in the text format of Prometheus.
    disks : tuple of Disk
        The disks it writes to.
    every : float
        Seconds between two samples, as it is now: on a slow storage they come less often.
    """

    name: str
    host: str
    pid: int
    since: float
    sampled: float
    up: bool = False
    doing: str = ""
    ended: float | None = None
    reason: str = ""
    cpu_percent: float = 0.0
    memory_mib: float = 0.0
    log: tuple[str, ...] = ()
    metrics: str = ""
    disks: tuple[Disk, ...] = ()
    every: float = 2.0

    @property
    def path(self) -> str:
        """Name of its file below ``storage.online``."""
        return sample_path(self.host, self.name)

    def age(self, now: float) -> float:
        """Return the seconds since it was taken, at a unix time in seconds; a clock that is ahead makes none."""
        return max(0.0, now - self.sampled)

    def bounded(self) -> ServiceSample:
        """Return it with everything cut to the length a sample may have."""
        return replace(
            self,
            name=self.name[:LONGEST_NAME],
            host=self.host[:LONGEST_NAME],
            doing=self.doing[:LONGEST_TEXT],
            reason=self.reason[:LONGEST_TEXT],
            log=tuple(line[:LONGEST_LINE] for line in self.log[-MOST_LINES:]),
            metrics=self.metrics if len(self.metrics) <= LONGEST_METRICS else "",
            disks=self.disks[:MOST_DISKS],
        )

    def to_json(self) -> bytes:
        """Return the content of its file."""
        return json.dumps(asdict(self.bounded()), allow_nan=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> ServiceSample:
        """Read what `to_json` has written.

        Raises
        ------
        ValueError
            If it is no sample: damaged, of another kind, or longer than one can be.
        """
        if len(content) > LONGEST_FILE:
            raise ValueError(f"it is longer than {LONGEST_FILE:,} bytes")
        raw = json.loads(content)
        if not isinstance(raw, dict):
            raise ValueError("it is no JSON object")
        try:
            return _read(raw).bounded()
        except KeyError as error:
            raise ValueError(f"it lacks {error}") from None
        except (TypeError, OverflowError) as error:
            raise ValueError(str(error)) from None


def sample_path(host: str, name: str) -> str:
    """Return the name of the file of a service of a host, below ``storage.online``."""
    return f"{FOLDER}/{_plain(host)}-{_plain(name)}{SUFFIX}"


def host_name() -> str:
    """Return the name of this machine."""
    return socket.gethostname() or "localhost"


def _read(raw: Mapping[str, Any]) -> ServiceSample:
    ended = raw.get("ended")
    return ServiceSample(
        name=_text(raw["name"], "name", least=1),
        host=_text(raw["host"], "host", least=1),
        pid=int(_number(raw["pid"], "pid")),
        since=_number(raw["since"], "since"),
        sampled=_number(raw["sampled"], "sampled"),
        up=raw.get("up") is True,
        doing=_text(raw.get("doing", ""), "doing"),
        ended=None if ended is None else _number(ended, "ended"),
        reason=_text(raw.get("reason", ""), "reason"),
        cpu_percent=_number(raw.get("cpu_percent", 0.0), "cpu_percent"),
        memory_mib=_number(raw.get("memory_mib", 0.0), "memory_mib"),
        log=tuple(_text(line, "log") for line in raw.get("log", ())),
        metrics=_text(raw.get("metrics", ""), "metrics"),
        disks=tuple(
            Disk(_text(path, "disks"), _number(free, "disks"), _number(total, "disks"))
            for path, free, total in raw.get("disks", ())
        ),
        every=_number(raw.get("every", 2.0), "every"),
    )


def _text(value: object, name: str, least: int = 0) -> str:
    if not isinstance(value, str) or len(value) < least:
        raise ValueError(f"its {name} is no text")
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"its {name} is no number")
    return float(value)


def _plain(name: str) -> str:
    """Return a name as a part of a file's name: whatever a host is called, it names no other folder."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:LONGEST_NAME].lstrip(".") or "_"
