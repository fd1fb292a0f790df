"""A user's list of positions and radii, read and checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units

from fink_broker.alert.lightcurve import Floats
from fink_broker.alert.sky import on_sky
from fink_broker.errors import ConfigError
from fink_broker.filters.places.angles import decimals, degrees
from fink_broker.filters.places.columns_of_file import Column, Columns, read_columns
from fink_broker.filters.places.limited_file import MIB, open_limited

LARGEST_FILE = 200 * MIB
#: 10°: beyond, a map of the area says better what is meant.
LARGEST_RADIUS = 36_000.0

#: Names of the two position columns, those that are decimal by convention first; case does not matter.
_POSITIONS = (
    ("ra", "dec"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("ra_deg", "dec_deg"),
    ("_raj2000", "_dej2000"),
    ("_ra.icrs", "_de.icrs"),
    ("_ra_icrs", "_de_icrs"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("ra_j2000", "dec_j2000"),
    ("ra2000", "dec2000"),
    ("ra2000", "de2000"),
    ("_ra", "_de"),
    ("ra", "decl"),
    ("ra", "de"),
    ("ra", "declination"),
    ("rightascension", "declination"),
    ("right_ascension", "declination"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("alpha", "delta"),
)
#: Names of the radius column, and its unit where the file names none (arcsec).
_RADII = {"radius": 1.0, "radius_arcsec": 1.0, "match_radius": 1.0, "radius_arcmin": 60.0, "radius_deg": 3600.0}
_NAMES = ("name", "id", "main_id", "source_id", "objectid", "object", "object_id", "designation", "target", "source")


@dataclass(frozen=True)
class Positions:
    """Positions with a radius and a name each, shape (k,).

    Parameters
    ----------
    ra, dec : numpy.ndarray
        In degrees.
    radius : numpy.ndarray
        In arcsec.
    names : list of str
        As the file has them; ``line 7`` or ``row 7`` where it has none.
    digest : str
        SHA-256 of the file.
    """

    ra: Floats
    dec: Floats
    radius: Floats
    names: list[str]
    digest: str

    def __len__(self) -> int:
        return len(self.names)


def checked_radius(radius_arcsec: float) -> float:
    """Return a radius in arcsec if it is one.

    Raises
    ------
    ConfigError
        If it is not above 0 and at most 10°.
    """
    if not isinstance(radius_arcsec, int | float) or not 0 < radius_arcsec <= LARGEST_RADIUS:
        raise ConfigError(
            f"{radius_arcsec} is no radius in arcsec.", f"Give a number above 0, at most {LARGEST_RADIUS:g} (10°)."
        )
    return float(radius_arcsec)


def read_positions(path: Path, radius_arcsec: float) -> Positions:
    """Read a list: CSV and its kin, VOTable, ECSV or a FITS table.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    radius_arcsec : float
        Radius of the rows that have none of their own.

    Raises
    ------
    ConfigError
        If the file cannot be read, is too large, has no columns of positions, no rows, or a row whose position or
        radius is none; it is refused as a whole, since a source left out would not be missed.
    """
    with open_limited(path, LARGEST_FILE) as opened:
        table, digest = read_columns(opened, _needed), opened.digest
    names = {name.strip().lower(): column for name, column in table.columns.items()}
    pair = _pair(names)
    if pair is None:
        found = ", ".join(f"'{name[:40]}'" for name in table.names[:20]) or "none"
        raise ConfigError(
            f"'{table.name}' has no columns of positions; its columns are {found}.", "Name them 'ra' and 'dec'."
        )
    if not len(table.lines):
        raise ConfigError(f"'{table.name}' has no rows.", "Write a position in each line.")
    ra, dec = _angle(table, names[pair[0]], pair[0], True), _angle(table, names[pair[1]], pair[1], False)
    _refuse(table, ~on_sky(ra, dec), "is off the sky", "Right ascension is 0° to 360°, declination -90° to 90°.")
    return Positions(ra, dec, _radii(table, names, radius_arcsec), _labels(table, names), digest)


def _needed(columns: Sequence[str]) -> list[str]:
    """Return those of the columns of a file that are needed, of several alike but for their case the first."""
    known = {name.strip().lower(): name for name in reversed(columns)}
    choices = (
        _pair(known) or (),
        [name for name in _RADII if name in known][:1],
        [name for name in _NAMES if name in known][:1],
    )
    return [known[name] for choice in choices for name in choice]


def _pair(names: Collection[str]) -> tuple[str, str] | None:
    return next((pair for pair in _POSITIONS if pair[0] in names and pair[1] in names), None)


def _angle(table: Columns, column: Column, name: str, hours: bool) -> Floats:
    if isinstance(column.values, list):
        values = degrees(column.values, hours)
        if column.unit.lower() in {"h", "hour", "hourangle"}:  # decimal hours written as text
            values = np.where(np.isnan(decimals(column.values)), values, values * 15.0)
    else:
        values = column.values * _scale(table, column, name, units.deg)
    bad = ~np.isfinite(values)
    if bad.any():
        place = int(np.argmax(bad))
        told = f"'{column.values[place][:40]}'" if isinstance(column.values, list) else "an empty cell"
        _refuse(table, bad, f"has {told} as '{name}', no angle", "Write degrees, or hh:mm:ss and dd:mm:ss.")
    return values


def _radii(table: Columns, names: dict[str, Column], default: float) -> Floats:
    name = next((name for name in _RADII if name in names), None)
    if name is None:
        return np.full(len(table.lines), default)
    column = names[name]
    if isinstance(column.values, list):
        values = decimals([text or str(default / _RADII[name]) for text in column.values]) * _RADII[name]
    else:
        scale = _scale(table, column, name, units.arcsec) if column.unit else _RADII[name]
        values = np.where(np.isnan(column.values), default, column.values * scale)
    with np.errstate(invalid="ignore"):
        bad = ~((values > 0) & (values <= LARGEST_RADIUS))
    _refuse(table, bad, "has no radius within the limits", f"Give arcsec above 0, at most {LARGEST_RADIUS:g}.")
    return values


def _scale(table: Columns, column: Column, name: str, wanted: units.UnitBase) -> float:
    if not column.unit:
        return 1.0
    text = re.sub(r"(?i)^(degrees?|deg)$", "deg", column.unit.strip())
    try:
        return float(units.Unit("hourangle" if text in {"h", "hour"} else text).to(wanted))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"Column '{name}' of '{table.name}' is in '{column.unit[:40]}', no unit of angle.", "Give it in degrees."
        ) from error


def _labels(table: Columns, names: dict[str, Column]) -> list[str]:
    column = next((names[name] for name in _NAMES if name in names), None)
    unnamed = (f"{table.where} {line}" for line in table.lines)
    if column is None:
        return list(unnamed)
    if isinstance(column.values, list):
        return [text or other for text, other in zip(column.values, unnamed, strict=True)]
    return [other if np.isnan(v) else f"{v:.0f}" for v, other in zip(column.values, unnamed, strict=True)]


def _refuse(table: Columns, bad: np.ndarray, what: str, hint: str) -> None:
    if bad.any():
        line = table.lines[int(np.argmax(bad))]
        more = f" ({np.count_nonzero(bad) - 1:,} more are like it)" if np.count_nonzero(bad) > 1 else ""
        raise ConfigError(f"{table.where.capitalize()} {line} of '{table.name}' {what}{more}.", hint)
