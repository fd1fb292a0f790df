"""From verdicts to messages: which alert goes to which topic, encoded once for each form in which topics carry it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

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


def names_by_alert(verdicts: Sequence[Verdict], length: int, kind: str) -> pa.Array:
    """Return for each alert the names of the filters that it ``passed``, or that ``failed`` on it.

    Returns
    -------
    pyarrow.Array
        Lists of text, shape (length,), in the order of the verdicts.
    """
    marks = np.array([getattr(verdict, kind) for verdict in verdicts], dtype=bool).reshape(len(verdicts), length)
    offsets = np.concatenate([[0], np.cumsum(marks.sum(axis=0))]).astype(np.int32)
    which = np.nonzero(marks.T)[1]
    names = pa.array([verdict.filter.name for verdict in verdicts], pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(which)))
