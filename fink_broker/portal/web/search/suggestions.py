"""What is offered while somebody types, as far as the API has to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pandas as pd

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.search import classes
from fink_broker.portal.web.search.addresses import address_of
from fink_broker.portal.web.search.grammar import LONGEST, Parsed
from fink_broker.portal.web.search.rules import Action, Known, criteria, with_seed, words
from fink_broker.portal.web.search.understanding import Understood, understand

#: Names are looked up by how they begin from so many characters on, which is the year and a letter.
LEAST_OF_NAME = 6
MOST_OBJECTS = 6
#: shown of an object
_SHOWN = ("i:objectId", "i:ndethist", "v:classification")

Offer = dict[str, str]


def answer(text: str, api: Api, *, with_names: bool) -> dict[str, Any]:
    """Return what is offered for a text, for the browser.

    Parameters
    ----------
    text : str
        As typed.
    api : Api
        The REST API.
    with_names : bool
        Whether others may be asked for a name in it.

    Returns
    -------
    dict
        ``text``; ``offers``, each with ``title``, ``detail``, ``kind`` and ``href``; ``note``, a sentence, may be
        empty; ``waits``, whether the text has a name that others have not been asked for yet.
    """
    if len(text) > LONGEST:
        return _answer(text[:LONGEST], [], f"A search has at most {LONGEST} characters.")
    try:
        understood = understand(text, api, with_names=with_names)
        offers = [*_recognised(understood), *_choices(understood), *_objects(understood.parsed, api)]
        note = note_of(understood, api) if understood.is_resolved else ""
    except ApiError as error:
        is_away = error.status in (0, 502, 503, 504)
        return _answer(
            text, [], "The archive does not answer just now; try again in a minute." if is_away else error.message
        )
    return _answer(text, offers, note, waits=not understood.is_resolved)


def _answer(text: str, offers: list[Offer], note: str, *, waits: bool = False) -> dict[str, Any]:
    return {"text": text, "offers": offers, "note": note, "waits": waits}


def note_of(understood: Understood, api: Api) -> str:
    """Return a sentence on what was not understood, or who could not be asked; empty if all is well."""
    parsed = understood.parsed
    if parsed.problems:
        return parsed.problems[0]
    if understood.choices or understood.action is None:
        return ""
    if understood.action.name == "unknown":
        return _unknown(understood)
    return " ".join(filter(None, (_left_out(parsed, understood.action), _no_class(parsed, api))))


def _left_out(parsed: Parsed, action: Action) -> str:
    """Return a sentence on what a search makes no use of."""
    if parsed.name and action.name not in ("conesearch", "sso"):
        return f"“{parsed.name[:60]}” is not understood and left out."
    used = set(action.parameters)
    if action.name == "sso" and not parsed.name:
        used.add("sso")
    idle = [f"{key}=" for key in parsed.values if key not in used]
    return f"{_listed(tuple(idle))} {'has' if len(idle) == 1 else 'have'} no effect in this search." if idle else ""


def _no_class(parsed: Parsed, api: Api) -> str:
    """Return a sentence on a class that nobody knows, where there is one like it."""
    given = str(parsed.values.get("class", ""))
    known = classes.classes(api) if given else ()
    close = classes.close_to(given, known) if known and given not in known and given != "Anomaly" else ()
    return f"No class is called “{given}”. Did you mean {' or '.join(close[:2])}?" if close else ""


def offer(action: Action, kind: str, title: str = "", detail: str = "") -> Offer:
    """Return a search as it is offered."""
    return {
        "kind": kind,
        "title": title or words(action),
        "detail": detail or "; ".join(criteria(action)),
        "href": address_of(with_seed(action)),
    }


def address_of_text(text: str) -> str:
    """Return the address of a text that is not, or not yet, a search."""
    return f"/?q={quote(text.encode('utf-8', 'replace'))}"


def described(known: Known) -> str:
    """Return who knows an object and what it is, in a line."""
    return " · ".join(filter(None, (known.origin, known.note)))


def _recognised(understood: Understood) -> list[Offer]:
    if understood.action is None or not understood.is_recognised:
        return []
    return [offer(understood.action, _KINDS.get(understood.action.name, "search"))]


def _choices(understood: Understood) -> list[Offer]:
    return [offer(action, "name", f"{known.label}", described(known)) for known, action in understood.choices]


def _objects(parsed: Parsed, api: Api) -> list[Offer]:
    """Return objects whose names begin like the one that is being typed."""
    if len(parsed.objects) != 1 or parsed.whole_object or len(parsed.objects[0]) < LEAST_OF_NAME:
        return []
    rows = api.rows("names", prefix=parsed.objects[0], n=MOST_OBJECTS, columns=",".join(_SHOWN))
    return [_object(row) for row in rows.to_dict("records")]


def _object(row: Mapping[Any, Any]) -> Offer:
    name = str(row["i:objectId"])
    label = str(row.get("v:classification") or "")
    count = row.get("i:ndethist")
    detections = f"{int(count)} detections" if count is not None and not pd.isna(count) else ""
    return {
        "kind": "object",
        "title": name,
        "detail": " · ".join(filter(None, (label, detections))),
        "href": f"/{name}",
    }


def _unknown(understood: Understood) -> str:
    parsed = understood.parsed
    if not parsed.name:
        waiting = ", ".join(f"{key}=" for key in parsed.unfinished)
        return (
            f"A value is missing behind {waiting}."
            if waiting
            else "This alone is no search: add a class, a name or a place."
        )
    away = f" {_listed(understood.away)} could not be asked just now." if understood.away else ""
    return f"“{parsed.name[:60]}” is no name that is known here.{away}"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_KINDS = {
    "conesearch": "cone", "objectid": "object", "tracklet": "tracklet", "sso": "solar system", "anomaly": "anomalies",
    "random": "random", "class": "class", "daterange": "time",
}  # fmt: skip
