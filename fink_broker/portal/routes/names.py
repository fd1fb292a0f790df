"""``names``: objects whose names begin with a text, as a search box needs them while somebody types."""

from __future__ import annotations

import re

from fink_broker.archive.hbase.newest import IDENTITY
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection
from fink_broker.portal.computed import COMPUTED
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows

MOST = 100
_BEGINNING = re.compile(r"ZTF[0-9a-zA-Z]{0,9}", re.ASCII)


def answer(query: Query) -> Rows:
    """Return the latest alert of each object, the last name first.

    Raises
    ------
    RequestError
        If the text cannot be the beginning of a name.
    """
    beginning = str(query["prefix"]).strip()
    if not _BEGINNING.fullmatch(beginning):
        raise RequestError(f"No object's name begins with {beginning[:40]!r}: names are as ZTF21abfmbix.\n")
    limit, selection = Limit.of(query), Selection.of(query, tuple(COMPUTED))
    found = query.archive.latest_by_name(beginning, limit.rows, selection.fetched(*IDENTITY))
    return limit.answer(selection.show(found if len(found) else selection.nothing()))


ROUTES = (
    Route(
        "names",
        "Get the latest alert of objects whose names begin with a text, quickly",
        answer,
        (
            Argument("prefix", "beginning of a name, as ZTF21abf", required=True, example="ZTF21abf", longest=12),
            Argument("n", "how many objects", "integer", default=10, least=1, most=MOST),
            COLUMNS,
        ),
    ),
)
