"""From verdicts to messages: which alert goes to which topic, encoded once for each form in which topics carry it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.alert.wire import encode
from fink_broker.alert.wire_schema import wire_schema_text
from fink_broker.filters.filter import Filter
from fink_broker.filters.verdict import Verdict
from fink_broker.stream.messages import public


@dataclass(frozen=True)
class Routed:
    """One message to be sent: row of the alert, its filter, schema text and datum."""

    row: int
    filter: Filter
    key: bytes
    value: bytes


def route(alerts: pa.Table, verdicts: Sequence[Verdict]) -> Iterator[Routed]:
    """Give the messages of a batch of alerts.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the science table.
    verdicts : sequence of Verdict
        What the filters said of them.
    """
    forms: dict[tuple[str, tuple[str, ...]], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.passed.any():
            forms.setdefault((verdict.filter.output, verdict.filter.columns), []).append(verdict)
    for takers in forms.values():
        rows = np.flatnonzero(np.logical_or.reduce([verdict.passed for verdict in takers]))
        entry = takers[0].filter
        chosen = public(alerts.take(pa.array(rows)), entry.output, entry.columns)
        key = wire_schema_text(chosen.schema).encode()
        for row, value in zip(rows.tolist(), encode(chosen), strict=True):
            for verdict in takers:
                if verdict.passed[row]:
                    yield Routed(row, verdict.filter, key, value)


def verdict_table(alerts: pa.Table, verdicts: Sequence[Verdict], sent: Mapping[int, list[str]]) -> pa.Table:
    """Return what was said of each alert: candid, objectId, and the names of filters.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the science table.
    verdicts : sequence of Verdict
        What the filters said of them.
    sent : mapping
        For rows whose messages were in Kafka already: the filters that had let them pass.

    Returns
    -------
    pyarrow.Table
        Lists of text in the order of the verdicts: ``judged`` (filters that looked at the alert), ``topics`` (those
        that it passed) and ``failed`` (those that could not judge it).
    """
    length = len(alerts)
    topics = _names_by_alert(verdicts, [verdict.passed for verdict in verdicts], length)
    if sent:
        rows = topics.to_pylist()
        for row, names in sent.items():
            rows[row] += [name for name in names if name not in rows[row]]
        topics = pa.array(rows, topics.type)
    return pa.table(
        {
            "candid": alerts["candid"],
            "objectId": alerts["objectId"],
            "judged": _names_by_alert(verdicts, [np.ones(length, dtype=bool)] * len(verdicts), length),
            "topics": topics,
            "failed": _names_by_alert(verdicts, [verdict.failed for verdict in verdicts], length),
        }
    )


def _names_by_alert(verdicts: Sequence[Verdict], marks: Sequence[Mask], length: int) -> pa.Array:
    """Return for each alert the names of the filters that are marked on it."""
    marked = np.array(marks, dtype=bool).reshape(len(verdicts), length)
    offsets = np.concatenate([[0], np.cumsum(marked.sum(axis=0))]).astype(np.int32)
    names = pa.array([verdict.filter.name for verdict in verdicts], pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(np.nonzero(marked.T)[1])))
