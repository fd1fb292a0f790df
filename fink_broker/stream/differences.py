"""What a reprocessing changes: alerts gained and lost, values that differ, versions, topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.science.outcome import MADE_WITH

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
    unfiltered, without_alert : int
        Alerts that the topics table does not know, and rows of it whose alerts are gone.
    """

    before: int = 0
    now: int = 0
    gained: int = 0
    lost: int = 0
    columns: dict[str, Difference] = field(default_factory=dict)
    versions: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    topics: dict[str, list[int]] = field(default_factory=dict)
    unfiltered: int = 0
    without_alert: int = 0

    @property
    def any(self) -> bool:
        """Whether the night in the science table would be another one."""
        return bool(self.gained or self.lost or self.columns or self.versions)

    def compare(self, old: pa.Table, new: pa.Table) -> None:
        """Hold the same part of a night, as it was and as it is, against each other.

        Parameters
        ----------
        old, new : pyarrow.Table
            Science columns of alerts, with ``candid``; in any order.
        """
        self.before += len(old)
        self.now += len(new)
        here, there = _match(_candids(old), _candids(new))
        self.lost += len(old) - len(here)
        self.gained += len(new) - len(there)
        if not len(here):
            return
        old, new = old.take(pa.array(here)), new.take(pa.array(there))
        self._compare_versions(old, new)
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
        self.unfiltered += len(candids) - len(there)
        self.without_alert += len(then) - len(here)
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
