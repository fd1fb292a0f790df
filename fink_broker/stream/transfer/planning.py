"""What a transfer would send, and how much that is: its estimate, and the manifest that freezes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fink_broker import __version__
from fink_broker.alert.wire import encode
from fink_broker.alert.wire_schema import wire_schema_text
from fink_broker.archive import AlertTable, DataFile
from fink_broker.errors import UsageError
from fink_broker.filters.names import near_names
from fink_broker.stream.transfer.archived import Archived
from fink_broker.stream.transfer.manifest import Manifest, Part, arrow_text
from fink_broker.stream.transfer.selected import SelectedAlerts
from fink_broker.stream.transfer.selection import Condition, Selection
from fink_broker.stream.transfer.stopping import Stopped

#: Alerts beyond which a transfer must be wanted expressly.
MAX_ALERTS = 10_000_000
#: Files, and alerts of each, from which the size of a message is estimated.
SAMPLE_FILES, SAMPLE_ALERTS = 5, 40

#: Told how many files of how many have been looked at.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Estimate:
    """How much a transfer is: its alerts, of how many in how many nights, and bytes."""

    alerts: int
    archived: int
    nights: int
    bytes: float

    def __str__(self) -> str:
        share = 100 * self.alerts / max(self.archived, 1)
        nights = "1 night" if self.nights == 1 else f"{self.nights} nights"
        each = self.bytes / max(self.alerts, 1) / 1e3
        return (
            f"{self.alerts:,} of {self.archived:,} alerts ({share:.3g} %) of {nights}, "
            f"about {self.bytes / 1e6:,.1f} MB ({each:.1f} kB an alert)"
        )


def estimate_of(manifest: Manifest) -> Estimate:
    """Return how much a planned transfer is."""
    nights = {part.night for part in manifest.parts}
    archived = sum(part.rows for part in manifest.parts)
    return Estimate(manifest.alerts, archived, len(nights), manifest.alerts * manifest.alert_bytes)


def plan(
    table: AlertTable,
    selection: Selection,
    topic: str,
    stop: threading.Event,
    progress: Progress = lambda _done, _all: None,
) -> Manifest:
    """Look at every alert of the nights, and freeze what a transfer to a topic sends.

    Raises
    ------
    UsageError
        If nothing is selected.
    ConfigError
        If a column is not there, or the condition cannot be evaluated.
    DataError
        If a file cannot be read, or a column has no one type.
    Stopped
        If told to stop.
    """
    condition = Condition(selection)  # bad SQL is refused before anything is read
    archived = Archived(table, selection)
    selected = SelectedAlerts(table, selection, condition, archived.joined)
    avro = wire_schema_text(selected.content.schema)
    parts = []
    for done, file in enumerate(archived.files):
        progress(done, len(archived.files))
        if stop.is_set():
            raise Stopped
        parts.append(Part(file.path, file.partition, file.rows, selected.count(file)))
    if not any(part.sent for part in parts):
        raise UsageError(
            f"None of the {sum(part.rows for part in parts):,} alerts of these nights is selected.",
            _why_none(archived, condition),
        )
    size = _mean_bytes(selected, [file for file, part in zip(archived.files, parts, strict=True) if part.sent])
    joined = arrow_text(archived.joined.schema)
    return Manifest(topic, selection, tuple(parts), joined, avro, size, __version__, round(time.time(), 3))


def check_size(manifest: Manifest, most_alerts: int, free_bytes: float | None) -> None:
    """Check that a transfer is not larger than wanted, or than the disk of our own Kafka.

    Raises
    ------
    UsageError
        If it is.
    """
    estimate = estimate_of(manifest)
    if estimate.alerts > most_alerts:
        raise UsageError(
            f"The transfer has {estimate.alerts:,} alerts, more than {most_alerts:,}.",
            "Take fewer nights or classes, or raise --max-alerts.",
        )
    if free_bytes is not None and estimate.bytes > free_bytes:
        raise UsageError(
            f"The transfer needs up to {estimate.bytes / 1e9:,.1f} GB and Kafka's disk has {free_bytes / 1e9:,.1f} GB "
            "to spare.",
            "Send fewer columns (--output thin, --columns) or alerts, or make room.",
        )


def _mean_bytes(selected: SelectedAlerts, files: list[DataFile]) -> float:
    """Return the mean size in bytes of some of the messages, from files all over the selection."""
    chosen = sorted(set(np.linspace(0, len(files) - 1, SAMPLE_FILES).astype(int)))
    sizes: list[int] = []
    for number in chosen:
        rows = next(selected.rows(files[number]))
        sizes += [len(datum) for datum in encode(selected.content.pack(rows[:SAMPLE_ALERTS], {}))]
    return round(float(np.mean(sizes)), 1)


def _why_none(archived: Archived, condition: Condition) -> str:
    for column, names in condition.values.items():
        known = archived.classes(column)
        for name in sorted(names):
            if name not in known:
                return f"No {column} is '{name}'. " + near_names(name, known, f"values of {column}")
    return "Widen the nights, the classes or the condition."
