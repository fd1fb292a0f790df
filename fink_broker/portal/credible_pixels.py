"""From probabilities on the sky to the pixels of the credible region, in as few bytes a cell as will do.

Cells are ranked by probability density; the sum of the probability of a cell and of all before it is its credible
level, that of the smallest region it belongs to. A pixel has the mean level of the cells in it, weighted by area, as
maps are degraded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from astropy_healpix import healpy as healpix

from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.filters.places.sky_region import FINEST
from fink_broker.filters.places.skymap import Cells

#: Order of the nested pixels a search takes (nside 128, 27.5′).
ORDER = 7
PIXELS = 12 * 4**ORDER
#: Cells that are worked on at once.
_TOGETHER = 1 << 20

Singles = npt.NDArray[np.float32]
Check = Callable[[], None]


def of_cells(cells: Cells, level: float, check: Check) -> Ints:
    """Return the nested pixels of order `ORDER` whose credible level does not exceed a given one.

    Parameters
    ----------
    cells : Cells
        A map of cells of any sizes; one larger than a pixel gives its level to all pixels in it.
    level : float
        Share of the probability, 0 to 1.
    check : callable
        Called now and then; ends the work by an exception.
    """
    size = np.int64(4 ** (FINEST - ORDER))
    density = cells.probability / cells.size
    levels = credible_levels((density / density.max()).astype(np.float32), cells.probability, check)
    sums, areas = np.zeros(PIXELS), np.zeros(PIXELS)
    small = cells.size <= size
    pixel, weight = cells.first[small] // size, cells.size[small] / size
    sums += np.bincount(pixel, levels[small] * weight, PIXELS)
    areas += np.bincount(pixel, weight, PIXELS)
    large = (cells.first[~small] // size, cells.size[~small] // size, levels[~small])
    for first, count, of_cell in zip(*large, strict=True):
        sums[first : first + count] += of_cell
        areas[first : first + count] += 1.0
    # where a map says nothing nothing is found, and a pixel of which it covers a part has the rest outside
    covered = np.minimum(areas, 1.0)
    return np.flatnonzero((areas > 0) & (sums + (1.0 - covered) <= level * np.maximum(areas, 1.0)))


def of_flat(relative: Singles, is_ring: bool, level: float, check: Check) -> Ints:
    """Return the same of a flat map whose pixels are no larger than those of order `ORDER`.

    Parameters
    ----------
    relative : numpy.ndarray of float32
        Probability of each pixel in terms of the largest, shape (12 nside²,).
    is_ring : bool
        Whether pixels are in ring order, else nested.
    level : float
        Share of the probability, 0 to 1.
    check : callable
        Called now and then; ends the work by an exception.
    """
    levels = credible_levels(relative, relative, check)
    nside = round((len(relative) / 12) ** 0.5)
    finer = len(relative) // PIXELS
    sums = np.zeros(PIXELS)
    for part in _parts(len(relative), check):
        pixel = np.arange(part.start, min(part.stop, len(relative)))
        nested = np.asarray(healpix.ring2nest(nside, pixel) if is_ring else pixel, dtype=np.int64)
        sums += np.bincount(nested // finer, levels[part], PIXELS)
    return np.flatnonzero(sums <= level * finer)


def credible_levels(density: Singles, probability: Floats | Singles, check: Check) -> Singles:
    """Return the credible level of each cell, 0 to 1; of cells equally dense those in front come first.

    Parameters
    ----------
    density : numpy.ndarray of float32
        Probability density of each cell in terms of the largest, shape (k,), k below 2³².
    probability : numpy.ndarray
        Probability in each cell, in any unit, shape (k,).
    check : callable
        Called now and then; ends the work by an exception.
    """
    # rank and place in one number: what is sorted needs no second array of places
    ranked = np.empty(len(density), dtype=np.uint64)
    for part in _parts(len(density), check):
        thin = ~density[part].view(np.uint32)  # bits of numbers that are not negative sort as the numbers do
        ranked[part] = (thin.astype(np.uint64) << np.uint64(32)) | np.arange(
            part.start, part.start + len(thin), dtype=np.uint64
        )
    ranked.sort()
    check()
    total, before = float(probability.sum(dtype=np.float64)), 0.0
    levels = np.empty(len(density), dtype=np.float32)
    for part in _parts(len(density), check):
        place = (ranked[part] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        summed = before + np.cumsum(probability[place], dtype=np.float64)
        levels[place] = np.minimum(summed / total, 1.0)
        before = float(summed[-1])
    return levels


def _parts(count: int, check: Check) -> Iterator[slice]:
    for start in range(0, count, _TOGETHER):
        check()
        yield slice(start, start + _TOGETHER)
