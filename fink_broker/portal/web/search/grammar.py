"""The grammar of the search field: from what somebody types to what is searched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fink_broker.portal.web.search import coordinates
from fink_broker.portal.web.search.coordinates import CoordinatesError, Position
from fink_broker.portal.web.search.values import LARGEST_RADIUS_ARCSEC, READERS, Value, disorder, words_of

#: longest text that is looked at, and most names of objects in it
LONGEST, MOST_NAMES = 1000, 50
KEYS = ("class", "last", "radius", "r", "after", "before", "window", "random", "seed", "sso", "trend", "ra", "dec")

_KEY = re.compile(rf"({'|'.join(KEYS)})(?:\s*=\s*|:)", re.IGNORECASE | re.ASCII)
_DATE_AND_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?![^\s,])", re.ASCII)
_BARE = re.compile(r"[^\s,]+")
_OBJECT = re.compile(r"ZTF(?:[12](?:\d\w{0,7})?)?", re.IGNORECASE | re.ASCII)
_WHOLE_OBJECT = re.compile(r"ZTF[12]\d[a-z]{7}", re.ASCII)
_TRACKLET = re.compile(r"TRCK(?:_\d{0,8}|_\d{8}_\d{0,6}|_\d{8}_\d{6}_\d{0,2})?", re.IGNORECASE | re.ASCII)
_OPENING = "\"'“"
_CLOSING = {"“": "”"}
_NAME_WITHOUT_BLANK = re.compile(r"(AT|SN)((?:19|20)\d{2}[A-Za-z]{1,5})", re.IGNORECASE | re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class OpenQuote(ValueError):
    """A quote has no end yet."""


@dataclass(frozen=True)
class Token:
    """A part of the text: what it says, the key it is a value of (empty: none), and whether it is in quotes."""

    text: str
    key: str = ""
    is_quoted: bool = False


@dataclass(frozen=True)
class Parsed:
    """What a text says.

    Parameters
    ----------
    objects : tuple of str
        Names of objects, or beginnings of names: prefix in upper, the rest in lower case.
    tracklet : str
        Name of a tracklet or its beginning, in upper case.
    values : mapping
        Value of each key; ``radius`` stands under ``r`` in arcseconds, times are ISO 8601 (UTC), ``window`` is in days.
    position : Position, optional
        Coordinates, in degrees.
    name : str
        Text that is none of these: a name that others may know.
    problems : tuple of str
        Sentences on what cannot be read.
    unfinished : tuple of str
        Keys that have no value yet.
    is_open : bool
        Whether a quote has no end: nothing is to be done yet.
    """

    objects: tuple[str, ...] = ()
    tracklet: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    position: Position | None = None
    name: str = ""
    problems: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return self == Parsed()

    @property
    def whole_object(self) -> str:
        """The full name of the one object that is named, else empty."""
        return self.objects[0] if len(self.objects) == 1 and is_whole_name(self.objects[0]) else ""


def is_whole_name(name: str) -> bool:
    """Tell whether a text is the full name of an object, as ``ZTF21abfmbix``."""
    return _WHOLE_OBJECT.fullmatch(name) is not None


def object_name(text: str) -> str | None:
    """Return the name of an object, or its beginning, in its usual case; None if the text is none."""
    return text[:3].upper() + text[3:].lower() if _OBJECT.fullmatch(text) else None


def tracklet_name(text: str) -> str | None:
    """Return the name of a tracklet, or its beginning, in upper case; None if the text is none."""
    return text.upper() if _TRACKLET.fullmatch(text) else None


def parse(text: str) -> Parsed:
    """Return what a text says; whatever it is, this does not fail.

    Parameters
    ----------
    text : str
        As typed; beyond a thousand characters it is not read.
    """
    if len(text) > LONGEST:
        return Parsed(problems=(f"A search has at most {LONGEST} characters, this one has {len(text):,}.",))
    try:
        tokens = tokens_of(text)
    except OpenQuote:
        return Parsed(is_open=True)
    return _Reading().read(tokens)


def tokens_of(text: str) -> list[Token]:
    """Return the parts of a text: blanks and commas part them, quotes and dates with a time hold together.

    Raises
    ------
    OpenQuote
        If a quote has no end.
    """
    text = _UNPRINTABLE.sub(" ", text)
    found: list[Token] = []
    place = 0
    while True:
        place = _behind_blanks(text, place)
        if place >= len(text):
            return found
        key = _KEY.match(text, place)
        if key:
            place = key.end()
        value, place, is_quoted = _value(text, place)
        if is_quoted and not key and (inner := _KEY.match(value)):  # the whole pair is in quotes
            found.append(Token(value[inner.end() :].strip(), inner[1].lower(), True))
        else:
            found.append(Token(value, key[1].lower() if key else "", is_quoted))


def _behind_blanks(text: str, place: int) -> int:
    while place < len(text) and (text[place].isspace() or text[place] == ","):
        place += 1
    return place


def _value(text: str, place: int) -> tuple[str, int, bool]:
    """Return what begins at a place, where it ends, and whether it is in quotes."""
    if place < len(text) and text[place] in _OPENING:
        end = text.find(_CLOSING.get(text[place], text[place]), place + 1)
        if end < 0:
            raise OpenQuote
        return text[place + 1 : end], end + 1, True
    if _KEY.match(text, place):  # the next key: this one has no value yet
        return "", place, False
    bare = _DATE_AND_TIME.match(text, place) or _BARE.match(text, place)
    return (bare[0], bare.end(), False) if bare else ("", place, False)


class _Reading:
    """What has been read of a text so far."""

    def __init__(self) -> None:
        self.objects: list[str] = []
        self.tracklet = ""
        self.values: dict[str, Value] = {}
        self.rest: list[str] = []
        self.problems: list[str] = []
        self.unfinished: list[str] = []
        self._open_key = ""  # a class or a name without quotes goes on with the next word

    def read(self, tokens: list[Token]) -> Parsed:
        for token in tokens:
            if token.key:
                self._key(token)
            elif not self._continues(token):
                self._open_key = ""
                self._word(token)
        position, name = self._place()
        if problem := disorder(self.values):
            self.problems.append(problem)
        return Parsed(
            tuple(dict.fromkeys(self.objects)), self.tracklet, self.values, position, name, tuple(self.problems),
            tuple(self.unfinished),
        )  # fmt: skip

    def _key(self, token: Token) -> None:
        key = "r" if token.key == "radius" else token.key
        self._open_key = key if key in ("class", "sso") and not token.is_quoted and token.text else ""
        if not token.text.strip():
            self.unfinished.append(key)
            return
        try:
            self.values[key] = READERS[key](token.text.strip())
        except ValueError as error:
            self.problems.append(str(error))

    def _continues(self, token: Token) -> bool:
        is_word = self._open_key and not token.is_quoted and token.text[:1].isalpha()
        if not is_word or object_name(token.text) or tracklet_name(token.text):
            return False
        self.values[self._open_key] = words_of(f"{self.values[self._open_key]} {token.text}")
        return True

    def _word(self, token: Token) -> None:
        if name := object_name(token.text):
            self.objects.append(name)
            if len(self.objects) == MOST_NAMES + 1:
                self.problems.append(f"At most {MOST_NAMES} objects can be asked for at once.")
        elif name := tracklet_name(token.text):
            self.tracklet = name
        elif token.text.strip():
            self.rest.append(token.text.strip())

    def _place(self) -> tuple[Position | None, str]:
        """Return coordinates that are in the text, and a name that is."""
        text = " ".join(self.rest)
        try:
            position = coordinates.read_position(text) if text else None
            if "ra" in self.values and "dec" in self.values and not text:
                position = coordinates.checked(float(self.values["ra"]), float(self.values["dec"]))
        except CoordinatesError as error:
            self.problems.append(str(error))
            return None, ""
        if position is not None and position.radius is not None:
            self.values.setdefault("r", min(position.radius, LARGEST_RADIUS_ARCSEC))
        return position, "" if position else _spaced(text)


def _spaced(name: str) -> str:
    """Return a name; those of the Transient Name Server with the blank that they have before the year."""
    found = _NAME_WITHOUT_BLANK.fullmatch(name)
    return f"{found[1].upper()} {found[2]}" if found else name
