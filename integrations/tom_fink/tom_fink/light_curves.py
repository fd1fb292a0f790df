"""Light curves the API has of an object, or of a target of the TOM."""

from __future__ import annotations

import re
from typing import Any

from tom_targets.base_models import BaseTarget

from .api import FinkError, ask
from .photometry import COLUMNS

#: A target that has no name of ours is looked for within this distance.
MATCH_RADIUS_ARCSEC = 2.0
_OBJECT_ID = re.compile(r"ZTF\d{2}[a-z]{7}")


class NotOfFink(FinkError):
    """A target has neither a name nor a place on the sky by which its light curve could be found."""


def where(target: BaseTarget) -> dict[str, Any]:
    """Return by what the API knows a target: its name, one of its other names, or its position.

    Returns
    -------
    dict
        ``objectId``, or ``ra`` and ``dec`` (deg, ICRS) and ``radius`` (arcsec).

    Raises
    ------
    NotOfFink
        If it has none of these.
    """
    for name in (target.name, *target.aliases.values_list("name", flat=True)):
        if _OBJECT_ID.fullmatch(name.strip()):
            return {"objectId": name.strip()}
    if target.ra is None or target.dec is None:
        raise NotOfFink("The target has no ZTF name and no position; give it a name such as ZTF21abfmbix.")
    return {"ra": target.ra, "dec": target.dec, "radius": MATCH_RADIUS_ARCSEC}


def rows(place: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask the API for the light curve of an object, with upper limits.

    Parameters
    ----------
    place : dict
        What `where` returns. Of several objects at a position the nearest is taken.

    Returns
    -------
    list of dict
        Rows for `photometry.points_of_rows`; none if there is no such object.

    Raises
    ------
    FinkError
        If the API does not answer.
    """
    object_id = place.get("objectId") or _nearest(place)
    if not object_id:
        return []
    return ask("objects", {"objectId": object_id, "withupperlim": "True", "columns": COLUMNS}).rows


def _nearest(place: dict[str, Any]) -> str:
    found = ask("conesearch", {**place, "n": 1, "columns": "i:objectId"}).rows
    return str(found[0].get("i:objectId") or "") if found else ""
