"""Which search a text stands for: the first rule that applies to what it says."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from fink_broker.portal.web.search.coordinates import angle_words, position_words
from fink_broker.portal.web.search.grammar import Parsed, is_whole_name
from fink_broker.portal.web.search.values import Value

ActionName = Literal[
    "conesearch", "objectid", "tracklet", "sso", "anomaly", "random", "class", "daterange", "unknown"
]  # fmt: skip
DEFAULT_RADIUS_ARCSEC = 10.0
DEFAULT_LAST = 100
DEFAULT_RANDOM = 10
ANOMALY = "Anomaly"
#: most days of a search by time alone
LONGEST_RANGE_DAYS = 0.125
#: seeds of searches at random that have none of their own lie below this
_SEEDS = 10**6
#: characters of names that are listed
_LONGEST_LIST = 60


@dataclass(frozen=True)
class Action:
    """A search.

    Parameters
    ----------
    name : str
        What sort it is.
    parameters : mapping
        As they stand in the address: ``ra``, ``dec`` in degrees (ICRS), ``r`` in arcseconds, ``after`` and ``before``
        ISO 8601 (UTC), ``window`` in days, ``object`` the name that is looked for, ``partial`` whether it is only the
        beginning of one, ``class``, ``last``, ``trend``, ``random``, ``seed``.
    """

    name: ActionName
    parameters: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What a name stands for.

    Parameters
    ----------
    label : str
        The name in full.
    origin : str
        Who knows it, as ``TNS``.
    ra, dec : float, optional
        Where it is, in degrees; None for what moves.
    note : str
        What it is, as ``SN Ia, z = 0.03``.
    """

    label: str
    origin: str
    ra: float | None = None
    dec: float | None = None
    note: str = ""


def action_of(parsed: Parsed, known: Known | None = None) -> Action | None:
    """Return the search that a text stands for, by the first rule that applies; None if there is nothing to do yet.

    Parameters
    ----------
    parsed : Parsed
        What the text says.
    known : Known, optional
        What its name, or its object where a cone around that is wanted, stands for.
    """
    if parsed.is_open or parsed.is_empty:
        return None
    if parsed.problems:
        return Action("unknown")
    if parsed.position:
        return cone(parsed.values, parsed.position.ra, parsed.position.dec)
    if known is not None and known.ra is not None and known.dec is not None:
        return cone(parsed.values, known.ra, known.dec, known.label)
    return _by_name(parsed, known) or _by_keys(parsed)


def _by_name(parsed: Parsed, known: Known | None) -> Action | None:
    if parsed.objects:
        is_partial = not all(map(is_whole_name, parsed.objects))
        return Action("objectid", {"object": ",".join(parsed.objects), **_flag("partial", is_partial)})
    if parsed.tracklet:
        is_partial = len(parsed.tracklet) < len("TRCK_YYYYMMDD_HHMMSS_NN")
        return Action("tracklet", {"object": parsed.tracklet, **_flag("partial", is_partial)})
    name = known.label if known is not None else parsed.values.get("sso")
    return Action("sso", {"object": name}) if name else None


def _by_keys(parsed: Parsed) -> Action:
    values = parsed.values
    chosen: Mapping[str, Value]
    if str(values.get("class", "")).casefold() == ANOMALY.casefold():
        return Action("anomaly", {"class": ANOMALY, "last": DEFAULT_LAST, **_some(values, "last", "after", "before")})
    if "random" in values or "random" in parsed.unfinished:
        return Action("random", {"random": DEFAULT_RANDOM, **_some(values, "random", "class", "seed")})
    if "class" in values or "last" in values:
        chosen = _some(values, "class", "last", "trend", "after", "before", "window")
        return Action("class", {"last": DEFAULT_LAST, **chosen})
    if "after" in values or {"before", "window"} <= set(values):
        return Action("daterange", _some(values, "after", "before", "window"))
    return Action("unknown")


