"""The CSV files below ``/data``: made when they are asked for, kept on no disk."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from fink_broker.monitor.board.history import STAGES, History, timestamp
from fink_broker.monitor.board.night_sky import NightSky

RATES = ("timestamp", "inputRowsPerSecond", "processedRowsPerSecond")


def live_csv(rates: Iterable[tuple[float, float, float]]) -> str:
    """Return the rates of the latest batches of raw, or of checkstream's samples (`Board.live_rates`).

    ``inputRowsPerSecond`` is what came in since the batch before began, ``processedRowsPerSecond`` what was done while
    the batch ran, as Spark defines them.
    """
    return _text(RATES, ((timestamp(start), f"{rate:.3f}", f"{done:.3f}") for start, rate, done in rates))


def history_csv(history: History, now: float) -> str:
    """Return the rates of raw by minute for three days, by hour before."""
    rows = (
        (
            timestamp(begin),
            f"{span.alerts['raw'] / seconds:.3f}",
            f"{span.alerts['raw'] / span.busy if span.busy else 0.0:.3f}",
        )
        for begin, span, seconds in history.rows(now)
    )
    return _text(RATES, rows)


def stages_csv(history: History, now: float) -> str:
    """Return alerts a second that each stage took in, by minute for three days, by hour before."""
    rows = (
        (timestamp(begin), *(f"{span.alerts[stage] / seconds:.3f}" for stage in STAGES))
        for begin, span, seconds in history.rows(now)
    )
    return _text(("timestamp", *STAGES), rows)


def nights_csv(history: History) -> str:
    """Return alerts by observing night: kept, classified, seen by all filters, in HBase."""
    rows = ((view.night, view.raw, view.science, view.filtered, view.archived) for view in history.nights())
    return _text(("night", "raw", "science", "filtered", "archived"), rows)


def types_csv(sky: NightSky) -> str:
    """Return alerts of a night by SIMBAD type, the most frequent first."""
    ordered = sorted(sky.types.items(), key=lambda entry: (-entry[1], entry[0]))
    return _text(("type", "count"), ordered)


def _text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
