"""``ssocand``: candidates for new solar system objects, their light curves and the orbits that fit them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa

from fink_broker.archive.hbase.keys import part
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.portal import records
from fink_broker.portal.alert_rows import Limit
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows
from fink_broker.portal.scans import Dates

ORBITS, LIGHT_CURVES = "orbParams", "lightcurves"
MOST_ROWS = 10_000
#: column of a candidate's name
NAME = "d:ssoCandId"
#: begins the keys of orbits
ORBIT_MARK = "cand_"
_CANDIDATE = re.compile(r"[A-Za-z0-9-]{1,40}", re.ASCII)


def light_curve_key(jd: float, candidate: str) -> str:
    """Return the key of a point of a candidate's light curve, ``jd_ssoCandId`` (jd in days)."""
    return f"{jd:015.7f}_{part(candidate)}"


def orbit_key(candidate: str) -> str:
    """Return the key of a candidate's orbit."""
    return f"{ORBIT_MARK}{part(candidate)}"


def answer(query: Query) -> Rows:
    """Return orbits or light curves of all candidates, or of one; of too many points the latest, the oldest first."""
    candidate = query["ssoCandId"] or None
    if candidate is not None and _CANDIDATE.fullmatch(candidate) is None:
        raise RequestError("`ssoCandId` is the name of a candidate: letters and digits, as FF2022aaaaaxh.\n")
    has_points = query["kind"] == LIGHT_CURVES
    limit = Limit.of(query, "maxnumber" if has_points else None)
    found = _light_curves(query, candidate) if has_points else _orbits(query, candidate)
    rows = list(islice(found, limit.rows + 1))
    shown = rows[: limit.rows]
    is_cut = len(rows) > limit.rows and not limit.is_own
    return Rows([_table(shown[::-1] if has_points else shown)], is_cut)


def _orbits(query: Query, candidate: str | None) -> Iterator[Mapping[str, Any]]:
    keys = records.starting_with(ORBIT_MARK)
    if candidate is not None:
        key = orbit_key(candidate).encode()
        keys = KeyRange(key, key + b"\0")
    return (fields for _, fields in records.read(query.archive, records.SSO_ORBITS, keys))


def _light_curves(query: Query, candidate: str | None) -> Iterator[Mapping[str, Any]]:
    """Give points of light curves, the latest first."""
    dates = Dates.of(query, "start_date", "stop_date")
    first, last = (min(max(jd, 0.0), 9_999_999.0) for jd in (dates.first, dates.last))
    # behind the last time comes the mark before the name, and "`" is what follows it
    keys = KeyRange(light_curve_key(first, "").encode(), f"{last:015.7f}`".encode())
    for _, fields in records.read(query.archive, records.SSO_CANDIDATES, keys, reverse=True):
        if candidate is None or fields.get(NAME) == candidate:
            yield fields


def _table(rows: list[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table; a column is of texts where its values are not all numbers."""
    if not rows:
        return records.texts([NAME]).empty_table()
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([records.text_of(value) for value in values], pa.string())


ROUTES = (
    Route(
        "ssocand",
        "Retrieve candidate Solar System objects from the Fink/ZTF datastore",
        answer,
        (
            Argument("kind", "what to return", "choice", required=True, choices=(ORBITS, LIGHT_CURVES), example=ORBITS),
            Argument("ssoCandId", "name of one candidate", longest=40),
            Argument("start_date", "first date, UTC, of light curves: ISO, JD or MJD", "date"),
            Argument("stop_date", "last date, UTC, of light curves; now where absent", "date"),
            Argument(
                "maxnumber", "most points of light curves", "integer", default=MOST_ROWS, least=1, most=1_000_000
            ),
        ),
        group="Solar System",
    ),
)  # fmt: skip
