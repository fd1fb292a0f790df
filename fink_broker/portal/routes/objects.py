"""``objects``: all alerts of objects, by name."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Mask
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection, newest_first, pieces, united
from fink_broker.portal.computed import COMPUTED
from fink_broker.portal.cutout_columns import CUTOUT_KIND, CUTOUTS, cutout_kinds, with_cutouts
from fink_broker.portal.names import OBJECT_IDS, distinct
from fink_broker.portal.route import Argument, Query, Route, Rows

TAG, VALID, BAD_QUALITY = "d:tag", "valid", "badquality"
#: candid of points that are no alerts.
NO_CANDID = -1
_IDENTITY = ("i:objectId", "i:jd", "i:candid")


def answer(query: Query) -> Rows:
    """Return all alerts of objects, the latest first; with upper limits and images where they are asked for."""
    limit, names = Limit.of(query, None), distinct(query["objectId"])
    kinds = cutout_kinds(query) if query["withcutouts"] else ()
    selection = Selection.of(query, tuple(COMPUTED), also={TAG, *CUTOUTS})
    alerts = query.archive.alerts(names, selection.fetched(*_IDENTITY), limit.rows + 1)
    if not len(alerts):
        return Rows([pa.table({})])
    has_more = len(alerts) > limit.rows
    alerts = newest_first(alerts.slice(0, limit.rows))
    rows, identity = selection.show(alerts), alerts.select(list(_IDENTITY))
    if query["withupperlim"]:
        rows, identity = _with_history(query, selection, rows, identity)
        has_more = has_more or len(rows) > limit.rows
        rows, identity = rows.slice(0, limit.rows), identity.slice(0, limit.rows)
    tables = with_cutouts(query, rows, identity, kinds) if kinds else pieces(rows)
    return Rows(tables, is_cut=has_more)


def _with_history(query: Query, selection: Selection, rows: pa.Table, identity: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows of an answer, those of upper limits and bad-quality points among them, and what names them."""
    names = identity["i:objectId"].unique().to_pylist()
    rows = rows.append_column(TAG, pa.repeat(pa.scalar(VALID), len(rows)))
    history = query.archive.histories(names)
    if not len(history):
        return rows, identity
    history = history.filter(pa.array(~_repeats_an_alert(history, identity)))
    candid = pa.repeat(pa.scalar(NO_CANDID, pa.int64()), len(history))
    history = history.append_column("i:candid", candid)
    wanted = [name for name in history.column_names if selection.names is None or name in (*selection.names, TAG)]
    both = united([rows, history.select(wanted)])
    who = united([identity, history.select(list(_IDENTITY))])
    order = pc.sort_indices(who["i:jd"], sort_keys=[("", "descending")])
    return both.take(order), who.take(order)


def _repeats_an_alert(history: pa.Table, alerts: pa.Table) -> Mask:
    """Tell which bad-quality points have the exposure time of an alert of the object: they are that alert."""
    taken = set(zip(alerts["i:objectId"].to_pylist(), alerts["i:jd"].to_pylist(), strict=True))
    points = zip(history["i:objectId"].to_pylist(), history["i:jd"].to_pylist(), strict=True)
    is_bad = pc.equal(history[TAG], BAD_QUALITY).fill_null(False).to_numpy()
    repeats: Mask = is_bad & [point in taken for point in points]
    return repeats


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
