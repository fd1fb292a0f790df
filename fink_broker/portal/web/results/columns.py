"""Columns of the table of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.results.values import date_of, first_detection, number_of, text_of
from fink_broker.portal.web.search.actions import Kind

#: Routes whose rows are alerts, and which give the columns they are asked for.
ROUTES = ("objects", "conesearch", "explorer", "latests", "sso", "tracklet", "random", "anomaly")
#: Columns that may be added at once.
MOST_ADDED = 20
#: Columns by which the switches tell rows apart.
KEYS = ("i:objectId", "i:ssnamenr", "d:tracklet")
_FAMILIES = ("i:", "d:", "v:")


def definitions(kind: Kind, added: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the columns of the table, as AG Grid takes them.

    Parameters
    ----------
    kind : str
        Sort of the search: cones show a separation instead of a position.
    added : sequence of str
        Published columns besides the usual ones.
    """
    place = [_number("separation", "Separation (″)", 2)]
    if kind != "cone":
        place = [_number("ra", "RA (°)", 5), _number("dec", "Dec (°)", 5)]
    return [
        {
            "field": "objectId", "headerName": "Object", "cellRenderer": "FinkObject", "pinned": "left", "width": 150,
            "filter": "agTextColumnFilter",
        },
        *place,
        {"field": "last", "headerName": "Last alert (UTC)", "filter": "agTextColumnFilter", "width": 180},
        {"field": "class", "headerName": "Classification", "filter": "agTextColumnFilter", "minWidth": 190, "flex": 1},
        _number("count", "Measurements", 0),
        _number("variation", "Variation (days)", 1),
        *({"field": name, "headerName": name, "filter": True, "width": 170} for name in added),
    ]  # fmt: skip


def _number(name: str, header: str, decimals: int) -> dict[str, Any]:
    return {
        "field": name, "headerName": header, "filter": "agNumberColumnFilter", "type": "rightAligned", "width": 165,
        "valueFormatter": {"function": f"finkDecimals(params.value, {decimals})"},
    }  # fmt: skip


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of the table: the usual columns, the keys of the switches, and an ``id`` of each row."""
    return [_record(row) for row in rows.to_dict("records")]


def _record(row: Mapping[Any, Any]) -> dict[str, Any]:
    first, last = first_detection(row), number_of(row, "i:jd")
    apart = number_of(row, "v:separation_degree")
    count = number_of(row, "i:ndethist")
    return {
        "id": identifier(row),
        "objectId": text_of(row, "i:objectId"),
        "ra": number_of(row, "i:ra"),
        "dec": number_of(row, "i:dec"),
        "separation": None if apart is None else apart * 3600,
        "last": date_of(last),
        "class": text_of(row, "v:classification") or text_of(row, "d:classification") or "Unknown",
        "count": number_of(row, "d:nalerthist") if count is None else count,
        "variation": None if first is None or last is None else last - first,
        "sso": text_of(row, "i:ssnamenr"),
        "tracklet": text_of(row, "d:tracklet"),
    }


def identifier(row: Mapping[Any, Any]) -> str:
    """Return what tells a row from all others: the identifier of its alert, as text, else the object's name."""
    candid = row.get("i:candid")
    return text_of(row, "i:objectId") if candid is None or pd.isna(candid) else str(int(candid))


def known_columns(api: Api) -> list[str]:
    """Return the columns the API publishes, sorted by family and name; none where it does not say.

    Raises
    ------
    ApiError
        If it does not answer.
    """
    families = api.document("columns", **{"output-format": "json"}).get("fields", {})
    found = [
        f"{prefix}{name}" for title, columns in families.items() for prefix in _prefixes(title) for name in columns
    ]
    return sorted(set(found), key=lambda name: (_FAMILIES.index(name[:2]), name.casefold()))


def _prefixes(title: str) -> Iterable[str]:
    """Return the prefix in the title of a family, as ``ZTF original fields (i:)``."""
    return [prefix for prefix in _FAMILIES if f"({prefix})" in title]


def added_values(api: Api, route: str, arguments: Mapping[str, Any], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return further columns of a search: for each column, the value of each row by its `identifier`.

    Raises
    ------
    ApiError
        If the API refuses, or the search is none of alerts.
    """
    if route not in ROUTES or len(names) > MOST_ADDED:
        raise ApiError(f"Columns can be added to lists of alerts only, {MOST_ADDED} at most.", 400)
    wanted = [*dict.fromkeys(("i:objectId", "i:candid", *names))]
    given = {name: value for name, value in arguments.items() if name != "columns"}
    rows = api.rows(route, **given, columns=wanted)
    ids = [identifier(row) for row in rows[["i:objectId", "i:candid"]].to_dict("records")]
    return {
        name: {of: _plain(value) for of, value in zip(ids, rows[name].tolist(), strict=True)}
        for name in names
        if name in rows
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; integers that JavaScript would round become texts."""
    if isinstance(value, list | tuple | dict):
        return str(value)
    if hasattr(value, "tolist"):  # of numpy
        value = value.tolist()
    if isinstance(value, int) and abs(value) >= 2**53:
        return str(value)
    if isinstance(value, str | bool | int) or value is None:
        return value
    return None if pd.isna(value) else value if isinstance(value, float) else str(value)
