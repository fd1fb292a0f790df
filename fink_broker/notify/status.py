"""What a webhook has done and is doing, in a small file that anybody may read; and what its far end refused."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fink_broker.notify.notice import Notice

log = logging.getLogger(__name__)

#: A file of refused alerts that has grown to this is set aside as ``.1``.
ROTATE_BYTES = 20 * 1024 * 1024
_SAVE_SECONDS = 1.0


@dataclass
class Counters:
    """Numbers of a webhook since its first start.

    Parameters
    ----------
    posted : int
        Alerts posted by themselves.
    summaries, summarised : int
        Summaries posted, and alerts in them.
    refused, unreadable : int
        Alerts the far end refused, and messages that cannot be decoded: both are in ``<name>.refused.jsonl``.
    repeats : int
        Messages that told of an alert settled before.
    retries : int
        Requests that failed and were, or will be, repeated.
    last_error, last_error_at, last_post_at : str
        The last failure in words; times as ISO 8601, UTC.
    doing : str
        What it is at.
    waiting, lag : int
        Alerts read and not told yet; messages in Kafka not read yet.
    begun : list of str
        Topics whose first start is done: whatever comes in them from then on is told.
    updated : str
        When this was written.
    """

    posted: int = 0
    summaries: int = 0
    summarised: int = 0
    refused: int = 0
    unreadable: int = 0
    repeats: int = 0
    retries: int = 0
    last_error: str = ""
    last_error_at: str = ""
    last_post_at: str = ""
    doing: str = "starting"
    waiting: int = 0
    lag: int = 0
    begun: list[str] = field(default_factory=list)
    updated: str = ""


class Status:
    """The files of one webhook.

    Parameters
    ----------
    folder : Path
        ``<state>/notify``; made if it is not there.
    name : str
        Of the webhook.
    facts : dict
        What else its file shows: kind and topics.
    """

    def __init__(self, folder: Path, name: str, facts: dict[str, Any] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.refused_path = folder / f"{name}.json", folder / f"{name}.refused.jsonl"
        self._facts = {"name": name, **(facts or {})}
        self._saved = 0.0
        self.counters = _read(self.path)

    def failed(self, reason: str) -> None:
        """Note a failure."""
        self.counters.last_error, self.counters.last_error_at = reason, iso_now()

    def save(self, *, at_once: bool = False) -> None:
        """Write the numbers, at most once a second unless ``at_once``."""
        now = time.monotonic()
        if not at_once and now - self._saved < _SAVE_SECONDS:
            return
        self._saved = now
        self.counters.updated = iso_now()
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        try:
            temporary.write_text(json.dumps(self._facts | asdict(self.counters), indent=1), encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            log.error("%s cannot be written: %s", self.path, error.strerror)

    def set_aside(self, notices: Sequence[Notice], answer: str) -> None:
        """Keep alerts a far end refused, one line each: what, what was answered, when."""
        self._append([{**asdict(notice), "answer": answer, "when": iso_now()} for notice in notices])
        self.counters.refused += len(notices)

    def set_aside_unreadable(self, place: tuple[str, int, int], headers: dict[str, str], reason: str) -> None:
        """Keep where a message stands that cannot be decoded."""
        topic, partition, offset = place
        entry = {"topic": topic, "partition": partition, "offset": offset, "headers": headers}
        self._append([{**entry, "answer": reason, "when": iso_now()}])
        self.counters.unreadable += 1

    def _append(self, entries: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(entry) + "\n" for entry in entries)
        try:
            if self.refused_path.is_file() and self.refused_path.stat().st_size > ROTATE_BYTES:
                self.refused_path.replace(self.refused_path.with_suffix(".jsonl.1"))
            with self.refused_path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:  # nothing may vanish: then it stands in the log
            log.error("%s cannot be written (%s); set aside: %s", self.refused_path, error.strerror, lines)


def read_statuses(state: Path) -> list[dict[str, Any]]:
    """Return what all webhooks last told of themselves, in the order of their names.

    Parameters
    ----------
    state : Path
        Folder of running services (``storage.state``).
    """
    found = []
    for path in sorted((state / "notify").glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            found.append(content)
    return found


def iso_now() -> str:
    """Return the time as ISO 8601, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(path: Path) -> Counters:
    """Return the numbers of an earlier run; what is missing or broken begins anew."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Counters()
    fresh = Counters()
    known = {
        entry.name: content[entry.name]
        for entry in fields(Counters)
        if isinstance(content, dict) and type(content.get(entry.name)) is type(getattr(fresh, entry.name))
    }
    return Counters(**known | {"doing": "starting", "waiting": 0, "lag": 0})
