"""Values for examples, of what is in the archive right now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.api import Api

_COLUMNS = "i:objectId,i:ra,i:dec,i:jd,i:jdstarthist,v:classification"


def latest_alert(api: Api) -> Mapping[str, Any]:
    """Return the latest alert: its object, place, times and class; nothing while there is none, or the API is away."""
    return first_row(api, "latests", **{"class": "allclasses", "columns": _COLUMNS})


def first_row(api: Api, route: str, **arguments: Any) -> Mapping[str, Any]:
    """Return the first row of a route; nothing if it has none, or does not answer."""
    try:
        rows = api.rows(route, **arguments, n=1)
    except ApiError:
        return {}
    return {} if rows.empty else {str(name): value for name, value in rows.iloc[0].items()}
