"""Names of classes as the API lists them, and the one somebody means."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.api import Api

_PREFIXES = ("(TNS) ", "(SIMBAD) ", "(CTA) ")
#: class of what nobody knows, which the API has and does not list
UNKNOWN = "Unknown"
MOST_CLOSE = 4


def classes(api: Api) -> tuple[str, ...]:
    """Return the names of all classes, the broker's own first; none if the API does not answer."""
    try:
        lists = api.document("classes", **{"output-format": "json"})
    except ApiError:
        return ()
    if isinstance(lists, dict) and isinstance(lists.get("classnames"), dict):
        lists = lists["classnames"]
    if not isinstance(lists, dict):
        return ()
    listed = tuple(str(name) for names in lists.values() if isinstance(names, list) for name in names)
    return listed if UNKNOWN in listed else (*listed, UNKNOWN)


def meant(name: str, known: Sequence[str]) -> str:
    """Return the class that a name stands for, whatever its case, blanks and prefix; the name itself if none."""
    if name in known:
        return name
    wanted = _bare(name)
    return next((each for each in known if wanted in (_bare(each), _bare(_without_prefix(each)))), name)


def close_to(name: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return classes whose names hold a name, or are spelled like it."""
    wanted = _bare(name)
    holding = [each for each in known if len(wanted) > 1 and wanted in _bare(each)]
    if holding:
        return tuple(holding[:MOST_CLOSE])
    by_bare: dict[str, str] = {}
    for each in known:
        by_bare.setdefault(_bare(_without_prefix(each)), each)
    found = get_close_matches(wanted, by_bare, MOST_CLOSE, 0.6)
    return tuple(by_bare[each] for each in found)


def _bare(name: str) -> str:
    return "".join(name.split()).casefold()


def _without_prefix(name: str) -> str:
    return next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), name)