def cone(values: Mapping[str, Value], ra: float, dec: float, label: str = "") -> Action:
    """Return the search around a position in degrees (ICRS), with the radius and times among values of keys."""
    parameters: dict[str, Value] = {"ra": round(ra, 7), "dec": round(dec, 7), "r": DEFAULT_RADIUS_ARCSEC}
    named = {"object": label} if label else {}
    return Action("conesearch", {**parameters, **_some(values, "r", "after", "before", "window"), **named})


def with_seed(action: Action) -> Action:
    """Return a search that finds the same however often it is made: one at random gets a seed, if it has none."""
    if action.name != "random" or "seed" in action.parameters:
        return action
    return replace(action, parameters={**action.parameters, "seed": secrets.randbelow(_SEEDS)})


def _some(values: Mapping[str, Value], *names: str) -> dict[str, Value]:
    return {name: values[name] for name in names if name in values}


def _flag(name: str, is_set: bool) -> dict[str, Value]:
    return {name: "true"} if is_set else {}


def words(action: Action) -> str:
    """Return what a search does, for people."""
    make = _WORDS.get(action.name)
    return make(action.parameters) if make else "Query not recognized"


def _cone_words(values: Mapping[str, Value]) -> str:
    around = values.get("object") or position_words(float(values["ra"]), float(values["dec"]))
    return f"Cone of {angle_words(float(values['r']))} around {around}"


def _named_words(what: str) -> Callable[[Mapping[str, Value]], str]:
    def make(values: Mapping[str, Value]) -> str:
        name = str(values["object"])
        if "," in name:
            return (
                f"{what}s {name.replace(',', ', ')}" if len(name) < _LONGEST_LIST else f"{name.count(',') + 1} {what}s"
            )
        return f"{what}s {name}…" if "partial" in values else f"{what} {name}"

    return make


def _random_words(values: Mapping[str, Value]) -> str:
    number = int(values["random"])
    return f"{number} random object{'' if number == 1 else 's'}{_of_class(values)}"


def _latest_words(values: Mapping[str, Value]) -> str:
    return f"{_counted(int(values['last']), 'latest alert')}{_of_class(values)}"


def _of_class(values: Mapping[str, Value]) -> str:
    return f" of class {values['class']}" if "class" in values else ""


def criteria(action: Action) -> tuple[str, ...]:
    """Return the further conditions of a search, for people."""
    values = action.parameters
    found = []
    if action.name == "conesearch" and "object" in values:
        found.append(position_words(float(values["ra"]), float(values["dec"])))
    what = "first detected " if action.name == "conesearch" else ""
    found += [f"{what}{name} {values[name]} UTC" for name in ("after", "before") if name in values]
    if "window" in values:
        is_alone = not {"after", "before"} & set(values)  # such a window ends now
        found.append(f"{what}within {'the last ' if is_alone else ''}{_days_words(float(values['window']))}")
    if action.name == "daterange":
        found.append("at most 3 hours")
    found += [f"{name} {values[name]}" for name in ("trend", "seed") if name in values]
    return tuple(found)


def _days_words(days: float) -> str:
    return f"{days * 24:g} h" if days < 1 else f"{days:g} day{'' if days == 1 else 's'}"


def _counted(number: int, what: str) -> str:
    return (
        f"The {what}" if number == 1 else f"The {number} {what.removesuffix('y')}{'ies' if what.endswith('y') else 's'}"
    )


_WORDS: Mapping[str, Callable[[Mapping[str, Value]], str]] = {
    "conesearch": _cone_words,
    "objectid": _named_words("Object"),
    "tracklet": _named_words("Tracklet"),
    "sso": lambda values: f"Solar System object {values['object']}",
    "anomaly": lambda values: _counted(int(values["last"]), "most recent anomaly"),
    "random": _random_words,
    "class": _latest_words,
    "daterange": lambda values: "Objects alerted in a span of time",
}
