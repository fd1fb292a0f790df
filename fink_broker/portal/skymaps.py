"""Probability maps of the sky in requests: from the FITS file to the pixels in which an event may have been."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.time import Time

from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.errors import ConfigError
from fink_broker.filters.places.fits_table import FitsTable, first_table
from fink_broker.filters.places.limited_file import MIB, open_limited
from fink_broker.filters.places.sky_region import FINEST
from fink_broker.filters.places.skymap import Cells, read_cells
from fink_broker.portal.route import RequestError

#: Order of the nested pixels a search takes (nside 128, 27.5′).
ORDER = 7
PIXELS = 12 * 4**ORDER
#: Largest map, unpacked; a flat map of nside 1024 with four columns has 400 MB.
LARGEST_BYTES = 512 * MIB
#: Maps read at once: one of the largest takes five times its size of memory.
_one_map = threading.Semaphore(1)
_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class SkyArea:
    """Where and when an event was.

    Parameters
    ----------
    pixels : numpy.ndarray of int64
        Nested HEALPix pixels of order `ORDER`, ascending.
    jd : float
        Time of the event in days (UTC).
    """

    pixels: Ints
    jd: float


def sky_area(content: bytes, level: float) -> SkyArea:
    """Return the pixels that hold a share of the probability of a map, and the time of its event.

    Parameters
    ----------
    content : bytes
        The FITS file, flat or multi-order, packed with gzip or not.
    level : float
        Share of the probability, 0 to 1.

    Raises
    ------
    RequestError
        If it is no such map, damaged, too large, or tells no time.
    """
    if not _one_map.acquire(timeout=_WAIT_SECONDS):
        raise RequestError("Other skymaps are being read. Try again later.\n", 503, retry_after=10)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "skymap"
            path.write_bytes(content)
            with open_limited(path, LARGEST_BYTES) as opened, first_table(opened) as table:
                return SkyArea(credible_pixels(read_cells(table), level), _event_time(table))
    except ConfigError as error:
        raise RequestError(f"The skymap cannot be used. {error}\n") from error
    finally:
        _one_map.release()


def credible_pixels(cells: Cells, level: float) -> Ints:
    """Return the pixels of order `ORDER` whose credible level does not exceed a given one.

    Cells are ranked by probability density; the sum of the probability of a cell and of all before it is its credible
    level (that of the smallest region it belongs to). A pixel has the mean level of the cells in it, weighted by area,
    as maps are degraded; a cell larger than a pixel gives its level to all pixels in it.

    Parameters
    ----------
    cells : Cells
        The map.
    level : float
        Share of the probability, 0 to 1.
    """
    size = np.int64(4 ** (FINEST - ORDER))
    levels = _credible_levels(cells)
    sums, areas = np.zeros(PIXELS), np.zeros(PIXELS)
    small = cells.size <= size
    pixel = cells.first[small] // size
    weight = cells.size[small] / size
    sums += np.bincount(pixel, levels[small] * weight, PIXELS)
    areas += np.bincount(pixel, weight, PIXELS)
    for first, count, of_cell in zip(
        cells.first[~small] // size, cells.size[~small] // size, levels[~small], strict=True
    ):
        sums[first : first + count] += of_cell
        areas[first : first + count] += 1.0
    # where a map says nothing nothing is found, and a pixel of which it covers a part has the rest outside
    covered = np.minimum(areas, 1.0)
    return np.flatnonzero((areas > 0) & (sums + (1.0 - covered) <= level * np.maximum(areas, 1.0)))


def _credible_levels(cells: Cells) -> Floats:
    """Return the credible level of each cell, 0 to 1."""
    order = np.argsort(-(cells.probability / cells.size), kind="stable")
    levels = np.empty(len(order))
    summed = np.cumsum(cells.probability[order])
    levels[order] = summed / summed[-1]
    return levels


def _event_time(table: FitsTable) -> float:
    """Return the time of the event in days (jd, UTC), from ``DATE-OBS`` or ``MJD-OBS``.

    Raises
    ------
    RequestError
        If the map tells none.
    """
    for keyword, kind in (("DATE-OBS", "isot"), ("MJD-OBS", "mjd")):
        text = table.keyword(keyword).removesuffix("Z").replace(" ", "T")
        if not text:
            continue
        try:
            jd = float(Time(text if kind == "isot" else float(text), format=kind, scale="utc").jd)
        except ValueError:
            continue
        if np.isfinite(jd):
            return jd
    raise RequestError("The skymap tells no time of the event: its header lacks a DATE-OBS that can be read.\n")
