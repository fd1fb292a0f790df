"""What a batch of the archive adds up to: rows and bytes by table, counts by night, how late alerts were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase.rows import Refused, Rows
from fink_broker.archive.hbase.statistics import Tally, added, by_night
from fink_broker.archive.hbase.writing import Written
from fink_broker.stream.archive_reading import Part
from fink_broker.stream.batch_tally import latencies

#: Refused alerts a commit names; more of one kind tell nothing new.
MOST_NAMED = 100
#: Name of the main table in commits.
MAIN = "main"


@dataclass
class ArchiveTally:
    """Counts of a batch, part by part.

    Parameters
    ----------
    archived : int
        Alerts that are in HBase, of those the batch took in.
    failed : int
        Alerts that cannot be archived, of those.
    removed : int
        Alerts of a night that was removed for its age before it was archived.
    refused : list of Refused
        Which alerts cannot be archived, and why.
    tables : dict
        What was written, by table.
    nights : dict
        Counts by night.
    merged : dict
        Counts of nights that are read as merged, whatever was counted of them before.
    arrived : list of numpy.ndarray
        When alerts came into Kafka (unix seconds).
    """

    archived: int = 0
    failed: int = 0
    removed: int = 0
    refused: list[Refused] = field(default_factory=list)
    tables: dict[str, Written] = field(default_factory=dict)
    nights: dict[str, Tally] = field(default_factory=dict)
    merged: dict[str, Tally] = field(default_factory=dict)
    arrived: list[np.ndarray] = field(default_factory=list)

    def add(self, part: Part, rows: Rows, written: Mapping[str, Written]) -> None:
        """Count a part that was written."""
        self.refused += rows.refused
        for suffix, what in written.items():
            self.tables[suffix] = self.tables.get(suffix, Written()) + what
        found = added(by_night(alerts) for alerts in rows.alerts)
        if part.merged:
            self.merged = added([self.merged, found])
        else:
            self.archived += rows.count
            self.failed += len(rows.refused)
            self.nights = added([self.nights, found])
            self.arrived.append(_arrivals(part.alerts))

    def add_received(self, received: Mapping[str, int]) -> None:
        """Count alerts that came in, by night, whatever became of them."""
        self.nights = added([self.nights, {night: Tally.received(number) for night, number in received.items()}])

    def begin_merged(self, night: str, received: int) -> None:
        """Count a night from its merged files, for which so many alerts came in."""
        self.merged[night] = Tally.received(received)

    def counts(self, taken: int) -> dict[str, int]:
        """Return the counts of the batch, of so many alerts it took in."""
        aside = {"failed": self.failed, "removed": self.removed}
        return {"in": taken, "out": self.archived, **{name: number for name, number in aside.items() if number}}

    def details(self, now: float) -> dict[str, Any]:
        """Return what the commit of the batch tells, at a unix time in seconds."""
        late = now - np.concatenate([np.empty(0), *self.arrived])
        whole = {night: tally.as_whole() for night, tally in self.merged.items()}
        # what a merged night holds comes first: alerts of later batches are added to it
        nights = added([whole, self.nights])
        return {
            "tables": {name or MAIN: _told(what) for name, what in self.tables.items()},
            "nights": {night: tally.to_json() for night, tally in nights.items()},
            **({"refused": [asdict(alert) for alert in self.refused[:MOST_NAMED]]} if self.refused else {}),
            **latencies(late[np.isfinite(late)]),
        }


def _told(what: Written) -> dict[str, Any]:
    return {"rows": what.rows, "bytes": what.bytes, "ms": round(1000 * what.seconds, 3)}


def _arrivals(alerts: pa.Table) -> np.ndarray:
    """Return when alerts came into Kafka (unix seconds), NaN where that is not known."""
    if "origin" not in alerts.column_names:
        return np.full(len(alerts), np.nan)
    times = pc.struct_field(alerts["origin"].combine_chunks(), "timestamp")
    micros = pc.cast(pc.cast(times, pa.timestamp("us", tz="UTC")), pa.int64())
    return np.asarray(pc.cast(micros, pa.float64()).fill_null(float("nan"))) / 1e6
