"""What a reprocessing changes: alerts gained and lost, values that differ, versions, topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.science.crossmatch.tables import FAIL
from fink_broker.science.outcome import FAILED, MADE_WITH

#: Columns that differ at each run and say nothing of the alert, and what is compared by itself.
PASSED_OVER = frozenset((
    "candid", "objectId", "tracklet", "brokerIngestTimestamp", "brokerStartProcessTimestamp",
    "brokerEndProcessTimestamp", MADE_WITH,
))  # fmt: skip

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass
class Difference:
    """How a column differs: in how many alerts, by how much at most (numbers), and an example."""

    alerts: int = 0
    largest: float = 0.0
    example: str = ""


@dataclass
class Changes:
    """What differs between a night as it was and as it is made anew; filled pile by pile.

    Attributes
    ----------
    before, now : int
        Science alerts.
    gained, lost : int
        Alerts that pass the cuts now and did not, and the other way round.
    columns : dict of str to Difference
        Of the alerts that are in both.
    versions : dict of str to set of tuple
        By module: version and digests as they were, and as they are; empty where there is none.
    topics : dict of str to list of int
        By topic: alerts it gains and loses, against what was recorded when they were filtered.
    unfiltered, without_alert : list of int
        Candids of alerts that the topics table does not know, and of rows of it whose alerts are gone.
    failures : dict of str to list of int
        By module that failed, and by column of labels that say nobody could be asked: of the alerts that are in both,
        in how many it did then, and in how many now.
    """

    before: int = 0
    now: int = 0
    gained: int = 0
    lost: int = 0
    columns: dict[str, Difference] = field(default_factory=dict)
    versions: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    topics: dict[str, list[int]] = field(default_factory=dict)
    unfiltered: list[int] = field(default_factory=list)
    without_alert: list[int] = field(default_factory=list)
    failures: dict[str, list[int]] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether the night in the science table would be another one."""
        return bool(self.gained or self.lost or self.columns or self.versions)

    @property
    def worse(self) -> dict[str, tuple[int, int]]:
        """What fails in more alerts than it did, of those that are in both: in how many then and now."""
        return {name: (then, now) for name, (then, now) in sorted(self.failures.items()) if now > then}

    def compare(self, old: Sequence[pa.Table], new: Sequence[pa.Table]) -> None:
        """Hold the same part of a night, as it was and as it is, against each other.

        Parameters
        ----------
        old, new : sequence of pyarrow.Table
            Science columns of alerts, with ``candid``, in any order; a table for each schema that goes with no other.
        """
        self.before += sum(map(len, old))
        self.now += sum(map(len, new))
        self.lost += sum(map(len, old))
        self.gained += sum(map(len, new))
        for one in old:
            for other in new:
                here, there = _match(_candids(one), _candids(other))
                if len(here):
                    self.lost -= len(here)
                    self.gained -= len(there)
                    self._compare_alerts(one.take(pa.array(here)), other.take(pa.array(there)))

    def _compare_alerts(self, old: pa.Table, new: pa.Table) -> None:
        """Compare values of the same alerts, in the same order."""
        self._compare_versions(old, new)
        for place, rows in enumerate((old, new)):
            for name, number in failures(rows).items():
                self.failures.setdefault(name, [0, 0])[place] += number
        for name in dict.fromkeys([*new.column_names, *old.column_names]):
            if name not in PASSED_OVER:
                self._compare_column(name, old, new)

    def compare_topics(self, told: pa.Table, candids: Ints, passed: Mapping[str, Mask]) -> None:
        """Hold what filters say now against what they said then, of the same part of a night.

        Parameters
        ----------
        told : pyarrow.Table
            Rows of the topics table: ``candid`` and ``topics``.
        candids : numpy.ndarray
            The alerts, shape (n,).
        passed : mapping of str to numpy.ndarray
            By topic, which of them it takes, shape (n,).
        """
        then = _candids(told)
        here, there = _match(then, candids)
        self.unfiltered += np.delete(candids, there).tolist()
        self.without_alert += np.delete(then, here).tolist()
        names, owners = np.empty(0, object), then[:0]
        if len(told):
            lists = _column(told, "topics")
            names = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
            owners = then[pc.list_parent_indices(lists).to_numpy()]
        for name, mask in passed.items():
            took, takes = np.unique(owners[names == name]), np.unique(candids[mask])
            counted = self.topics.setdefault(name, [0, 0])
            counted[0] += len(np.setdiff1d(takes, took, assume_unique=True))
            counted[1] += len(np.setdiff1d(took, takes, assume_unique=True))

    def _compare_versions(self, old: pa.Table, new: pa.Table) -> None:
        if MADE_WITH not in old.column_names or MADE_WITH not in new.column_names:
            return
        for before, now in set(zip(_maps(old[MADE_WITH]), _maps(new[MADE_WITH]), strict=True)):
            then, today = dict(before), dict(now)
            for name in dict.fromkeys([*then, *today]):
                if then.get(name) != today.get(name):
                    self.versions.setdefault(name, set()).add((then.get(name, ""), today.get(name, "")))

    def _compare_column(self, name: str, old: pa.Table, new: pa.Table) -> None:
        one, other = _column(old, name), _column(new, name)
        differ = differing(one, other)
        if not differ.any():
            return
        found = self.columns.setdefault(name, Difference())
        found.alerts += int(differ.sum())
        first = int(np.argmax(differ))
        if _is_number(one.type) and _is_number(other.type):
            apart = np.abs(_numbers(one) - _numbers(other))
            apart[~np.isfinite(apart)] = 0.0
            largest = int(np.argmax(apart))
            if apart[largest] > found.largest:
                found.largest, found.example = float(apart[largest]), ""
                first = largest
        if not found.example:
            candid = new["candid"][first].as_py()
            found.example = f"{candid}: {_shown(one[first].as_py())} → {_shown(other[first].as_py())}"


