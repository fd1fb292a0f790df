"""Angles as people write them: decimal, or sexagesimal with colons, blanks or letters."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_SEXAGESIMAL = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<whole>\d{1,3})\s*[:\shd°]\s*(?P<minutes>\d{1,2}(?:\.\d*)?)"
    r"(?:\s*[:\sm′']\s*(?P<seconds>\d{1,2}(?:\.\d*)?))?\s*[ms″′\"']?"
)


def decimals(texts: Sequence[str]) -> Floats:
    """Return numbers, NaN for what is none."""
    try:
        numbers = pc.cast(pa.array(texts, pa.string()), pa.float64())
        return np.array(numbers.to_numpy(zero_copy_only=False), dtype=float)
    except pa.ArrowInvalid:
        return np.array([_decimal(text) for text in texts])


def degrees(texts: Sequence[str], hours: bool) -> Floats:
    """Return angles in degrees, NaN for what is none.

    Parameters
    ----------
    texts : sequence of str
        ``150.25``, ``10:01:00.5``, ``10 01 00.5``, ``10h01m00.5s``, ``-02:12.5``.
    hours : bool
        Whether sexagesimal ones are hours; decimal ones are degrees always.
    """
    numbers = decimals(texts)
    for place in np.flatnonzero(np.isnan(numbers)).tolist():
        numbers[place] = _sexagesimal(texts[place], 15.0 if hours else 1.0)
    return numbers


def _decimal(text: str) -> float:
    return float(text) if _DECIMAL.fullmatch(text.strip()) else np.nan


def _sexagesimal(text: str, scale: float) -> float:
    match = _SEXAGESIMAL.fullmatch(text.strip())
    if not match:
        return np.nan
    minutes, seconds = float(match["minutes"]), float(match["seconds"] or 0.0)
    # a fraction of a minute and seconds exclude each other
    if minutes >= 60 or seconds >= 60 or (match["seconds"] and "." in match["minutes"]):
        return np.nan
    # "-00:30" is south: the sign is not that of the whole degrees
    return (-1.0 if match["sign"] == "-" else 1.0) * scale * (int(match["whole"]) + minutes / 60 + seconds / 3600)
