"""``resolver``: from names elsewhere to names here, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

import pyarrow as pa

from fink_broker.archive.hbase.keys import part
from fink_broker.archive.hbase.newest import IDENTITY
from fink_broker.portal import records
from fink_broker.portal.alert_rows import Limit, Selection, known_types
from fink_broker.portal.object_rows import ObjectRows
from fink_broker.portal.providers.providers import SKY_OBJECT_FIELDS
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows
from fink_broker.portal.sso_names import KnownName, check_name, identify, known_names

TNS_COLUMNS = ("d:fullname", "d:internalname", "d:ra", "d:declination", "d:type", "d:redshift")
SSODNET_COLUMNS = ("i:ssnamenr", "i:name", "i:number")
SIMBAD_COLUMNS = ("i:objectId", "d:cdsxmatch", "i:ra", "i:dec", "i:candid", "i:jd")
#: how an alert says that it is of no known solar system object
NO_OBJECT = frozenset({None, "", "null"})
#: marks behind a name that stands for itself alone, in requests to either generation
EXACT = {"current": "@", "historic": "-"}
MOST_ROWS = 1_000_000

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_OBJECT_ID = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)


def answer(query: Query) -> Rows:
    """Return what a resolver knows of a name, or with ``reverse`` what names an object of the archive has."""
    return _ANSWERS[query["resolver"], query["reverse"]](query)


def _tns(query: Query) -> Rows:
    """Return objects of the Transient Name Server whose names begin so; without a name all of them."""
    name = query["name"]
    if name:
        _check(name, _NAME, "a name")
    keys = records.starting_with(part(name.lower()))
    rows = (fields for _, fields in records.read(query.archive, records.TNS, keys))
    return _rows(query, rows, records.texts(TNS_COLUMNS), has_no_limit=not name and "nmax" not in query.given)


def _tns_reverse(query: Query) -> Rows:
    """Return names that the Transient Name Server has for an object."""
    name = _check(query["name"], _OBJECT_ID, "the name of an object, as ZTF21abfmbix")
    keys = records.starting_with(part(name.lower()) + "_")
    rows = (fields for _, fields in records.read(query.archive, records.TNS_REVERSE, keys))
    return _rows(query, rows, records.texts(TNS_COLUMNS))


def _simbad(query: Query) -> Rows:
    """Return what SIMBAD knows by a name, asked through CDS Sesame."""
    name = _check(query["name"], _NAME, "a name")
    rows = (asdict(found) for found in query.providers.sesame.resolve(name))
    return _rows(query, rows, records.texts(SKY_OBJECT_FIELDS))


def _simbad_reverse(query: Query) -> Rows:
    """Return the type that SIMBAD gives the counterpart of each alert of an object."""
    name = _check(query["name"], _OBJECT_ID, "the name of an object, as ZTF21abfmbix")
    limit, selection = Limit.of(query, "nmax"), Selection(SIMBAD_COLUMNS, query.generation, known_types(query.config))
    found = ObjectRows.of(query.archive, [name], selection, limit.rows)
    tables = (rows for rows, _ in found.pieces(limit.rows))
    return Rows(tables, is_cut=len(found) > limit.rows and not limit.is_own)


def _ssodnet(query: Query) -> Rows:
    """Return solar system objects whose names begin so; exactly those so called with ``nmax`` = 1."""
    written, mark = query["name"], EXACT[query.generation]
    is_exact = query["nmax"] == 1 or (written.endswith(mark) and len(written) > 1)
    name = check_name(written.removesuffix(mark), "name")
    rows = known_names(query.archive, name, is_exact)
    first = next(rows, None)
    if first is None:  # nobody wrote that name into the table: the service knows all
        found: Iterable[KnownName] = _asked(query, name)
    else:
        found = (row for each in ([first], rows) for row in each)
    # of one name all rows count: there is one for each name the object has in alerts
    return _rows(query, map(_sso_fields, found), records.texts(SSODNET_COLUMNS), has_no_limit=query["nmax"] == 1)


def _ssodnet_reverse(query: Query) -> Rows:
    """Return the solar system objects that alerts of an object were taken for."""
    object_id = _check(query["name"], _OBJECT_ID, "the name of an object, as ZTF21abfmbix")
    alerts = query.archive.newest_alerts([object_id], IDENTITY, (*IDENTITY, "i:ssnamenr"), query.config.api.max_rows)
    names = dict.fromkeys(alerts.order["i:ssnamenr"].to_pylist()[::-1])
    found = (row for name in names if name not in NO_OBJECT for row in _known_as(query, name))
    return _rows(query, map(_sso_fields, found), records.texts(SSODNET_COLUMNS))


def _known_as(query: Query, ssnamenr: str) -> Iterator[KnownName]:
    """Give the rows of a name that alerts carry; without a row, the name and the number that it may be."""
    rows = [row for row in known_names(query.archive, ssnamenr, is_exact=True) if row.ssnamenr == ssnamenr]
    yield from rows or [KnownName(ssnamenr, "", ssnamenr if ssnamenr.isdigit() else "")]


def _asked(query: Query, name: str) -> Iterator[KnownName]:
    """Give the names in alerts of an object that the service knows, nothing if it knows none."""
    try:
        identity = identify(query.archive, query.providers, name)
    except RequestError as error:
        if error.status == 400:  # nothing goes by that name: that is an answer
            return
        raise
    for ssnamenr in identity.ssnamenrs:
        if query.archive.with_prefix("ssnamenr", f"{part(ssnamenr)}_".encode(), 1).num_rows:
            yield KnownName(ssnamenr, identity.name or "", records.text_of(identity.number) or "")


def _sso_fields(row: KnownName) -> dict[str, str]:
    return dict(zip(SSODNET_COLUMNS, (row.ssnamenr, row.name, row.number), strict=True))


def _rows(query: Query, rows: Iterable[Mapping[str, Any]], schema: pa.Schema, has_no_limit: bool = False) -> Rows:
    """Return rows of texts as an answer, no more than ``nmax`` and the API's own limit."""
    found = ({name: records.text_of(row.get(name)) for name in schema.names} for row in rows)
    if has_no_limit:
        return Rows(records.as_tables(found, schema))
    limit = Limit.of(query, "nmax")
    if limit.is_own:
        return Rows(records.as_tables(islice(found, limit.rows), schema))
    all_and_one = list(islice(found, limit.rows + 1))  # whether there are more is said before the first row is sent
    return Rows(records.as_tables(all_and_one[: limit.rows], schema), is_cut=len(all_and_one) > limit.rows)


