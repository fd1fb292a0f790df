"""``random``: all alerts of some objects drawn at random."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection
from fink_broker.portal.dates import now
from fink_broker.portal.object_rows import ObjectRows
from fink_broker.portal.route import Argument, Query, Route, Rows
from fink_broker.portal.routes.latests import Source, source_of
from fink_broker.portal.scans import Dates

#: 2019-11-02 03:00:00 UTC.
FIRST_JD = 2458789.625
WINDOW_DAYS = 30.0
MOST_OBJECTS = 16
#: Alerts of a window among which objects are drawn.
DRAWN_FROM = 2000
LARGEST_SEED = 2**63 - 1


def drawing_start(seed: int, until: float) -> float:
    """Return where in time objects are drawn from: a random instant in a random window of 30 days.

    Each window has numbers of its own, and the one with the largest is taken, so that a month more of data changes few
    of the answers.

    Parameters
    ----------
    seed : int
        Seed of the drawing.
    until : float
        jd in days (UTC) the data reaches to.
    """
    windows = max(1, int((until - FIRST_JD) // WINDOW_DAYS))
    draws = [np.random.default_rng([seed, window]).random(2) for window in range(windows)]
    window = max(range(windows), key=lambda number: draws[number][0])
    return FIRST_JD + (window + float(draws[window][1])) * WINDOW_DAYS


def drawn_objects(query: Query, source: Source, count: int, seed: int) -> list[str]:
    """Return names of so many different objects, fewer if there are no more.

    Objects are drawn from the alerts that follow a random instant; where too few follow, from those since the first
    day, too.
    """
    start, until = drawing_start(seed, now()), now()
    names = _names(query, source, Dates(start, until), count)
    if len(names) < count:
        earlier = _names(query, source, Dates(FIRST_JD, start), count)
        names = list(dict.fromkeys([*names, *earlier]))
    chosen = np.random.default_rng([seed, count]).permutation(len(names))[:count]
    return [names[number] for number in sorted(chosen)]


def _names(query: Query, source: Source, dates: Dates, count: int) -> list[str]:
    """Return objects of the first alerts in a span: those of 30 days from the first one on, if they are enough."""
    pages = query.archive.in_time(source.suffix, source.label, dates.first, dates.last, newest_first=False)
    names: dict[str, None] = {}
    end: float | None = None
    for name, jd in itertools.islice(_name_and_time(pages), DRAWN_FROM):
        end = jd + WINDOW_DAYS if end is None else end
        if jd > end and len(names) >= count:
            break
        names[name] = None
    return list(names)


def _name_and_time(pages: Iterator[pa.Table]) -> Iterator[tuple[str, float]]:
    for page in pages:
        yield from zip(page["i:objectId"].to_pylist(), page["i:jd"].to_pylist(), strict=True)


def answer(query: Query) -> Rows:
    """Return all alerts of objects drawn at random, without replacement; the same seed draws the same."""
    count = min(int(query["n"]), MOST_OBJECTS)
    seed = secrets.randbelow(LARGEST_SEED) if query["seed"] is None else int(query["seed"]) % LARGEST_SEED
    source = source_of(query["class"], query.generation) if query["class"] else Source("jd")
    limit, selection = Limit.of(query, None), Selection.of(query, has_colours=True)
    names = drawn_objects(query, source, count, seed)
    found = ObjectRows.of(query.archive, names, selection, limit.rows)
    is_cut = len(found) > limit.rows or not found.alerts.is_whole
    return Rows((rows for rows, _ in found.pieces(limit.rows)), is_cut)


ROUTES = (
    Route(
        "random",
        "Draw random objects from the database",
        answer,
        (
            Argument("n", "objects to draw; 16 at most", "integer", required=True, least=1, example=3),
            Argument("class", "class of alerts, as the route `classes` lists them"),
            Argument("seed", "whole number; the same seed draws the same objects", "integer", example=1),
            COLUMNS,
        ),
        generations=("historic",),
    ),
)
