"""The files of rejected packets: what each holds, and its packets one after the other.

A file lies in the folder of the day (UTC) on which its packets came to Kafka, and never changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.archive.layout import Layout
from fink_broker.archive.reading import readable
from fink_broker.archive.table import STAGING, AlertTable

#: Rows read at a time: a packet is 50 kB.
_ROWS = 64
_PLACE = ["topic", "partition", "offset"]
_DAY_FOLDER = "date="
_BEGINNING = datetime.fromtimestamp(0, UTC)
#: What is known of the files of each table, as long as they are there, by path: size and time of the file, the rest.
_KNOWN: dict[str, dict[str, tuple[tuple[int | None, int | None], RejectedFile]]] = {}


class Place(NamedTuple):
    """Where a message is in Kafka; as a text ``topic/partition/offset``."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Arrival(NamedTuple):
    """A message for ever: its place, and when it came to Kafka; a topic made anew uses the same places again.

    Parameters
    ----------
    topic, partition, offset : str, int, int
        Its place.
    time : int
        Unix time in microseconds.
    """

    topic: str
    partition: int
    offset: int
    time: int


@dataclass(frozen=True)
class RejectedEntry:
    """A rejected packet, without its bytes.

    Parameters
    ----------
    time : datetime
        When it came to Kafka, UTC.
    topic, partition, offset : str, int, int
        Where it is in Kafka, as long as that keeps it.
    reason : str
        Why it is no alert.
    size : int
        Its bytes.
    """

    time: datetime
    topic: str
    partition: int
    offset: int
    reason: str
    size: int

    @property
    def place(self) -> Place:
        """Where it is in Kafka."""
        return Place(self.topic, self.partition, self.offset)

    @property
    def arrival(self) -> Arrival:
        """What tells it from all others."""
        return Arrival(*self.place, _microseconds(self.time))


@dataclass(frozen=True)
class RejectedPacket:
    """A rejected packet, whole; an empty message has no bytes, and None stands for a message without a value."""

    entry: RejectedEntry
    content: bytes | None


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """What is known of a file without its packets.

    Parameters
    ----------
    path : str
        Relative to the table.
    day : str
        Of its packets, ``YYYYMMDD``, UTC.
    rows : int
        How many they are.
    reasons : mapping of str to int
        How many for each reason.
    ranges : tuple of (topic, partition, offset) or None
        The least and the largest of each in the file; None if it does not tell.
    """

    path: str
    day: str
    rows: int
    reasons: Mapping[str, int]
    ranges: tuple[Place, Place] | None

    def may_hold(self, place: Place) -> bool:
        """Tell whether a packet may be in the file."""
        if self.ranges is None:
            return True
        least, most = self.ranges
        return (
            least.topic <= place.topic <= most.topic
            and least.partition <= place.partition <= most.partition
            and least.offset <= place.offset <= most.offset
        )


