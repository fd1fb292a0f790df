"""A transfer as it was agreed on: frozen at its first run, so that every later run sends the same messages.

Messages are numbered from 0 in the order of the files and of the rows in them. Message n goes to partition n mod P as
its message n div P: so the length of a partition alone tells which of its messages are there.
"""

from __future__ import annotations

import base64
import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fink_broker.archive.storage import Storage
from fink_broker.errors import DataError, UsageError
from fink_broker.stream.transfer.selection import Selection

FOLDER = "transfers"
PREFIX = "ftransfer_"
SCHEMA_SUFFIX = "_schema"
#: what clients take for granted of a transfer (``-number_partitions``)
PARTITIONS = 10
_NAME = re.compile(PREFIX + r"[A-Za-z0-9._-]+")
_LONGEST_NAME = 249 - len(SCHEMA_SUFFIX)


@dataclass(frozen=True)
class Part:
    """One file of the archive: path in its table, observing night, rows, and how many of them are sent."""

    path: str
    night: str
    rows: int
    sent: int


@dataclass(frozen=True)
class Manifest:
    """All that decides what a transfer sends.

    Parameters
    ----------
    topic : str
        Name of the topic.
    selection : Selection
        What was asked for.
    parts : tuple of Part
        Files of the nights, in order.
    archive : str
        Schema to which all files of the nights can be brought, as Arrow writes it, in base 64.
    avro : str
        JSON text of the Avro schema of what is sent: the key of the messages on the schema topic.
    alert_bytes : float
        Mean size of a message as estimated.
    version : str
        Of the broker.
    created : float
        Unix time in seconds.
    finished : float
        When all was sent; 0: it is not.
    partitions : int
        Partitions of the topic.
    """

    topic: str
    selection: Selection
    parts: tuple[Part, ...]
    archive: str
    avro: str
    alert_bytes: float
    version: str
    created: float
    finished: float = 0.0
    partitions: int = PARTITIONS

    @property
    def alerts(self) -> int:
        """Alerts the transfer sends."""
        return sum(part.sent for part in self.parts)

    @property
    def archived_schema(self) -> pa.Schema:
        """Columns of the archive."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.archive)))

    @property
    def schema_topic(self) -> str:
        """Name of the topic that carries the schema."""
        return self.topic + SCHEMA_SUFFIX

    def messages_of(self, partition: int) -> int:
        """Return how many messages a partition holds in the end."""
        return len(range(partition, self.alerts, self.partitions))

    def complete(self, now: float) -> Manifest:
        """Return it as finished at a time (unix seconds)."""
        return replace(self, finished=now)

    def to_json(self) -> bytes:
        """Return it as JSON."""
        content = asdict(self)
        content["parts"] = [[part.path, part.night, part.rows, part.sent] for part in self.parts]
        return json.dumps(content, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes, name: str = "") -> Manifest:
        """Read it back; a name says in errors whose it is.

        Raises
        ------
        DataError
            If the text is none.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            content["parts"] = tuple(Part(*entry) for entry in content["parts"])
            content["selection"] = Selection.from_dict(content["selection"])
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"The manifest of the transfer to {name} cannot be read: {type(error).__name__} {error}.",
                f"Put the file {FOLDER}/{name}.json back, or remove the transfer (`fink transfer --remove {name}`).",
            ) from error


def arrow_text(schema: pa.Schema) -> str:
    """Return a schema as the manifest keeps it."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def check_name(topic: str) -> None:
    """Check that clients take a name for that of a transfer.

    Raises
    ------
    UsageError
        If they do not.
    """
    if not _NAME.fullmatch(topic) or len(topic) > _LONGEST_NAME or topic.endswith(SCHEMA_SUFFIX):
        raise UsageError(
            f"'{topic[:80]}' is no name for the topic of a transfer.",
            f"Begin it with {PREFIX}, go on with letters, digits, '.', '_' and '-', at most {_LONGEST_NAME} in all, "
            f"and do not end it with {SCHEMA_SUFFIX}.",
        )


class ManifestStore:
    """The manifests of a broker, one file a transfer.

    Parameters
    ----------
    online : str
        Data prefix (``storage.online``).
    state : Path
        Local folder for locks (``storage.state``).
    """

    def __init__(self, online: str, state: Path) -> None:
        self._storage = Storage(online)
        self._locks = state / FOLDER

    def read(self, topic: str) -> Manifest | None:
        """Return the manifest of a topic, None if there is none.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        return self._read(topic) if self.exists(topic) else None

    def exists(self, topic: str) -> bool:
        """Tell whether there is a manifest of a topic."""
        return self._storage.exists(_path(topic))

    def find(self, topic: str) -> Manifest:
        """Return the manifest of a topic that must be there.

        Raises
        ------
        UsageError
            If there is none.
        """
        check_name(topic)
        manifest = self.read(topic)
        if manifest is None:
            raise UsageError(f"There is no transfer to the topic {topic}.", "`fink transfer --list` shows all.")
        return manifest

    def write(self, manifest: Manifest) -> None:
        """Keep a manifest, all or nothing."""
        self._storage.make_folder(FOLDER)
        self._storage.write_atomically(_path(manifest.topic), manifest.to_json())

    def remove(self, topic: str) -> None:
        """Forget a transfer."""
        self._storage.remove(_path(topic))

    def read_all(self) -> list[Manifest]:
        """Return all manifests, the oldest first."""
        manifests = [self._read(info.base_name.removesuffix(".json")) for info in self._storage.find(FOLDER, ".json")]
        return sorted(manifests, key=lambda manifest: manifest.created)

    @contextmanager
    def only_one(self, topic: str) -> Iterator[None]:
        """Let no other process of this machine work on a topic while the block lasts.

        Raises
        ------
        UsageError
            If one does.
        """
        self._locks.mkdir(parents=True, exist_ok=True)
        with (self._locks / f"{topic}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"The transfer to {topic} is running.", "Wait for it, or stop it first.") from error
            yield

    def is_running(self, topic: str) -> bool:
        """Tell whether a process of this machine works on a topic."""
        try:
            with self.only_one(topic):
                return False
        except UsageError:
            return True

    def _read(self, topic: str) -> Manifest:
        return Manifest.from_json(self._storage.read(_path(topic)), topic)


def _path(topic: str) -> str:
    return f"{FOLDER}/{topic}.json"
