"""Arguments of requests: from what a client wrote to the values a route works with, or a sentence what is wrong.

Clients write all values as text, with blanks around, or as JSON; names a route does not know are ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from fink_broker.portal.body import parse_upload
from fink_broker.portal.dates import parse_date
from fink_broker.portal.route import Argument, Generation, Kind, RequestError, Route

#: where clients of the current generation find what a route takes
MANUAL = "https://api.ztf.fink-portal.org"
#: most entries of a comma list
MOST_NAMES = 10_000

_INTEGER = re.compile(r"[+-]?\d{1,19}(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_OBJECT_ID = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BREAK = re.compile(r"[\t\r\n]")
#: texts shorter than this are names and words, which have no line breaks; longer ones may be tables
LONGEST_WORDS = 1000


def read_arguments(
    route: Route, given: Mapping[str, Any], generation: Generation
) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the value of every argument of a route, and the names of those that were given.

    Parameters
    ----------
    route : Route
        What it takes.
    given : mapping
        What the client wrote, from the query string or the body.
    generation : {"current", "historic"}
        Whose words to use where a required argument is missing.

    Raises
    ------
    RequestError
        For the first argument that is missing or cannot be read.
    """
    arguments: dict[str, Any] = {}
    found: set[str] = set()
    for argument in route.arguments:
        names = (argument.name, *argument.aliases)
        written = next((given[name] for name in names if given.get(name) is not None), None)
        if argument.kind == "presence":
            is_given = any(name in given for name in names)
            arguments[argument.name] = is_given
        else:
            is_given = written is not None and not _is_blank(argument, written)
            if not is_given and argument.required:
                raise missing(argument.name, generation)
            arguments[argument.name] = read_value(argument, written) if is_given else argument.default
        if is_given:
            found.add(argument.name)
    return arguments, frozenset(found)


def read_value(argument: Argument, written: Any) -> Any:
    """Return what a client wrote as a value of the argument's kind.

    Raises
    ------
    RequestError
        If it cannot be read, or is beyond the argument's limits.
    """
    return _READERS[argument.kind](argument, written)


def missing(name: str, generation: Generation) -> RequestError:
    """Return the error of a required argument that is not there, in the words clients compare."""
    if generation == "historic":
        return RequestError(f"A value for `{name}` is required. Use GET to check arguments.\n")
    return RequestError(f"A value for `{name}` is required. See {MANUAL} \n")


def _is_blank(argument: Argument, written: Any) -> bool:
    """Return whether a value is empty where empty means absent; an empty text is a text."""
    return argument.kind not in ("text", "anything") and isinstance(written, str) and not written.strip()


def _wrong(argument: Argument, expected: str, written: Any) -> RequestError:
    shown = repr(written[:60] if isinstance(written, (str, bytes)) else written)[:80]
    return RequestError(f"`{argument.name}` must be {expected}, not {shown}.\n")


def _words(argument: Argument, written: Any) -> str:
    """Return a text without the blanks around it; numbers are taken as their text."""
    if isinstance(written, bool) or not isinstance(written, (str, int, float)):
        raise _wrong(argument, "a text", written)
    text = str(written).strip()
    if len(text) > argument.longest:
        raise RequestError(f"`{argument.name}` may have at most {argument.longest} characters.\n")
    is_table = argument.kind == "text" and argument.longest > LONGEST_WORDS
    if _CONTROL.search(text) or (not is_table and _BREAK.search(text)):
        raise RequestError(f"`{argument.name}` contains characters that cannot be part of it.\n")
    return text


def _integer(argument: Argument, written: Any) -> int:
    whole: int
    if isinstance(written, int) and not isinstance(written, bool):
        whole = written
    elif isinstance(written, float) and math.isfinite(written) and written.is_integer():
        whole = int(written)
    elif isinstance(written, str) and _INTEGER.fullmatch(written.strip()):
        whole = int(written.strip().partition(".")[0])
    else:
        raise _wrong(argument, "a whole number", written)
    if not -(2**63) <= whole < 2**63:
        raise _wrong(argument, "a whole number of at most 64 bits", written)
    _check_limits(argument, whole)
    return whole


