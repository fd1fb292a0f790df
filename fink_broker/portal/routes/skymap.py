"""``skymap`` and ``bayestar``: objects in the credible region of a gravitational-wave event."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from fink_broker.archive.hbase.latest import latest_of_each
from fink_broker.filters.places.limited_file import MIB
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection, newest_of
from fink_broker.portal.cones import is_position_column
from fink_broker.portal.credible_pixels import ORDER
from fink_broker.portal.main_rows import completed
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows
from fink_broker.portal.scans import Dates, numbers
from fink_broker.portal.skymaps import LARGEST_BYTES, SkyArea, sky_area

EVENT_TIME = "v:jdstartgw"
DAYS_BEFORE, DAYS_AFTER = 1.0, 6.0
_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{2,40}", re.ASCII)
#: Pixels asked for at once.
_TOGETHER = 4096

_MAP = Argument(
    "bayestar", f"the skymap, a FITS file that may be gzipped, at most {LARGEST_BYTES // MIB} MiB unpacked", "upload",
    aliases=("file",),
)  # fmt: skip
_LEVEL = Argument(
    "credible_level", "share of the probability, 0 to 1", "number", required=True, least=0, most=1, example=0.2
)


def current(query: Query) -> Rows:
    """Return the objects that appeared around the time of an event in its credible region."""
    return _answer(query, float(query["n_day_before"]), float(query["n_day_after"]))


def historic(query: Query) -> Rows:
    """Return the same from one day before to six days after the event."""
    return _answer(query, DAYS_BEFORE, DAYS_AFTER)


def _answer(query: Query, days_before: float, days_after: float) -> Rows:
    limit, selection = Limit.of(query, None), Selection.of(query, also=(EVENT_TIME,))
    area = sky_area(_content(query), float(query["credible_level"]), query.check_time)
    appeared = Dates(area.jd - days_before, area.jd + days_after)
    found, has_more = newest_of((_selected(page, appeared, days_after) for page in _pages(query, area)), limit.rows)
    found = latest_of_each(found) if len(found) else selection.nothing(is_position_column)
    shown = found.append_column(EVENT_TIME, pa.repeat(pa.scalar(area.jd), len(found)))
    if selection.names is None:
        rows = selection.show_stored(shown)
    else:
        rows = selection.show(completed(query.archive, shown, selection.fetched()), added=(EVENT_TIME,))
    return limit.answer(rows, has_more)


def _content(query: Query) -> bytes:
    """Return the map of a request, fetched by the name of its event if it brings none."""
    if query["bayestar"] is not None:
        return bytes(query["bayestar"])
    name = query["event_name"]
    if not name:
        raise RequestError("A value for `bayestar` is required: the skymap as a FITS file, or an `event_name`.\n")
    if not _EVENT.fullmatch(name):
        raise RequestError("`event_name` is the name of an event, as S200219ac.\n")
    content = query.providers.gracedb.skymap(name)
    if content is None:
        raise RequestError(f"GraceDB has no skymap of an event {name}.\n", 404)
    return content


def _pages(query: Query, area: SkyArea) -> Iterator[pa.Table]:
    pixels = area.pixels.tolist()
    for start in range(0, len(pixels), _TOGETHER):
        yield from query.archive.in_pixels(ORDER, pixels[start : start + _TOGETHER])


def _selected(page: pa.Table, appeared: Dates, days_after: float) -> pa.Table:
    """Return the objects that were detected first in the span, and whose light curve is not longer than days_after."""
    first, last = numbers(page, "i:jdstarthist"), numbers(page, "i:jd")
    with np.errstate(invalid="ignore"):
        return page.filter(pa.array(appeared.hold(first) & (last - first <= days_after)))


ROUTES = (
    Route(
        "skymap",
        "Get objects in the credible region of a gravitational-wave event",
        current,
        (
            _MAP,
            Argument("event_name", "name of the event at GraceDB, in place of the file"),
            _LEVEL,
            Argument(
                "n_day_before", "days before the event, at most 7", "number", default=DAYS_BEFORE, least=0, most=7
            ),
            Argument("n_day_after", "days after the event, at most 14", "number", default=DAYS_AFTER, least=0, most=14),
            COLUMNS,
        ),
        generations=("current",),
        cost=10,
    ),
    Route(
        "bayestar",
        "Get objects in the credible region of a gravitational-wave event, from one day before to six days after it",
        historic,
        (_MAP, Argument("event_name", "name of the event at GraceDB, in place of the file"), _LEVEL, COLUMNS),
        generations=("historic",),
        cost=10,
    ),
)