def failures(rows: pa.Table) -> dict[str, int]:
    """Return in how many alerts each module failed, and in how many a column of labels says nobody could be asked."""
    found: Counter[str] = Counter()
    if FAILED in rows.column_names:
        named = pc.value_counts(pc.list_flatten(_column(rows, FAILED)))
        found.update({str(entry["values"]): entry["counts"] for entry in named.to_pylist()})
    for name in rows.column_names:
        if pa.types.is_string(rows.schema.field(name).type):
            failed = pc.match_substring_regex(rows[name], f"^{FAIL}( |$)")
            found[name] += pc.sum(failed.fill_null(False)).as_py() or 0
    return dict(found)


def differing(one: pa.Array, other: pa.Array) -> Mask:
    """Return where two columns differ; nulls equal each other, and so do NaN."""
    if _is_number(one.type) and _is_number(other.type):
        left, right = _numbers(one), _numbers(other)
        same_null = one.is_null().to_numpy(False) == other.is_null().to_numpy(False)
        if pa.types.is_integer(one.type) and pa.types.is_integer(other.type):
            equal = pc.fill_null(pc.equal(one, other), True).to_numpy(False)
        else:
            equal = (left == right) | (np.isnan(left) & np.isnan(right))
        return np.asarray(~(equal & same_null))
    if one.type == other.type and not pa.types.is_nested(one.type):
        equal = pc.fill_null(pc.equal(one, other), False).to_numpy(False)
        both_null = one.is_null().to_numpy(False) & other.is_null().to_numpy(False)
        return np.asarray(~(equal | both_null))
    if pa.types.is_struct(one.type) and one.type == other.type:
        found = one.is_null().to_numpy(False) != other.is_null().to_numpy(False)
        for number in range(one.type.num_fields):
            found = found | differing(pc.struct_field(one, [number]), pc.struct_field(other, [number]))
        return np.asarray(found)
    pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
    return np.array([repr(left) != repr(right) for left, right in pairs], dtype=bool)


def _match(one: Ints, other: Ints) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the rows at which both have the same candid, each candid once."""
    _, here, there = np.intersect1d(one, other, return_indices=True)
    return here, there


def _candids(rows: pa.Table) -> Ints:
    if "candid" not in rows.column_names:
        return np.empty(0, np.int64)
    return np.asarray(pc.fill_null(rows["candid"], 0).to_numpy().astype(np.int64))


def _column(rows: pa.Table, name: str) -> pa.Array:
    if name not in rows.column_names:
        return pa.nulls(len(rows))
    column = rows[name].combine_chunks()
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def _maps(column: pa.ChunkedArray) -> Iterable[tuple[tuple[str, str], ...]]:
    return (tuple(entry or ()) for entry in column.to_pylist())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numbers(array: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _shown(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
