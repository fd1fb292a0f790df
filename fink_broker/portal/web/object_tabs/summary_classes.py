"""The classes of the alerts of an object, in time order: a bar with one segment for alerts of the same class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from fink_broker.portal.web import photometry
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.results.values import class_of, date_of
from fink_broker.portal.web.theme import class_hex

#: Alerts are told apart where there are no more of them.
_MOST_APART = 100
#: Segments of a bar: more would be too narrow to be seen.
MOST_SEGMENTS = 200


@dataclass(frozen=True)
class Run:
    """Alerts one after the other that have the same class, or nearly all have it.

    Parameters
    ----------
    label : str
        The class.
    number : int
        How many alerts.
    first, last : float
        Times of the first and the last one, julian date (days).
    """

    label: str
    number: int
    first: float
    last: float


def runs(data: ObjectData) -> list[Run]:
    """Return the classes of the alerts of an object in time order."""
    labels = [class_of({"v:classification": label}) for label in data.alerts["v:classification"]]
    timed = zip(labels, photometry.column(data.alerts, "i:jd"), strict=True)
    found = []
    for label, members in groupby(timed, key=lambda pair: pair[0]):
        times = [time for _, time in members]
        found.append(Run(label, len(times), times[0], times[-1]))
    return found


def segments(found: Sequence[Run]) -> list[Run]:
    """Return at most `MOST_SEGMENTS` runs: where there are more, neighbours become one of the commonest class."""
    at_once = -(-len(found) // MOST_SEGMENTS)
    return [_joined(found[place : place + at_once]) for place in range(0, len(found), at_once)]


def _joined(neighbours: Sequence[Run]) -> Run:
    shares = Counter[str]()
    for run in neighbours:
        shares[run.label] += run.number
    ((label, _),) = shares.most_common(1)
    return Run(label, shares.total(), neighbours[0].first, neighbours[-1].last)


def class_bar(data: ObjectData) -> Component:
    """Return the bar and its legend."""
    found = runs(data)
    total = len(data.alerts)
    shares = Counter[str]()
    for run in found:
        shares[run.label] += run.number
    said = ", ".join(f"{label} {_percent(number, total)}" for label, number in shares.most_common())
    shown = segments(found)
    bar = [_segment(run, total, is_mixed=len(shown) < len(found)) for run in shown]
    legend = [
        html.Li([html.Span(className="object-swatch", style={"background": class_hex(label)}),
                 html.Span(label), html.Span(_percent(number, total), className="object-share")])
        for label, number in shares.most_common()
    ]  # fmt: skip
    name = f"Classes of {total} alert{'s' if total > 1 else ''} in time order: {said}."
    return dmc.Paper(
        [
            html.Div(bar, className="object-classes", role="img", **{"aria-label": name}),
            html.Ul(legend, className="object-legend"),
        ],
        p="md",
        withBorder=True,
    )  # fmt: skip


def _segment(run: Run, total: int, *, is_mixed: bool) -> Component:
    when = date_of(run.first)[:10] + (f" to {date_of(run.last)[:10]}" if run.number > 1 else "")
    style = {"flexGrow": run.number, "backgroundColor": class_hex(run.label)}
    if total <= _MOST_APART:
        style["backgroundSize"] = f"{100 / run.number:.4f}% 100%"
    apart = "object-class object-class-apart" if total <= _MOST_APART else "object-class"
    words = f"{'mostly ' if is_mixed else ''}{run.label}: {run.number} alert{'s' if run.number > 1 else ''}, {when}"
    return html.Span(title=words, className=apart, style=style)


def _percent(number: int, total: int) -> str:
    return f"{100 * number / total:.0f}%"
