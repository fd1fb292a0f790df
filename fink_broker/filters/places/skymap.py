"""Probability maps of the sky, as gravitational-wave and gamma-ray observatories publish them, in FITS.

Flat maps have one probability a HEALPix pixel, in ring or nested order. Multi-order maps have cells of many sizes
(``UNIQ``) and the probability density in each (``PROBDENSITY``; Singer & Price 2016, Phys. Rev. D 93, 024013; format:
LIGO/Virgo/KAGRA Public Alerts User Guide, "Multi-Order Sky Maps").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy_healpix import healpy as healpix

from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.errors import ConfigError
from fink_broker.filters.places.fits_table import FitsTable
from fink_broker.filters.places.sky_region import EQUATORIAL, FINEST, SkyRegion, cell_ranges, split_uniq

PROBABILITY = ("PROB", "PROBABILITY")
DENSITY = ("PROBDENSITY",)
#: Pixels of a flat map of order 11 (1.7′).
LARGEST_PIXELS = 12 * 4**11
_HINT = "Fetch it again from the observatory."


@dataclass(frozen=True)
class Cells:
    """Cells that do not overlap, and the probability in each.

    Parameters
    ----------
    first, size : numpy.ndarray of int64
        First nested cell of order 29 in each, and how many, shape (k,).
    probability : numpy.ndarray
        Not negative; the sum is positive, not necessarily one.
    """

    first: Ints
    size: Ints
    probability: Floats


def is_skymap(table: FitsTable) -> bool:
    """Tell whether a table holds probabilities."""
    return table.find(*PROBABILITY, *DENSITY) is not None


def read_cells(table: FitsTable) -> Cells:
    """Read a map, flat or multi-order.

    Raises
    ------
    ConfigError
        If probabilities are missing, negative or all zero, pixels do not fill the sky or overlap, or the frame is not
        equatorial.
    """
    frame = table.keyword("COORDSYS")
    if frame not in EQUATORIAL:
        raise _no_map(table, f"its frame is '{frame}', not equatorial", "Give a map in equatorial coordinates.")
    uniq = table.find("UNIQ")
    name = table.find(*DENSITY, *PROBABILITY) if uniq else table.find(*PROBABILITY, *DENSITY)
    if name is None:
        raise _no_map(table, "it has no column PROB or PROBDENSITY")
    values = table.numbers(name)
    if not 0 < len(values) <= LARGEST_PIXELS:
        raise _no_map(table, f"it has {len(values):,} pixels", f"A map has 12 to {LARGEST_PIXELS:,}.")
    if not np.isfinite(values).all() or (values < 0).any():
        raise _no_map(table, "a probability of it is missing or negative")
    if not values.sum() > 0 or not np.isfinite(values.sum()):
        raise _no_map(table, "its probabilities sum up to nothing")
    if uniq is None:
        return Cells(*_flat_cells(table, len(values)), values)
    first, size = _uniq_cells(table, uniq)
    return Cells(first, size, values * size if name.upper() in DENSITY else values)


def credible_region(cells: Cells, level: float) -> SkyRegion:
    """Return the smallest region that holds a share of the probability.

    Cells are taken from the densest on until they hold it; the cell that brings it to the level belongs to it. Of
    cells equally dense those first in the file are taken first.

    Parameters
    ----------
    cells : Cells
        The map.
    level : float
        Share of the probability, above 0, at most 1; cells without any never belong to it.
    """
    density, total = cells.probability / cells.size, cells.probability.sum()
    # cells so thin that the whole sky filled like them is within what may be left out need not be sorted: most of it
    thin = (1.0 - level) * total / cells.size.sum(dtype=float) * 0.999
    rich = np.flatnonzero(density > thin)
    rich = rich[np.argsort(-density[rich], kind="stable")]
    held, wanted = np.cumsum(cells.probability[rich]), level * total
    taken = rich[: np.searchsorted(held, min(wanted, held[-1])) + 1]
    return SkyRegion(cells.first[taken], cells.first[taken] + cells.size[taken])


def _flat_cells(table: FitsTable, count: int) -> tuple[Ints, Ints]:
    named = table.find("PIXEL") if table.keyword("INDXSCHM") == "EXPLICIT" else None
    nside = int(table.keyword("NSIDE")) if table.keyword("NSIDE").isdecimal() else round((count / 12) ** 0.5)
    order = nside.bit_length() - 1
    if nside < 1 or nside != 2**order or order > FINEST or (named is None and count != 12 * nside**2):
        raise _no_map(table, f"{count:,} pixels do not fill the sky with NSIDE {nside}")
    pixel = np.arange(count) if named is None else table.whole_numbers(named)
    if pixel.min() < 0 or pixel.max() >= 12 * nside**2 or (named and len(np.unique(pixel)) != count):
        raise _no_map(table, "a pixel of it is off the sky, or there twice")
    ordering = table.keyword("ORDERING")
    if ordering not in {"RING", "NESTED", "NEST"}:
        raise _no_map(table, f"its pixels are ordered '{ordering}'", "ORDERING is RING or NESTED.")
    nested = np.asarray(healpix.ring2nest(nside, pixel) if ordering == "RING" else pixel, dtype=np.int64)
    size = np.int64(4 ** (FINEST - order))
    return nested * size, np.broadcast_to(size, count)


def _uniq_cells(table: FitsTable, uniq: str) -> tuple[Ints, Ints]:
    order, cell = split_uniq(table.whole_numbers(uniq))
    if ((order < 0) | (order > FINEST)).any():
        raise _no_map(table, "a number in UNIQ is that of no cell")
    first, end = cell_ranges(order, cell)
    by_first = np.argsort(first)
    if (first[by_first][1:] < end[by_first][:-1]).any():
        raise _no_map(table, "cells of it overlap")
    return first, end - first


def _no_map(table: FitsTable, why: str, hint: str = _HINT) -> ConfigError:
    return ConfigError(f"'{table.name}' is no probability map: {why}.", hint)
