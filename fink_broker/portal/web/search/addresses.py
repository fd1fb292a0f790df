"""Addresses of searches: from a search to its query string and back, and to the text that stands for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from fink_broker.portal.web.search import coordinates
from fink_broker.portal.web.search.grammar import (
    MOST_NAMES,
    Parsed,
    is_whole_name,
    object_name,
    tracklet_name,
)
from fink_broker.portal.web.search.rules import ANOMALY, DEFAULT_LAST, Action, action_of, cone
from fink_broker.portal.web.search.values import READERS, Value, disorder

#: Types of the older form, by how they begin: the keys that its arguments have here.
_OLDER_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "object": {"objectId": "object"},
    "cone": {
        "ra": "ra", "dec": "dec", "radius": "r", "startdate_conesearch": "after", "window_days_conesearch": "window",
        "startdate": "after", "stopdate": "before", "window": "window",
    },
    "date": {"startdate": "after", "stopdate": "before", "window": "window"},
    "class": {"class": "class", "n": "last", "startdate": "after", "stopdate": "before"},
    "sso": {"n_or_d": "object"},
    "tracklet": {"id": "object"},
    "anomaly": {"n": "last", "start_date": "after", "stop_date": "before"},
}  # fmt: skip
_NAMED = {"object": "objectid", "cone": "conesearch", "date": "daterange"}


#: longest name of an object elsewhere
LONGEST_NAME = 100


class AddressError(ValueError):
    """An address that asks for no search; the text is a sentence for visitors."""


def search_of(action: Action) -> str:
    """Return the query string of a search, as ``?action=conesearch&ra=193.82&dec=2.89&r=10``."""
    values = {name: _written(name, value) for name, value in action.parameters.items()}
    return "?" + urlencode({"action": action.name, **values}, quote_via=quote)


def address_of(action: Action) -> str:
    """Return the address of a search: that of its page where it names one whole object."""
    name = str(action.parameters.get("object", ""))
    if action.name == "objectid" and is_whole_name(name):
        return f"/{name}"
    return f"/{search_of(action)}"


def action_at(arguments: Mapping[str, str]) -> Action | None:
    """Return the search that the arguments of an address ask for, in either form; None if they ask for none.

    Raises
    ------
    AddressError
        If one of them cannot be read.
    """
    if "action" in arguments:
        return _checked(arguments["action"].strip().lower(), arguments)
    if "query_type" in arguments:
        return _older(arguments)
    return None


def text_of(action: Action) -> str:
    """Return a text that stands for the same search."""
    values = action.parameters
    parts = []
    if action.name == "conesearch":
        named = str(values.get("object", ""))
        parts.append(
            named if named and "," not in named else f"{_degrees(values['ra'])} {_degrees(values['dec'], '+')}"
        )
    elif action.name == "sso":
        parts.append(f"sso={_quoted(str(values['object']))}")
    elif "object" in values:
        parts.append(str(values["object"]).replace(",", " "))
    for name in ("class", "last", "random", "seed", "trend", "r", "after", "before", "window"):
        if name in values:
            parts.append(f"{name}={_quoted(_written(name, values[name]))}")
    return " ".join(parts)


def _checked(name: str, arguments: Mapping[str, str]) -> Action:
    """Return the search of a sort with arguments, read as the values of keys are."""
    make = _MADE.get(name)
    if make is None:
        raise AddressError(f"There is no search called “{name[:40]}”.")
    return make(_read(arguments), arguments)


def _objects(values: Mapping[str, Value], arguments: Mapping[str, str]) -> Action:
    del values
    given = arguments.get("object", "").split(",")[: MOST_NAMES + 1]
    names = [object_name(each.strip()) for each in given]
    known = tuple(name for name in names if name)
    if not known or len(known) != len(names) or len(known) > MOST_NAMES:
        raise AddressError("Names of objects begin with ZTF, two digits and letters, as ZTF21abfmbix.")
    return _found(Parsed(objects=known))


def _tracklet(values: Mapping[str, Value], arguments: Mapping[str, str]) -> Action:
    del values
    name = tracklet_name(arguments.get("object", "").strip())
    if name is None:
        raise AddressError("Names of tracklets are as TRCK_20211022_091949_00, or begin so.")
    return _found(Parsed(tracklet=name))


def _small_body(values: Mapping[str, Value], arguments: Mapping[str, str]) -> Action:
    name = (arguments.get("object") or str(values.get("sso") or arguments.get("n_or_d") or "")).strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise AddressError("Which Solar System object? Name it, as object=8467.")
    return Action("sso", {"object": name})


def _found(parsed: Parsed) -> Action:
    action = action_of(parsed)
    if action is None or action.name == "unknown":
        raise AddressError("A search by time needs after=, or before= and window=.")
    return action


def _cone(values: Mapping[str, Value], arguments: Mapping[str, str]) -> Action:
    if "ra" not in values or "dec" not in values:
        raise AddressError("A cone needs a position: ra= and dec= in degrees.")
    try:
        position = coordinates.checked(float(values["ra"]), float(values["dec"]))
    except coordinates.CoordinatesError as error:
        raise AddressError(str(error)) from None
    label = " ".join(arguments.get("object", "").split())[:LONGEST_NAME]
    return cone(values, position.ra, position.dec, label)


def _only(values: Mapping[str, Value], *names: str) -> Parsed:
    return Parsed(values={name: values[name] for name in names if name in values})


def _read(arguments: Mapping[str, str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, read in READERS.items():
        text = (arguments.get(key) or (arguments.get("radius") if key == "r" else "") or "").strip()
        if not text:
            continue
        try:
            values[key] = read(text)
        except ValueError as error:
            if position := _sexagesimal(key, arguments):
                values[key] = position
                continue
            raise AddressError(str(error)) from None
    if problem := disorder(values):
        raise AddressError(problem)
    return values


def _sexagesimal(key: str, arguments: Mapping[str, str]) -> float | None:
    """Return right ascension or declination where both are written in another notation."""
    if key not in ("ra", "dec"):
        return None
    try:
        position = coordinates.read_position(f"{arguments.get('ra', '')} {arguments.get('dec', '')}")
    except coordinates.CoordinatesError as error:
        raise AddressError(str(error)) from None
    return None if position is None else getattr(position, key)


def _older(arguments: Mapping[str, str]) -> Action:
    written = arguments["query_type"].strip().lower()
    sort = next((name for name in _OLDER_ARGUMENTS if written.startswith(name)), None)
    if sort is None:
        raise AddressError(f"There is no search called “{written[:40]}”.")
    values = {new: arguments[old] for old, new in _OLDER_ARGUMENTS[sort].items() if arguments.get(old)}
    return _checked(_NAMED.get(sort, sort), values)


def _written(name: str, value: Value) -> str:
    if name in ("ra", "dec"):
        return _degrees(value)
    return f"{value:g}" if isinstance(value, float) and value == float(f"{value:g}") else str(value)


def _degrees(value: Value, sign: str = "") -> str:
    text = coordinates.degrees_text(float(value))
    return f"{sign}{text}" if sign and not text.startswith("-") else text


def _quoted(text: str) -> str:
    if not any(character.isspace() or character in ",\"'" for character in text):
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


_MADE: Mapping[str, Callable[[Mapping[str, Value], Mapping[str, str]], Action]] = {
    "conesearch": _cone,
    "objectid": _objects,
    "tracklet": _tracklet,
    "sso": _small_body,
    "anomaly": lambda values, _: _found(Parsed(values={**values, "class": ANOMALY})),
    "random": lambda values, _: _found(Parsed(values=values, unfinished=("random",))),
    "class": lambda values, _: _found(
        Parsed(values={"last": DEFAULT_LAST, **{key: values[key] for key in values if key != "random"}})
    ),
    "daterange": lambda values, _: _found(_only(values, "after", "before", "window")),
}
