"""What a merged night tells more than its files did: tracklets of science alerts, and the batch of each verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.science import tracklets

TRACKLET = "tracklet"
#: Column of the merged topics table: id of the commit an alert was judged in.
BATCH = "batch"
_TEXTS = ("ssnamenr", "isdiffpos")


class Addition(Protocol):
    """A column that is added to the alerts of a night while they are merged."""

    #: Columns that are looked at before.
    reads: tuple[str, ...]
    name: str

    def look(self, rows: pa.Table) -> None:
        """Look at some alerts of the night; called for all of them before the first is merged."""

    def add(self, rows: pa.Table, batch: str) -> pa.Table:
        """Return alerts with the column; ``batch`` is the commit they came with, empty if they are merged already."""

    def told(self) -> dict[str, int]:
        """Return what is kept in the list of files of the night."""

    def changed(self) -> frozenset[int]:
        """Return candids of the alerts for which the column says something else than it did."""


class TrackletNames:
    """The tracklet each science alert belongs to, empty for none: known once all alerts of the night are there."""

    name = TRACKLET

    def __init__(self) -> None:
        self.reads: tuple[str, ...] = (
            "candid",
            *(f"candidate.{name}" for name in tracklets.COLUMNS if name != "candid"),
            TRACKLET,
        )
        self._before: dict[int, str] = {}
        self._candidates: list[pa.Table] = []
        self._names: dict[int, str] | None = None

    @property
    def names(self) -> dict[int, str]:
        """The name by candid, of the alerts that belong to one."""
        if self._names is None:
            self._names = _names(self._candidates)
            self._candidates = []
        return self._names

    def look(self, rows: pa.Table) -> None:
        """Keep what may belong to a tracklet, and what was said of it before."""
        if TRACKLET in rows.column_names:
            said = rows.filter(pc.fill_null(pc.not_equal(rows[TRACKLET], ""), False)).select(["candid", TRACKLET])
            self._before |= dict(zip(said["candid"].to_pylist(), said[TRACKLET].to_pylist(), strict=True))
        flat = flattened(rows)
        if flat is not None:
            kept = flat.filter(pa.array(tracklets.is_candidate(flat)))
            if len(kept):
                self._candidates.append(kept)

    def add(self, rows: pa.Table, batch: str) -> pa.Table:
        """Return alerts with the column."""
        names = self.names if len(rows) else {}  # not all alerts may have been looked at when only the type is asked
        candids = pc.fill_null(rows["candid"], 0).to_pylist() if names else [0] * len(rows)
        return with_column(rows, TRACKLET, pa.array([names.get(one, "") for one in candids], pa.string()))

    def told(self) -> dict[str, int]:
        """Return how many tracklets there are."""
        return {"tracklets": len(set(self.names.values()))}

    def changed(self) -> frozenset[int]:
        """Return candids of the alerts that belong to another tracklet than they did."""
        every = self.names.keys() | self._before.keys()
        return frozenset(candid for candid in every if self.names.get(candid, "") != self._before.get(candid, ""))


class BatchNames:
    """The commit each row of the topics table came with, where it also says which versions of the filters judged."""

    name = BATCH
    reads: tuple[str, ...] = ()

    def look(self, rows: pa.Table) -> None:
        """Nothing is to be known before."""

    def add(self, rows: pa.Table, batch: str) -> pa.Table:
        """Return rows with the column."""
        return with_column(rows, BATCH, pa.repeat(pa.scalar(batch), len(rows))) if batch else rows

    def told(self) -> dict[str, int]:
        """Nothing is kept."""
        return {}

    def changed(self) -> frozenset[int]:
        """Nothing is: the batch of a row stays."""
        return frozenset()


def additions_of(name: str) -> tuple[Addition, ...]:
    """Return what is added to a table (``raw``, ``science``, ``topics``) while it is merged."""
    if name == "science":
        return (TrackletNames(),)
    return (BatchNames(),) if name == "topics" else ()


def with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """Return rows with a column in the place of the one of that name, or as the last."""
    place = rows.schema.get_field_index(name)
    return rows.append_column(name, values) if place < 0 else rows.set_column(place, name, values)


def flattened(rows: pa.Table) -> pa.Table | None:
    """Return what tracklets are found from, fields of ``candidate`` side by side; None where one is missing."""
    candidate = rows["candidate"].combine_chunks() if "candidate" in rows.column_names else None
    names = [name for name in tracklets.COLUMNS if name != "candid"]
    if candidate is None or any(candidate.type.get_field_index(name) < 0 for name in names):
        return None
    kinds = {name: pa.string() if name in _TEXTS else pa.float64() for name in names}
    fields = {name: pc.cast(pc.struct_field(candidate, name), kind) for name, kind in kinds.items()}
    return pa.table({"candid": pc.cast(rows["candid"], pa.int64()), **fields})


def _names(candidates: Iterable[pa.Table]) -> dict[int, str]:
    alerts = list(candidates)
    if not alerts:
        return {}
    together = pa.concat_tables(alerts)
    found = tracklets.find_tracklets(together)
    marked = pc.not_equal(found, "")
    candids = together["candid"].filter(marked).to_numpy().astype(np.int64).tolist()
    return dict(zip(candids, found.filter(marked).to_pylist(), strict=True))
