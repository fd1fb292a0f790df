"""Counts of what was seen in a stream, and the lines that tell of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

#: More schemas than this in one stream are counted together as "unknown".
MOST_SCHEMAS = 50


@dataclass
class Tally:
    """What was seen since the start.

    Parameters
    ----------
    messages, size : int
        Number of messages and their bytes (keys included).
    formats : Counter
        Messages by format.
    schemas : Counter
        Messages by what tells their schema.
    versions : dict
        ``schemavsn`` by what tells the schema, once one alert of it was decoded.
    samples, failures : int
        Messages that were decoded or tried, and those that could not be.
    """

    messages: int = 0
    size: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    schemas: Counter[bytes] = field(default_factory=Counter)
    versions: dict[bytes, str] = field(default_factory=dict)
    samples: int = 0
    failures: int = 0
    last_failure: str = ""

    def add(self, form: str, schema: bytes, size: int) -> bool:
        """Count one message; return whether its schema is new and will be told from others."""
        self.messages += 1
        self.size += size
        self.formats[form] += 1
        if not schema:
            return False
        new = schema not in self.schemas and len(self.schemas) < MOST_SCHEMAS
        self.schemas[schema if new or schema in self.schemas else b""] += 1
        return new

    def by_version(self) -> Counter[str]:
        """Return messages by schema version."""
        found: Counter[str] = Counter()
        for schema, number in self.schemas.items():
            found[self.versions.get(schema, "unknown")] += number
        return found


class Report:
    """What was seen, told every few seconds with the rates since the last time.

    Parameters
    ----------
    tally : Tally
        What was seen.

    Attributes
    ----------
    arriving, read : float
        Messages a second that came into the topics, and that were read, before the last report.
    behind : int
        Messages not read yet at the last report.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.arriving = self.read = 0.0
        self.behind = 0
        self._messages = self._size = 0
        self._ends: dict[tuple[str, int], int] = {}

    def lines(
        self,
        seconds: float,
        ends: Mapping[tuple[str, int], int],
        lags: Mapping[str, Mapping[int, int]],
    ) -> list[str]:
        """Return the report.

        Parameters
        ----------
        seconds : float
            Time since the last report.
        ends : mapping
            (topic, partition) to the number after its last message.
        lags : mapping
            Topic to partition to messages not read yet.
        """
        seen = self._tally
        # a partition that was not there last time counts from now on
        arrived = sum(end - self._ends.get(place, end) for place, end in ends.items())
        read, size = seen.messages - self._messages, seen.size - self._size
        self._messages, self._size, self._ends = seen.messages, seen.size, dict(ends)
        self.arriving, self.read = max(0, arrived) / seconds, read / seconds
        self.behind = sum(sum(partitions.values()) for partitions in lags.values())
        lines = [
            f"arriving {self.arriving:,.1f} messages/s, read {self.read:,.1f} messages/s, "
            f"{size / seconds / 1e6:,.2f} MB/s, total {seen.messages:,}, behind by {self.behind:,}",
            f"  schema versions: {_named(seen.by_version())}; formats: {_named(seen.formats)}",
            f"  behind by partition: {_by_partition(lags)}",
        ]
        if seen.failures:
            lines.append(
                f"  {seen.failures} of {seen.samples} sampled messages could not be decoded, "
                f"the last: {seen.last_failure}"
            )
        return lines


def _named(numbers: Counter[str]) -> str:
    ordered = sorted(numbers.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ordered) or "none yet"


def _by_partition(lags: Mapping[str, Mapping[int, int]]) -> str:
    parts = [
        f"{topic} [{' '.join(f'{number}:{lag}' for number, lag in sorted(partitions.items()))}]"
        for topic, partitions in sorted(lags.items())
    ]
    return "; ".join(parts) or "not known yet"
