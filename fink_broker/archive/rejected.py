"""The rejected packets: why, where, how many, and each of them whole.

They lie in the table ``rejected`` by the day (UTC) on which they came to Kafka. A packet is named by its place there:
topic, partition and offset. What a batch has written that is not committed yet is not there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fink_broker.archive.rejected_files import (
    Arrival,
    Place,
    RejectedEntry,
    RejectedFile,
    RejectedFiles,
    RejectedPacket,
)
from fink_broker.config import Config
from fink_broker.errors import UsageError

__all__ = [
    "LARGEST_PAGE",
    "Arrival",
    "Place",
    "RejectedEntry",
    "RejectedPacket",
    "RejectedPage",
    "RejectedSummary",
    "checked_day",
    "rejected_arrivals",
    "rejected_packet",
    "rejected_packets",
    "rejected_page",
    "rejected_summary",
]

#: Packets a page has at most.
LARGEST_PAGE = 1000
_DAY = re.compile(r"\d{8}", re.ASCII)


@dataclass(frozen=True)
class RejectedSummary:
    """How many packets were rejected.

    Parameters
    ----------
    total : int
        All.
    reasons : mapping of str to int
        By reason, the most frequent first.
    days : mapping of str to mapping of str to int
        By day (``YYYYMMDD``, UTC), the latest first, and by reason.
    """

    total: int
    reasons: Mapping[str, int]
    days: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class RejectedPage:
    """Some of the packets asked for, the newest first, and how many there are in all."""

    entries: tuple[RejectedEntry, ...]
    total: int


def rejected_summary(config: Config) -> RejectedSummary:
    """Return how many packets were rejected, by reason and day.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    reasons: Counter[str] = Counter()
    days: dict[str, Counter[str]] = {}
    for file in RejectedFiles(config.storage.online).newest_first():
        reasons.update(file.reasons)
        days.setdefault(file.day, Counter()).update(file.reasons)
    ordered = {day: dict(counts.most_common()) for day, counts in days.items()}
    return RejectedSummary(reasons.total(), dict(reasons.most_common()), ordered)


def rejected_page(config: Config, reason: str = "", day: str = "", limit: int = 100, offset: int = 0) -> RejectedPage:
    """Return some rejected packets, the newest first.

    Parameters
    ----------
    config : Config
        The configuration in force.
    reason : str
        Only those rejected for exactly this; empty: all.
    day : str
        Only those of this day, ``YYYYMMDD`` or ``YYYY-MM-DD``; empty: all.
    limit : int
        At most so many, up to `LARGEST_PAGE`.
    offset : int
        How many of the newest are passed over.

    Raises
    ------
    UsageError
        If the day is none.
    DataError
        If a file is damaged.
    """
    files = RejectedFiles(config.storage.online)
    limit, skip = min(max(limit, 0), LARGEST_PAGE), max(offset, 0)
    entries: list[RejectedEntry] = []
    total = 0
    for file in files.newest_first(checked_day(day)):
        number = file.reasons.get(reason, 0) if reason else file.rows
        total += number
        if skip >= number:
            skip -= number
        elif len(entries) < limit:
            entries += files.newest(file, reason, skip, limit - len(entries))
            skip = 0
    return RejectedPage(tuple(entries), total)


def rejected_packet(config: Config, topic: str, partition: int, offset: int) -> RejectedPacket:
    """Return a rejected packet by its place in Kafka; of a topic that was made anew, the latest.

    Raises
    ------
    UsageError
        If no such packet was rejected.
    DataError
        If a file is damaged.
    """
    files, place = RejectedFiles(config.storage.online), Place(topic, partition, offset)
    for file in files.newest_first():
        if file.may_hold(place) and any(place == arrival[:3] for arrival in files.arrivals(file)):
            found = [packet for packet in files.packets(file) if packet.entry.place == place]
            if found:
                return found[-1]
    raise UsageError(
        f"No packet of topic {topic[:100]}, partition {partition}, offset {offset} is among the rejected ones.",
        "`fink reject list` shows which are.",
    )


def rejected_packets(config: Config, reason: str = "", day: str = "") -> Iterator[RejectedPacket]:
    """Give all rejected packets of a reason and a day (empty: any), the oldest files first; few are held at a time.

    Raises
    ------
    UsageError
        If the day is none.
    DataError
        If a file is damaged.
    """
    files = RejectedFiles(config.storage.online)
    for file in _oldest_first(files, reason, day):
        for packet in files.packets(file):
            if not reason or packet.entry.reason == reason:
                yield packet


def rejected_arrivals(config: Config, reason: str = "", day: str = "") -> Iterator[Arrival]:
    """Give places and times of what `rejected_packets` gives, without reading the packets.

    Raises
    ------
    UsageError
        If the day is none.
    DataError
        If a file is damaged.
    """
    files = RejectedFiles(config.storage.online)
    for file in _oldest_first(files, reason, day):
        yield from files.arrivals(file, reason)


def _oldest_first(files: RejectedFiles, reason: str, day: str) -> Iterator[RejectedFile]:
    """Give the files that hold packets of a reason and a day (empty: any)."""
    for file in reversed(files.newest_first(checked_day(day))):
        if not reason or reason in file.reasons:
            yield file


def checked_day(day: str) -> str:
    """Return a day as ``YYYYMMDD``, empty if it is.

    Raises
    ------
    UsageError
        If it is no day.
    """
    if not day:
        return ""
    plain = day.replace("-", "")
    try:
        if not _DAY.fullmatch(plain):
            raise ValueError
        datetime.strptime(plain, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"'{day[:40]}' is no day.", "Write it as YYYY-MM-DD.") from None
    return plain
