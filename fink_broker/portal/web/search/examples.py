"""Searches that find something in the archive as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from astropy.coordinates import SkyCoord

from fink_broker.portal.web.api import Api
from fink_broker.portal.web.examples import first_row, latest_alert
from fink_broker.portal.web.search.addresses import text_of
from fink_broker.portal.web.search.moments import iso_of
from fink_broker.portal.web.search.names import text_or_nothing
from fink_broker.portal.web.search.rules import Action

#: characters of a name that say when its object was found: the year, and three letters
_BEGINNING = 8


def searches(api: Api) -> Mapping[str, str]:
    """Return searches that find something, by sort; none while there are no alerts, or the API is away.

    Beside those of the latest alert there may be ``trend``, ``sso``, ``tracklet`` and ``anomaly``.
    """
    found = searches_of_latest(api)
    return {**found, **_of_others(api)} if found else {}


def searches_of_latest(api: Api) -> Mapping[str, str]:
    """Return searches that find the latest alert, by sort; none while there is none, or the API is away.

    They are ``object``, ``beginning``, ``place``, ``sexagesimal``, ``time``, ``since``, ``class`` and ``random``.
    """
    alert = latest_alert(api)
    if not alert:
        return {}
    name, ra, dec = str(alert["i:objectId"]), float(alert["i:ra"]), float(alert["i:dec"])
    place = f"{ra:.3f} {dec:+.3f}"
    found = {
        "object": name,
        "beginning": name[:_BEGINNING],
        "place": f"{place} r=10m",
        "sexagesimal": SkyCoord(ra, dec, unit="deg").to_string("hmsdms", sep=":", precision=1),
        "time": f"after={iso_of(_whole(alert['i:jd'], 24.0))} window=2h",
        "random": "random=10",
    }
    begun = float(alert.get("i:jdstarthist") or math.nan)
    if math.isfinite(begun):
        found["since"] = f"{place} r=1d after={iso_of(_whole(begun, 1.0))}"
    if label := text_or_nothing(alert.get("v:classification")):
        found["class"] = text_of(Action("class", {"class": label, "last": 100}))
    return found


def _of_others(api: Api) -> dict[str, str]:
    found = {}
    rising = {"class": "allclasses", "trend": "rising", "columns": "i:objectId,v:classification"}
    if label := text_or_nothing(first_row(api, "latests", **rising).get("v:classification")):
        found["trend"] = text_of(Action("class", {"class": label, "trend": "rising"}))
    bodies = {"class": "Solar System MPC", "columns": "i:objectId,i:ssnamenr"}
    name = text_or_nothing(first_row(api, "latests", **bodies).get("i:ssnamenr"))
    if name and first_row(api, "sso", n_or_d=name, columns="i:objectId"):  # whose other names are asked for elsewhere
        found["sso"] = text_of(Action("sso", {"object": name}))
    tracks = {"class": "Tracklet", "columns": "i:objectId,d:tracklet"}
    if name := text_or_nothing(first_row(api, "latests", **tracks).get("d:tracklet")):
        found["tracklet"] = name
    if first_row(api, "anomaly", columns="i:objectId"):
        found["anomaly"] = "class=Anomaly"
    return found


def _whole(jd: Any, parts: float) -> float:
    """Return when the day, or one of some parts of it, began that a julian date lies in."""
    return math.floor((float(jd) - 0.5) * parts) / parts + 0.5
