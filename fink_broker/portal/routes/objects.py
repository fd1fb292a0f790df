"""``objects``: all alerts of objects, by name."""

from __future__ import annotations

from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection
from fink_broker.portal.computed import COMPUTED
from fink_broker.portal.cutout_columns import CUTOUT_KIND, CUTOUTS, cutout_kinds, named_kinds, with_cutouts
from fink_broker.portal.names import OBJECT_IDS, distinct
from fink_broker.portal.object_rows import TAG, ObjectRows
from fink_broker.portal.route import Argument, Query, Route, Rows


def answer(query: Query) -> Rows:
    """Return all alerts of objects, the latest first; with upper limits and images where they are asked for."""
    limit, names = Limit.of(query, None), distinct(query["objectId"])
    selection = Selection.of(query, tuple(COMPUTED), also={TAG, *CUTOUTS}, has_colours=True)
    kinds = cutout_kinds(query) if query["withcutouts"] else named_kinds(selection.names)
    found = ObjectRows.of(query.archive, names, selection, limit.rows)
    if query["withupperlim"]:
        found = found.with_points(query.archive, limit.rows + 1)
    pieces = found.pieces(limit.rows)
    tables = (table for rows, named in pieces for table in with_cutouts(query, rows, named, kinds))
    return Rows(tables, is_cut=len(found) > limit.rows or not found.alerts.is_whole)


ROUTES = (
    Route(
        "objects",
        "Get all alerts of an object by its name",
        answer,
        (
            OBJECT_IDS,
            Argument("withupperlim", "True: also upper limits and measurements of bad quality", "flag", default=False),
            Argument("withcutouts", "True: also the images, as lists of numbers", "flag", default=False),
            CUTOUT_KIND,
            COLUMNS,
        ),
    ),
)