def _number(argument: Argument, written: Any) -> float:
    number = math.nan
    if isinstance(written, (int, float)) and not isinstance(written, bool):
        number = float(written) if abs(written) < 1e300 else math.inf
    elif isinstance(written, str) and _NUMBER.fullmatch(written.strip()):
        number = float(written.strip())
    if not math.isfinite(number):
        raise _wrong(argument, "a number", written)
    _check_limits(argument, number)
    return number


def _check_limits(argument: Argument, number: float) -> None:
    if argument.least is not None and number < argument.least:
        raise RequestError(f"`{argument.name}` must be {argument.least:,g} or more, not {number:,g}.\n")
    if argument.most is not None and number > argument.most:
        raise RequestError(f"`{argument.name}` must be {argument.most:,g} or less, not {number:,g}.\n")


def _flag(argument: Argument, written: Any) -> bool:
    """Tell whether a value is True or its name; everything else is not."""
    return isinstance(written, (str, bool)) and str(written).strip().lower() == "true"


def _presence(argument: Argument, written: Any) -> bool:
    return True


def _date(argument: Argument, written: Any) -> float:
    text = _words(argument, written)
    try:
        return parse_date(text)
    except ValueError as error:
        raise RequestError(f"`{argument.name}` is not a date: {error}.\n") from None


def _choice(argument: Argument, written: Any) -> str:
    text = _words(argument, written).casefold()
    for choice in argument.choices:
        if choice.casefold() == text:
            return choice
    raise _wrong(argument, f"one of {', '.join(argument.choices)}", written)


def _names(argument: Argument, written: Any) -> tuple[str, ...]:
    """Return the entries of a comma list, or of a JSON list of texts, without empty ones."""
    if isinstance(written, (list, tuple)):
        if not all(isinstance(name, str) for name in written):
            raise _wrong(argument, "names separated by commas", written)
        written = ",".join(written)
    text = _words(argument, written)
    names = tuple(name for part in text.split(",", MOST_NAMES + 1) if (name := part.strip()))
    if len(names) > MOST_NAMES:
        raise RequestError(f"`{argument.name}` may have at most {MOST_NAMES:,} entries.\n")
    if not names:
        raise _wrong(argument, "at least one name", written)
    return names


def _object_ids(argument: Argument, written: Any) -> tuple[str, ...]:
    names = _names(argument, written)
    for name in names:
        if not _OBJECT_ID.fullmatch(name):
            raise RequestError(
                f"`{argument.name}` cannot be {name[:60]!r}: names of objects are letters and digits, "
                "as ZTF19aaosfcb; several are separated by commas.\n"
            )
    return names


def _columns(argument: Argument, written: Any) -> tuple[str, ...] | None:
    if isinstance(written, str):
        written = written.replace(" ", "")
    names = _names(argument, written)
    return None if names == ("*",) else names


def _angle(argument: Argument, written: Any) -> str:
    if isinstance(written, float) and not math.isfinite(written):
        raise _wrong(argument, "an angle", written)
    return _words(argument, written)


def _upload(argument: Argument, written: Any) -> bytes:
    try:
        return parse_upload(written)
    except ValueError as error:
        raise RequestError(f"`{argument.name}` {error}.\n") from None


def _anything(argument: Argument, written: Any) -> Any:
    return written


_READERS: dict[Kind, Callable[[Argument, Any], Any]] = {
    "text": _words,
    "integer": _integer,
    "number": _number,
    "flag": _flag,
    "presence": _presence,
    "date": _date,
    "choice": _choice,
    "names": _names,
    "object_ids": _object_ids,
    "columns": _columns,
    "angle": _angle,
    "upload": _upload,
    "anything": _anything,
}
