"""What a text means: its grammar, the class that it names, and who knows the name in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fink_broker.portal.web.api import Api
from fink_broker.portal.web.search import classes
from fink_broker.portal.web.search.grammar import Parsed, parse
from fink_broker.portal.web.search.names import named, object_at
from fink_broker.portal.web.search.rules import Action, Known, action_of


@dataclass(frozen=True)
class Understood:
    """What a text means.

    Parameters
    ----------
    parsed : Parsed
        What it says.
    action : Action, optional
        The search it stands for; None if there is nothing to do yet, or several could be meant.
    choices : tuple of (Known, Action)
        Those that could be meant, if several could.
    away : tuple of str
        Who could not be asked for a name.
    is_resolved : bool
        Whether all that had to be asked has been.
    """

    parsed: Parsed
    action: Action | None
    choices: tuple[tuple[Known, Action], ...] = ()
    away: tuple[str, ...] = ()
    is_resolved: bool = True

    @property
    def is_recognised(self) -> bool:
        """Whether there is one search that can be made."""
        return self.action is not None and self.action.name != "unknown"


def understand(text: str, api: Api, *, with_names: bool = True) -> Understood:
    """Return what a text means.

    Parameters
    ----------
    text : str
        As typed.
    api : Api
        The REST API, asked for classes and names.
    with_names : bool
        Whether others may be asked for a name in it, which takes time.

    Raises
    ------
    ApiError
        If a name has to be asked for and the API does not answer.
    """
    parsed = _with_class(parse(text), api)
    action = action_of(parsed)
    if action is None or parsed.problems or parsed.position:
        return Understood(parsed, action)
    if parsed.whole_object and "r" in parsed.values:
        return Understood(parsed, action_of(parsed, object_at(parsed.whole_object, api)))
    if not parsed.name or parsed.objects or parsed.tracklet:
        return Understood(parsed, action)
    if not with_names:
        return Understood(parsed, action, is_resolved=False)
    naming = named(parsed.name, api)
    if len(naming.known) == 1:
        return Understood(parsed, action_of(parsed, naming.known[0]), away=naming.away)
    choices = tuple((known, found) for known in naming.known if (found := action_of(parsed, known)) is not None)
    return Understood(parsed, None if choices else action, choices, naming.away)


def with_known_class(action: Action, api: Api) -> Action:
    """Return a search whose class has the name that the API knows it by."""
    given = str(action.parameters.get("class", ""))
    if not given or action.name == "anomaly":
        return action
    return replace(action, parameters={**action.parameters, "class": classes.meant(given, classes.classes(api))})


def _with_class(parsed: Parsed, api: Api) -> Parsed:
    given = str(parsed.values.get("class", ""))
    if not given or given.casefold() == "anomaly":
        return parsed
    name = classes.meant(given, classes.classes(api))
    return replace(parsed, values={**parsed.values, "class": name})