class RejectedFiles:
    """The files of one data prefix.

    Parameters
    ----------
    online : str
        The data prefix.
    """

    def __init__(self, online: str) -> None:
        layout = Layout(online)
        self._storage = AlertTable(layout.table("rejected")).storage
        self._raw = AlertTable(layout.table("raw")).log

    def newest_first(self, day: str = "") -> list[RejectedFile]:
        """Return the files of committed batches, of one day (``YYYYMMDD``) or all.

        Raises
        ------
        DataError
            If one is damaged.
        """
        open_batches, found = self._open_batches(), list[RejectedFile]()
        known = _KNOWN.setdefault(self._storage.location, {})
        for folder in sorted(self._storage.folders(""), reverse=True):
            if not folder.startswith(_DAY_FOLDER) or (day and folder != _DAY_FOLDER + day):
                continue
            infos = self._storage.find(folder, ".parquet")
            for info in sorted(infos, key=lambda info: (info.mtime_ns, info.path), reverse=True):
                if info.base_name.rpartition("-")[0] in open_batches:
                    continue
                path, stamp = f"{folder}/{info.base_name}", (info.size, info.mtime_ns)
                entry = known.get(path)  # others may look at the same time, and forget what has gone
                if entry is None or entry[0] != stamp:
                    try:
                        entry = known[path] = (stamp, self._look_at(path))
                    except FileNotFoundError:
                        continue  # `fink clean` has removed its day
                found.append(entry[1])
        if not day:
            for path in set(known) - {file.path for file in found}:
                known.pop(path, None)
        return found

    def newest(self, file: RejectedFile, reason: str, skip: int, most: int) -> list[RejectedEntry]:
        """Return entries of a file, the newest first, without those passed over; none if the file has gone.

        Raises
        ------
        DataError
            If it is damaged.
        """
        pieces = []
        try:
            for rows in self._rows(file):
                size = pc.fill_null(pc.binary_length(rows["value"]), 0)
                thin = rows.select([*_PLACE, "timestamp", "reason"]).append_column("size", size)
                pieces.append(thin.filter(pc.equal(thin["reason"], reason)) if reason else thin)
        except FileNotFoundError:
            return []
        order = [("timestamp", "descending"), ("partition", "ascending"), ("offset", "descending")]
        chosen = pa.concat_tables(pieces).sort_by(order).slice(skip, most)
        return [_entry(row, row["size"]) for row in chosen.to_pylist()]

    def arrivals(self, file: RejectedFile, reason: str = "") -> list[Arrival]:
        """Return place and time of the packets of a file, without reading these; none if the file has gone.

        Raises
        ------
        DataError
            If it is damaged.
        """
        try:
            with _readable(file.path), self._storage.open(file.path) as stream:
                rows = pq.read_table(stream, columns=[*_PLACE, "timestamp", "reason"], use_threads=False)
        except FileNotFoundError:
            return []
        chosen = rows.filter(pc.equal(rows["reason"], reason)) if reason else rows
        columns = [chosen[name].to_pylist() for name in (*_PLACE, "timestamp")]
        return [
            Arrival(topic, partition, offset, _microseconds(_moment(time)))
            for topic, partition, offset, time in zip(*columns, strict=True)
        ]

    def packets(self, file: RejectedFile) -> Iterator[RejectedPacket]:
        """Give the packets of a file in its order; none if the file has gone.

        Raises
        ------
        DataError
            If it is damaged.
        """
        try:
            for rows in self._rows(file):
                for row in rows.to_pylist():
                    yield RejectedPacket(_entry(row, len(row["value"] or b"")), row["value"])
        except FileNotFoundError:
            return

    def _rows(self, file: RejectedFile) -> Iterator[pa.Table]:
        with _readable(file.path), self._storage.open(file.path) as stream:
            parquet = pq.ParquetFile(stream, pre_buffer=False)
            for batch in parquet.iter_batches(batch_size=_ROWS, use_threads=False):
                yield pa.Table.from_batches([batch])

    def _look_at(self, path: str) -> RejectedFile:
        """Return what is known of a file: from its footer, if all its packets have one reason."""
        with _readable(path), self._storage.open(path) as stream:
            footer = pq.read_metadata(stream)
            reason = _range(footer, "reason")
            if reason is None or reason[0] != reason[1]:
                rows = pq.read_table(stream, columns=["reason"], use_threads=False)
                reasons = {entry["values"]: entry["counts"] for entry in pc.value_counts(rows["reason"]).to_pylist()}
            else:
                reasons = {reason[0]: footer.num_rows}
        ranges = [found for name in _PLACE if (found := _range(footer, name)) is not None]
        bounds = (
            (Place(*(each[0] for each in ranges)), Place(*(each[1] for each in ranges))) if len(ranges) == 3 else None
        )
        return RejectedFile(path, path.partition("/")[0].removeprefix(_DAY_FOLDER), footer.num_rows, reasons, bounds)

    def _open_batches(self) -> set[str]:
        """Return the batches that have published files and are not committed: begun, or cut short."""
        return {commit_id for commit_id in self._storage.folders(STAGING) if not self._raw.has(commit_id)}


def _readable(path: str) -> AbstractContextManager[None]:
    """Tell of a damaged file in a sentence (see `readable`)."""
    return readable(
        f"The file {path} of the rejected packets", "Put it back from a copy, or remove it: its packets are lost then."
    )


def _range(footer: pq.FileMetaData, column: str) -> tuple[Any, Any] | None:
    """Return the least and the largest value of a column as the footer has them; None if it does not say."""
    number = footer.schema.names.index(column)
    pieces = [footer.row_group(group).column(number).statistics for group in range(footer.num_row_groups)]
    if not pieces or any(each is None or not each.has_min_max or each.null_count != 0 for each in pieces):
        return None
    return min(each.min for each in pieces), max(each.max for each in pieces)


def _moment(time: datetime | None) -> datetime:
    """Return a time of a table as UTC; what has none came at the beginning of time."""
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC) if time else _BEGINNING


def _microseconds(moment: datetime) -> int:
    return (moment - _BEGINNING) // timedelta(microseconds=1)


def _entry(row: Mapping[str, Any], size: int) -> RejectedEntry:
    moment = _moment(row["timestamp"])
    return RejectedEntry(moment, row["topic"], row["partition"], row["offset"], row["reason"], size)
