"""Positions of requests: right ascension and declination (ICRS) in the notations clients use."""

from __future__ import annotations

import math
import re

from fink_broker.portal.route import RequestError

_DEGREES = re.compile(r"[+-]?(\d{1,4}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
#: longer texts are no angles; the parser of sexagesimal angles is slow on long ones
LONGEST = 64


def parse_position(ra: str | float, dec: str | float) -> tuple[float, float]:
    """Return right ascension and declination in degrees.

    Right ascension with an ``h`` is read by its units (``12h55m17.218s``), with a colon or a blank inside as hours,
    minutes, seconds; else as degrees, with units or without (``193.8217409``, ``193d49m18.267s``). Declination is in
    degrees always.

    Parameters
    ----------
    ra, dec : str or float
        Blanks around them do not matter.

    Returns
    -------
    ra, dec : float
        Degrees, 0 ≤ ra < 360, -90 ≤ dec ≤ 90.

    Raises
    ------
    RequestError
        If they cannot be read; it holds astropy's exception where there is one.
    """
    texts = str(ra).strip(), str(dec).strip()
    if max(map(len, texts)) > LONGEST:
        raise RequestError("`ra` and `dec` are angles of at most 64 characters, as 193.8217409 or 12h55m17.2s.")
    if all(_DEGREES.fullmatch(text) for text in texts):
        position = float(texts[0]), float(texts[1])
    else:
        position = _by_astropy(*texts)
    if not all(map(math.isfinite, position)):
        raise RequestError("`ra` and `dec` must be finite.")
    if abs(position[1]) > 90:
        raise RequestError("`dec` must be between -90 and 90 degrees.")
    right_ascension = position[0] % 360.0
    return (0.0 if right_ascension == 360.0 else right_ascension), position[1]


def _by_astropy(ra: str, dec: str) -> tuple[float, float]:
    """Read sexagesimal angles, or raise the RequestError that holds the exception."""
    from astropy.coordinates import Angle, Latitude, Longitude  # noqa: PLC0415  (slow to import)

    is_in_hours = "h" not in ra and (":" in ra or " " in ra)
    try:
        longitude = Longitude(Angle(ra, unit="hourangle" if is_in_hours else "deg"))
        latitude = Latitude(Angle(dec, unit="deg"))
    except Exception as error:  # whatever its parser stumbles over is the client's mistake
        raise RequestError(error) from None
    return float(longitude.deg), float(latitude.deg)
