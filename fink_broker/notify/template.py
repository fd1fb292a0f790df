"""The words of a post: a text with named fields in braces, of which nothing is ever evaluated."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fink_broker.errors import ConfigError
from fink_broker.notify.notice import FIELDS, Value

LONGEST_TEMPLATE = 1000
#: Longest text that is posted; Telegram takes 4096 units of which a rare character needs two.
LONGEST_TEXT = 2000
#: What stands for a missing value.
MISSING = "–"

_FORM = re.compile(r"\.([0-9])f")


@dataclass(frozen=True)
class Template:
    """A text with fields.

    Only the names of `FIELDS` are fields, and all that may follow one is ``:.2f``, a number of digits. There is no way
    to an attribute, an element, or a width.

    Parameters
    ----------
    text : str
        Such as ``{objectId} has {magpsf:.1f} mag``; ``{{`` and ``}}`` stand for braces.

    Raises
    ------
    ConfigError
        If it is too long, has an unknown field, or anything else in braces.
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_TEMPLATE:
            raise ConfigError(
                f"The text has {len(self.text)} characters.", f"{LONGEST_TEMPLATE} is the most: shorten it."
            )
        self._parts()

    def render(self, values: Mapping[str, Value], escape: Callable[[str], str] = str) -> str:
        """Return the text with values.

        Parameters
        ----------
        values : mapping
            By the names of `FIELDS`.
        escape : callable
            Makes a value harmless for where the text goes.
        """
        words = []
        for literal, name, digits in self._parts():
            words.append(literal)
            if name:
                words.append(escape(shown(values.get(name), digits)))
        return "".join(words)[:LONGEST_TEXT]

    def _parts(self) -> list[tuple[str, str, int | None]]:
        """Return text, name of the field after it (or nothing), digits of that field."""
        try:
            parts = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise ConfigError(
                f"The text is not well-formed: {error}.", "Write {{ and }} where you mean braces."
            ) from None
        return [
            (literal, name or "", None if name is None else _digits(name, form or "", conversion))
            for literal, name, form, conversion in parts
        ]


def shown(value: Value, digits: int | None = None) -> str:
    """Return a value as it is told.

    Parameters
    ----------
    value : str, int, float or None
        What.
    digits : int or None
        After the point, for numbers; None: as it is.
    """
    if value is None:
        return MISSING
    return format(float(value), f".{digits}f") if digits is not None and not isinstance(value, str) else str(value)


def _digits(name: str, form: str, conversion: str | None) -> int | None:
    if name not in FIELDS:
        raise ConfigError(f"The text uses {{{name[:40]}}}, which is no field.", f"Fields are {', '.join(FIELDS)}.")
    found = _FORM.fullmatch(form)
    if conversion or (form and found is None):
        raise ConfigError(
            f"The text has more than a field in the braces of {{{name}}}.",
            "All that may follow a name is a number of digits, as in {magpsf:.2f}.",
        )
    return int(found[1]) if found else FIELDS[name].digits
