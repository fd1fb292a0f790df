"""What a visitor selects: nights, classes, conditions, content; in the address, and as arguments of the command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fink_broker.errors import UsageError
from fink_broker.portal.class_names import SIMBAD_PREFIX, SIMBAD_TYPES, TNS_PREFIX, TNS_TYPES
from fink_broker.science.finkclass import AMBIGUOUS, CLASSES, UNKNOWN

#: Classes the broker gives at night; tracklets are known later, and no column of the archive holds them.
FINK = tuple(sorted((*CLASSES, AMBIGUOUS, UNKNOWN), key=str.casefold))
TNS = tuple(TNS_PREFIX + name for name in TNS_TYPES)
SIMBAD = tuple(SIMBAD_PREFIX + name for name in SIMBAD_TYPES)
ALL_CLASSES = frozenset((*FINK, *TNS, *SIMBAD))
#: Most classes of one selection, and characters of its conditions.
MOST_CLASSES, LONGEST_CONDITIONS = 50, 4000
#: Alerts beyond which a selection is refused.
MOST_ALERTS = 10_000_000
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True)
class Content:
    """What of each alert is sent.

    Parameters
    ----------
    label : str
        What visitors read.
    text : str
        What it is good for.
    bytes : int
        Mean size of an alert in bytes: of the 558 public alerts of 2023-10-18 with all science columns.
    option : str
        Of ``fink transfer``.
    """

    label: str
    text: str
    bytes: int
    option: str


CONTENTS = {
    "light_curve": Content(
        "Light curve", "All columns and the history of the last 30 days, no images.", 8_300, "--output=light_curve"
    ),
    "thin": Content("Measurements", "The alert itself: no history, no images.", 1_700, "--output=thin"),
    "cutouts": Content(
        "Cutouts",
        "The three stamps with the measurements they belong to.",
        41_000,
        "--columns=cutoutScience,cutoutTemplate,cutoutDifference",
    ),
    "full": Content("Full packet", "Everything: history, stamps and all columns.", 49_000, "--output=full"),
}


@dataclass(frozen=True)
class Selection:
    """What is selected; empty texts are not chosen yet.

    Parameters
    ----------
    start, stop : str
        First and last observing night, ``YYYY-MM-DD``, both included.
    classes : tuple of str
        Of `ALL_CLASSES`; none: all.
    conditions : str
        One SQL condition a line, which may end with ``;``.
    content : str
        Of `CONTENTS`.
    """

    start: str = ""
    stop: str = ""
    classes: tuple[str, ...] = ()
    conditions: str = ""
    content: str = ""

    @property
    def lines(self) -> tuple[tuple[int, str], ...]:
        """The conditions with the number of their line from 1, without what ends them."""
        numbered = enumerate((line.strip() for line in self.conditions.splitlines()), start=1)
        stripped = ((number, line.rstrip("; \t")) for number, line in numbered)
        return tuple((number, line) for number, line in stripped if line)

    @property
    def where(self) -> str:
        """All conditions as one; empty if there are none."""
        conditions = [line for _, line in self.lines]
        return conditions[0] if len(conditions) == 1 else " AND ".join(f"({line})" for line in conditions)

    def arguments(self, topic: str = "") -> list[str]:
        """Return the arguments of ``fink transfer``, each a word of its own, none of which can be taken for another.

        Parameters
        ----------
        topic : str
            Where to; without, it is what visitors read, with it what the portal runs, which has a limit of its own.
        """
        given = [f"--start={self.start}", f"--stop={self.stop}"]
        given += [f"--class={name}" for name in self.classes]
        given += [f"--where={self.where}"] if self.where else []
        given += [CONTENTS[self.content].option] if self.content else []
        return given + ([f"--max-alerts={MOST_ALERTS}", f"--topic={topic}"] if topic else [])

    def query(self) -> str:
        """Return the query string that leads back here."""
        given = {"start": self.start, "stop": self.stop, "class": ",".join(self.classes), "where": self.conditions,
                 "content": self.content}  # fmt: skip
        return urlencode({name: value for name, value in given.items() if value})


def from_address(arguments: Mapping[str, str]) -> Selection:
    """Return the selection of an address; what cannot be meant is left out."""
    classes = tuple(name for name in arguments.get("class", "").split(",") if name in ALL_CLASSES)
    content = arguments.get("content", "")
    return Selection(
        _date_or_none(arguments.get("start", "")),
        _date_or_none(arguments.get("stop", "")),
        classes[:MOST_CLASSES],
        arguments.get("where", "")[:LONGEST_CONDITIONS],
        content if content in CONTENTS else "",
    )


def from_inputs(start: Any, stop: Any, classes: Any, conditions: Any, content: Any) -> Selection:
    """Return the selection that a browser sends, once it is seen to be one.

    Raises
    ------
    UsageError
        If it is none; the sentence is for the visitor.
    """
    text = _text(conditions, "The conditions are no text.", "Write one a line.")
    if len(text) > LONGEST_CONDITIONS:
        raise UsageError(f"The conditions are longer than {LONGEST_CONDITIONS:,} characters.", "Write fewer.")
    chosen = _text(content, "There is no such content.", "Choose from the list.")
    if chosen and chosen not in CONTENTS:
        raise UsageError("There is no such content.", "Choose from the list.")
    first, last = _checked(start, "first"), _checked(stop, "last")
    if first and last and last < first:
        raise UsageError(f"The last night, {last}, is before the first, {first}.", "Exchange them.")
    return Selection(first, last, _names(classes), text, chosen)


def _text(given: Any, wrong: str, hint: str) -> str:
    if given is not None and not isinstance(given, str):
        raise UsageError(wrong, hint)
    return given or ""


def _names(classes: Any) -> tuple[str, ...]:
    names = [] if classes is None else classes
    if not isinstance(names, list | tuple):
        raise UsageError("The classes are no list.", "Choose from the list.")
    if len(names) > MOST_CLASSES:
        raise UsageError(f"More than {MOST_CLASSES} classes are chosen.", "Choose fewer, or none for all.")
    if unknown := [name for name in names if not (isinstance(name, str) and name in ALL_CLASSES)]:
        raise UsageError(f"There is no class {str(unknown[0])[:60]!r}.", "Choose from the list.")
    return tuple(dict.fromkeys(names))


def _checked(date: Any, which: str) -> str:
    wrong, hint = f"The {which} night is no date.", "Write it as YYYY-MM-DD."
    text = _text(date, wrong, hint)
    found = _date_or_none(text[:10])
    if text and not found:
        raise UsageError(wrong, hint)
    return found


def _date_or_none(text: str) -> str:
    try:
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return text if _DATE.fullmatch(text) else ""
