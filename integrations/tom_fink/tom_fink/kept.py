"""Alerts that could not be handled: each kept whole in a file, with the reason, until it is handed on again.

They are below the folder of the setting ``FINK_KEPT_ALERTS_DIR``, by default ``fink_kept_alerts`` in ``BASE_DIR``, in
a folder for each topic.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from .alerts.reader import Received


@dataclass(frozen=True)
class Kept:
    """An alert that is kept.

    Parameters
    ----------
    topic : str
        The topic it came from.
    key : bytes or None
        JSON text of its schema.
    value : bytes
        The message as it came.
    reason : str
        Why it was not handled.
    """

    topic: str
    key: bytes | None
    value: bytes
    reason: str


def folder() -> Path:
    """Return the folder that alerts are kept below."""
    set_folder = getattr(settings, "FINK_KEPT_ALERTS_DIR", None)
    return Path(set_folder or Path(getattr(settings, "BASE_DIR", None) or Path.cwd()) / "fink_kept_alerts")


def keep(received: Received, reason: str) -> Path:
    """Keep a message; the same one again replaces itself.

    Parameters
    ----------
    received : Received
        The message.
    reason : str
        Why it was not handled.

    Returns
    -------
    Path
        The file, which survives a loss of power from now on.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    place = folder() / received.topic
    place.mkdir(parents=True, exist_ok=True)
    # a topic that is made anew begins again with the first offset
    mark = hashlib.sha256(received.value).hexdigest()[:12]
    file = place / f"{received.partition}-{received.offset}-{mark}.json"
    told = {
        "topic": received.topic,
        "partition": received.partition,
        "offset": received.offset,
        "kept": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": reason,
        "key": None if received.key is None else base64.b64encode(received.key).decode(),
        "value": base64.b64encode(received.value).decode(),
    }
    unfinished = file.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8") as stream:
        json.dump(told, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
    for named_in in (place, place.parent, place.parent.parent):  # those may be new, too
        _sync(named_in)
    return file


def kept_files() -> list[Path]:
    """Return the files of alerts that are kept, in the order the alerts came in each partition."""
    return sorted(folder().glob("*/*.json"), key=_order)


def read(file: Path) -> Kept:
    """Return the alert in a file.

    Raises
    ------
    ValueError
        If it is not one of ours.
    OSError
        If it cannot be read, or is not there any more.
    """
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        key = None if told["key"] is None else base64.b64decode(told["key"])
        return Kept(told["topic"], key, base64.b64decode(told["value"]), told["reason"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("This is not a kept alert: move it elsewhere.") from error


def _order(file: Path) -> tuple[str, list[int]]:
    return file.parent.name, [int(part) for part in file.stem.split("-")[:2] if part.isdigit()]


def _sync(place: Path) -> None:
    """Make the name of a new file last."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
