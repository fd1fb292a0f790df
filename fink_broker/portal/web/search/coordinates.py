"""Positions on the sky, and angles, as astronomers write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: longer texts are no coordinates
LONGEST = 120
ARCSEC_PER_DEGREE = 3600.0
_DEGREES_PER_HOUR = 15.0

_UNITS = {"d": 3600.0, "deg": 3600.0, "m": 60.0, "'": 60.0, "arcmin": 60.0, "s": 1.0, '"': 1.0, "arcsec": 1.0, "": 1.0}
_N = r"(?:\d+(?:\.\d*)?|\.\d+)"
_UNIT = r"(?:deg|arcmin|arcsec|d|m|s|'|\")"
_RADIUS = rf"(?:\s+(?P<radius>{_N}\s?{_UNIT}?))?"
#: between both angles there is a blank, or the sign of the second
_BETWEEN = r"(?:\s+(?P<sign>[+-]?)|(?P<joined>[+-]))\s*"
_ANGLE = re.compile(rf"({_N})\s?({_UNIT}?)", re.ASCII)
_DECIMAL = re.compile(rf"(?P<ra>[+-]?{_N})d?{_BETWEEN}(?P<dec>{_N})d?{_RADIUS}", re.ASCII)
_SEXAGESIMAL = re.compile(
    rf"(?P<h>\d{{1,3}})(?P<mark>[\s:])(?P<m>\d{{1,2}})(?P=mark)(?P<s>{_N}){_BETWEEN}"
    rf"(?P<dd>\d{{1,3}})[\s:](?P<dm>\d{{1,2}})[\s:](?P<ds>{_N}){_RADIUS}",
    re.ASCII,
)
_WITH_UNITS = re.compile(
    rf"(?P<h>{_N})(?P<mark>[hd])\s?(?:(?P<m>{_N})[m']\s?)?(?:(?P<s>{_N})[s\"])?{_BETWEEN}"
    rf"(?P<dd>{_N})d\s?(?:(?P<dm>{_N})[m']\s?)?(?:(?P<ds>{_N})[s\"])?{_RADIUS}",
    re.ASCII,
)
_PLAIN = str.maketrans({"−": "-", "–": "-", "°": "d", "º": "d", "′": "'", "’": "'", "″": '"', "”": '"'})


class CoordinatesError(ValueError):
    """Coordinates that are none; the text is a sentence for visitors."""


@dataclass(frozen=True)
class Position:
    """A place on the sky (ICRS).

    Parameters
    ----------
    ra, dec : float
        Right ascension (0 ≤ ra < 360) and declination in degrees.
    radius : float, optional
        Radius in arcseconds, where one was written behind.
    """

    ra: float
    dec: float
    radius: float | None = None


def read_position(text: str) -> Position | None:
    """Return the position a text is, None if it is none.

    Decimal degrees, ``HH MM SS.S ±DD MM SS.S`` with blanks or colons, and angles with units are read; a further number
    is a radius, in arcseconds unless it has a unit.

    Raises
    ------
    CoordinatesError
        If it is written like a position, but no place on the sky has it.
    """
    text = plain(text)
    if len(text) > LONGEST:
        return None
    if found := _SEXAGESIMAL.fullmatch(text):
        ra = _DEGREES_PER_HOUR * _whole(found["h"], found["m"], found["s"])
    elif found := _WITH_UNITS.fullmatch(text):
        factor = _DEGREES_PER_HOUR if found["mark"] == "h" else 1.0
        ra = factor * _whole(found["h"], found["m"] or "0", found["s"] or "0")
    elif found := _DECIMAL.fullmatch(text):
        ra = float(found["ra"])
    else:
        return None
    parts = found.groupdict()
    in_degrees = parts.get("dec")
    dec = float(in_degrees) if in_degrees else _whole(parts["dd"], parts["dm"] or "0", parts["ds"] or "0")
    if "-" in (parts["sign"], parts["joined"]):
        dec = -dec
    return checked(ra, dec, None if parts["radius"] is None else read_angle(parts["radius"]))


def checked(ra: float, dec: float, radius: float | None = None) -> Position:
    """Return a position that is on the sky; raises CoordinatesError for others."""
    if not -90.0 <= dec <= 90.0:
        turned = ". Right ascension comes first" if -90.0 <= ra <= 90.0 else ""
        raise CoordinatesError(f"Declinations go from -90° to +90°, {dec:g}° is none{turned}.")
    if not -180.0 <= ra <= 360.0:
        raise CoordinatesError(f"Right ascensions go from 0° to 360° (0 to 24 hours), {ra:g}° is none.")
    turn = ra % 360.0
    return Position(0.0 if turn == 360.0 else turn, dec, radius)


def read_angle(text: str) -> float:
    """Return an angle in arcseconds: a number, with ``d``, ``m`` or ``'``, ``s`` or ``"`` behind it.

    Raises
    ------
    CoordinatesError
        If it is none.
    """
    found = _ANGLE.fullmatch(plain(text)) if len(text) <= LONGEST else None
    if found is None:
        raise CoordinatesError(
            f"“{text[:40]}” is no angle: write arcseconds, or a unit behind the number, as 10s, 5m or 0.5d."
        )
    return float(found[1]) * _UNITS[found[2]]


def plain(text: str) -> str:
    """Return a text with the marks of a keyboard in place of typographic ones."""
    return text.strip().translate(_PLAIN)


def degrees_text(degrees: float) -> str:
    """Return degrees as they stand in addresses: to 0.4 milliarcseconds, without needless zeros."""
    return f"{degrees:.7f}".rstrip("0").rstrip(".")


def angle_words(arcsec: float) -> str:
    """Return an angle in the unit people would take."""
    if arcsec >= ARCSEC_PER_DEGREE:
        return f"{arcsec / ARCSEC_PER_DEGREE:.4g}°"
    if arcsec >= 120.0:
        return f"{arcsec / 60.0:.4g}′"
    return f"{arcsec:.4g}″"


def position_words(ra: float, dec: float) -> str:
    """Return a position in degrees, short."""
    return f"{ra:.2f}°, {dec:+.2f}°".replace("-", "−")


def _whole(units: str, minutes: str, seconds: str) -> float:
    if float(minutes) >= 60.0 or float(seconds) >= 60.0:
        raise CoordinatesError("Minutes and seconds of an angle go up to 59.")
    return float(units) + float(minutes) / 60.0 + float(seconds) / ARCSEC_PER_DEGREE
