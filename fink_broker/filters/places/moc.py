"""Multi-order coverage maps: parts of the sky as lists of HEALPix cells (IVOA MOC 2.0, Fernique et al. 2022)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import numpy as np

from fink_broker.errors import ConfigError
from fink_broker.filters.places.fits_table import FitsTable
from fink_broker.filters.places.sky_region import EQUATORIAL, FINEST, WHOLE_SKY, SkyRegion, cell_ranges, split_uniq

_HINT = "Write it anew as a space MOC, in FITS, JSON or ASCII."
#: ``3/``, ``3/5``, ``5`` or ``5-8``; 19 digits are the most that 64 bits hold.
_WORD = re.compile(r"(?:s?(\d{1,2})/)?(?:(\d{1,19})(?:-(\d{1,19}))?)?")


def read_fits(table: FitsTable) -> SkyRegion:
    """Read a MOC in FITS, as numbers of cells (NUNIQ) or as ranges (RANGE).

    Raises
    ------
    ConfigError
        If it is of another dimension or frame, or its numbers are none of cells.
    """
    dimension, frame = table.keyword("MOCDIM") or "SPACE", table.keyword("COORDSYS")
    if dimension != "SPACE" or frame not in EQUATORIAL:
        raise ConfigError(f"'{table.name}' is a MOC of {dimension} in frame '{frame}'.", "Give a space MOC in ICRS.")
    numbers = table.whole_numbers(table.columns[0])
    if table.keyword("ORDERING") == "RANGE":
        if len(numbers) % 2:
            raise _no_moc(table.name, "its last range has no end")
        return _region(table.name, numbers[0::2], numbers[1::2])
    order, cell = split_uniq(numbers)
    if ((order < 0) | (order > FINEST)).any():
        raise _no_moc(table.name, f"{numbers[(order < 0) | (order > FINEST)][0]} is the number of no cell")
    return _region(table.name, *cell_ranges(order, cell))


def read_text(name: str, text: str) -> SkyRegion:
    """Read a MOC in JSON (``{"3": [5, 6]}``) or ASCII (``3/5-6 8 4/``), cells apart by blanks or commas.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    text : str
        What it holds.

    Raises
    ------
    ConfigError
        If it is neither, or names a cell that does not exist.
    """
    triples = _of_json(name, text) if text.lstrip()[:1] == "{" else _of_ascii(name, text)
    cells = np.array([_checked(name, *triple) for triple in triples], dtype=np.int64).reshape(-1, 3)
    first, _ = cell_ranges(cells[:, 0], cells[:, 1])
    _, end = cell_ranges(cells[:, 0], cells[:, 2])
    return _region(name, first, end)


def _of_json(name: str, text: str) -> Iterable[tuple[int, int, int]]:
    try:
        orders = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_moc(name, "it is no JSON") from error
    for order, cells in orders.items():
        if not re.fullmatch(r"\d{1,2}", order) or not isinstance(cells, list):
            raise _no_moc(name, f"'{order[:40]}' is no order with its list of cells")
        for cell in cells:
            if type(cell) is not int:
                raise _no_moc(name, f"{str(cell)[:40]} is no cell")
            yield int(order), cell, cell


def _of_ascii(name: str, text: str) -> Iterable[tuple[int, int, int]]:
    order: int | None = None
    for word in re.split(r"[\s,]+", text.strip()):
        match = _WORD.fullmatch(word)
        if not match or not word:
            raise _no_moc(name, f"it is neither FITS nor JSON, and in ASCII '{word[:40]}' is no cell")
        order = order if match[1] is None else int(match[1])
        if order is None:
            raise _no_moc(name, f"'{word}' stands before any order")
        if match[2] is not None:
            yield order, int(match[2]), int(match[3] or match[2])


def _checked(name: str, order: int, first: int, last: int) -> tuple[int, int, int]:
    if order > FINEST or not 0 <= first <= last < 12 * 4**order:
        raise _no_moc(name, f"{order}/{first}" + (f"-{last}" if last != first else "") + " is no cell")
    return order, first, last


def _region(name: str, first: np.ndarray, end: np.ndarray) -> SkyRegion:
    if not len(first):
        raise _no_moc(name, "it covers nothing")
    if first.min() < 0 or end.max() > WHOLE_SKY or (first >= end).any():
        raise _no_moc(name, "a range of it is off the sky or empty")
    return SkyRegion(first, end)


def _no_moc(name: str, why: str) -> ConfigError:
    return ConfigError(f"'{name}' is no coverage map: {why}.", _HINT)