def _check(name: str, pattern: re.Pattern[str], what: str) -> str:
    if pattern.fullmatch(name) is None:
        raise RequestError(f"`name` must be {what}.\n")
    return name


_ANSWERS: Mapping[tuple[str, bool], Callable[[Query], Rows]] = {
    ("tns", False): _tns,
    ("tns", True): _tns_reverse,
    ("simbad", False): _simbad,
    ("simbad", True): _simbad_reverse,
    ("ssodnet", False): _ssodnet,
    ("ssodnet", True): _ssodnet_reverse,
}

ROUTES = (
    Route(
        "resolver",
        "Resolve Fink/ZTF object names, and names of the Transient Name Server, SIMBAD and SsODNet",
        answer,
        (
            Argument(
                "resolver", "who resolves", "choice", required=True, choices=("tns", "simbad", "ssodnet"), example="tns"
            ),
            Argument(
                "name", "name, or its beginning; empty: all (tns)", required=True, example="SN 2023", longest=100
            ),
            Argument("reverse", "True: the name is that of an object of the archive", "flag", default=False),
            Argument(
                "nmax", "most rows; 1: exactly that name (ssodnet)", "integer", default=10, least=1, most=MOST_ROWS,
                example=10,
            ),
        ),
        group="Names",
    ),
)  # fmt: skip
