"""The file of refused alerts: whole messages, one a line, with what SkyPortal said of them."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from zlib import crc32

from .errors import Refusal


class Message(Protocol):
    """A message from Kafka, as `alerts.reader.Received` is."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def key(self) -> bytes | None:
        """Its key: the schema."""

    @property
    def value(self) -> bytes:
        """The alert."""


@dataclass(frozen=True)
class RefusedAlert:
    """A line of the file.

    Parameters
    ----------
    topic, partition, offset : str, int, int
        Where the message was in Kafka.
    object_id, candid : str, int or None
        Of the alert, as far as it could be read; empty and None otherwise.
    refusal : Refusal
        Why it was refused.
    time : str
        When, ISO 8601 in UTC.
    key, value : bytes
        The message.
    """

    topic: str
    partition: int
    offset: int
    object_id: str
    candid: int | None
    refusal: Refusal
    time: str
    key: bytes | None
    value: bytes

    @property
    def identity(self) -> tuple[str, int, int, int]:
        """Place in Kafka, and a checksum: places are given anew when a topic is made again."""
        return (self.topic, self.partition, self.offset, crc32(self.value))


class RefusedFile:
    """The file; several threads and processes may use it at once.

    What was added is on the disk when `add` returns. A line cut short by a crash is left as it is and skipped: its
    alert was not committed, so it comes again.

    Parameters
    ----------
    path : Path
        The file; it and its folder are made when first needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: set[tuple[str, int, int, int]] = set()
        self._seen: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def add(self, message: Message, refusal: Refusal, object_id: str = "", candid: int | None = None) -> bool:
        """Keep an alert.

        Parameters
        ----------
        message : Message
            The message, whole.
        refusal : Refusal
            Why it was refused.
        object_id, candid : str, int or None
            Of the alert, if known.

        Returns
        -------
        bool
            False if it was there already.

        Raises
        ------
        OSError
            If the file cannot be written; the alert must not be committed then.
        """
        alert = RefusedAlert(
            message.topic, message.partition, message.offset, object_id, candid, refusal,
            datetime.now(UTC).isoformat(timespec="seconds"), message.key, message.value,
        )  # fmt: skip
        with self._alone():
            self._look()
            if alert.identity in self._known:
                return False
            with self.path.open("a+b") as file:
                if file.tell() and not _ends_a_line(file.fileno(), file.tell()):
                    file.write(b"\n")
                file.write(_line(alert))
                file.flush()
                os.fsync(file.fileno())
            self._seen = _state(self.path)
            self._known.add(alert.identity)
            return True

    def __iter__(self) -> Iterator[RefusedAlert]:
        """Read the file from its beginning; nothing if there is none. Broken lines are skipped."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            for line in file:
                alert = _alert(line)
                if alert is not None:
                    yield alert

    def remove(self, identities: Collection[tuple[str, int, int, int]]) -> None:
        """Take alerts out that were accepted after all; the others stay, also broken lines.

        Parameters
        ----------
        identities : collection
            Of the alerts (`RefusedAlert.identity`).
        """
        with self._alone():
            if not self.path.exists():
                return
            temporary = self.path.with_name(f"{self.path.name}.tmp")
            with self.path.open("rb") as old, temporary.open("wb") as new:
                for line in old:
                    alert = _alert(line)
                    if alert is None or alert.identity not in identities:
                        new.write(line)
                new.flush()
                os.fsync(new.fileno())
            temporary.replace(self.path)
            self._seen = None

    def _look(self) -> None:
        """Read what is there, unless nothing has changed since."""
        try:
            state = _state(self.path)
        except FileNotFoundError:
            state = None
        if state is None or state != self._seen:
            self._known = {alert.identity for alert in self}
            self._seen = state

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes away: the client adds while a user retries."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_size


def _ends_a_line(file: int, size: int) -> bool:
    return os.pread(file, 1, size - 1) == b"\n"


def _line(alert: RefusedAlert) -> bytes:
    fields = {
        "topic": alert.topic,
        "partition": alert.partition,
        "offset": alert.offset,
        "objectId": alert.object_id,
        "candid": alert.candid,
        "request": alert.refusal.request,
        "status": alert.refusal.status,
        "answer": alert.refusal.answer,
        "time": alert.time,
        "key": None if alert.key is None else base64.b64encode(alert.key).decode("ascii"),
        "value": base64.b64encode(alert.value).decode("ascii"),
    }
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", errors="replace") + b"\n"


def _alert(line: bytes) -> RefusedAlert | None:
    """Return the alert of a line; None if the line is broken."""
    try:
        fields = json.loads(line)
        return RefusedAlert(
            fields["topic"], fields["partition"], fields["offset"], fields["objectId"], fields["candid"],
            Refusal(fields["request"], fields["status"], fields["answer"]), fields["time"],
            None if fields["key"] is None else base64.b64decode(fields["key"]), base64.b64decode(fields["value"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None
