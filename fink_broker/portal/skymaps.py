"""Probability maps of the sky in requests: from the FITS file to the pixels in which an event may have been.

The largest map that is taken, a flat one of nside 1024, has 12.6 million pixels. One map is read at a time; whoever
asks for another one meanwhile is told to come back, and no thread of the API waits.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.time import Time

from fink_broker.alert.lightcurve import Ints
from fink_broker.errors import ConfigError
from fink_broker.filters.places.fits_table import FitsTable, first_table
from fink_broker.filters.places.limited_file import MIB, open_limited
from fink_broker.filters.places.sky_region import EQUATORIAL
from fink_broker.filters.places.skymap import PROBABILITY, read_cells
from fink_broker.portal import credible_pixels
from fink_broker.portal.route import RequestError

#: Largest map, unpacked: a flat one of nside 1024 with four columns of 8 bytes.
LARGEST_BYTES = 400 * MIB
LARGEST_NSIDE = 1024
#: Cells of a map that names each of them: every cell takes some 60 bytes.
MOST_CELLS = 12 * 512**2
_one_map = threading.Semaphore(1)
_RETRY_SECONDS = 5
_FORM = re.compile(r"(\d{0,9})([A-Z])")
_ORDERINGS = {"RING": True, "NESTED": False, "NEST": False}


@dataclass(frozen=True)
class SkyArea:
    """Where and when an event was.

    Parameters
    ----------
    pixels : numpy.ndarray of int64
        Nested HEALPix pixels of order ``credible_pixels.ORDER``, ascending.
    jd : float
        Time of the event in days (UTC).
    """

    pixels: Ints
    jd: float


def sky_area(content: bytes, level: float, check: Callable[[], None] = lambda: None) -> SkyArea:
    """Return the pixels that hold a share of the probability of a map, and the time of its event.

    Parameters
    ----------
    content : bytes
        The FITS file, flat or multi-order, packed with gzip or not.
    level : float
        Share of the probability, 0 to 1.
    check : callable
        Called now and then; ends the work by an exception.

    Raises
    ------
    RequestError
        If it is no such map, damaged, too large, or tells no time; 503 if another map is being read.
    """
    if not _one_map.acquire(blocking=False):
        raise RequestError("Another skymap is being read. Ask again in some seconds.\n", 503, _RETRY_SECONDS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "skymap"
            path.write_bytes(content)
            with open_limited(path, LARGEST_BYTES) as opened, first_table(opened) as table:
                check()
                jd = _event_time(table)
                return SkyArea(_pixels(table, level, check), jd)
    except ConfigError as error:
        raise RequestError(f"The skymap cannot be used. {error}\n") from error
    finally:
        _one_map.release()


def _pixels(table: FitsTable, level: float, check: Callable[[], None]) -> Ints:
    name = table.find(*PROBABILITY)
    count = _most_values(table)
    nside = round((count / 12) ** 0.5)
    is_whole = table.find("UNIQ") is None and table.keyword("INDXSCHM") != "EXPLICIT" and count == 12 * nside**2
    is_fine = nside.bit_count() == 1 and credible_pixels.PIXELS <= count <= 12 * LARGEST_NSIDE**2
    is_plain = table.keyword("COORDSYS") in EQUATORIAL and table.keyword("NSIDE") in ("", str(nside))
    is_ring = _ORDERINGS.get(table.keyword("ORDERING"))
    if name is not None and is_whole and is_fine and is_plain and is_ring is not None:
        return credible_pixels.of_flat(_relative(table, name, count), is_ring, level, check)
    if count > MOST_CELLS:
        raise ConfigError(
            f"'{table.name}' has {count:,} values in a column, too many for a map of this kind.",
            f"Give a flat map of nside {LARGEST_NSIDE} or less, or the multi-order map.",
        )
    return credible_pixels.of_cells(read_cells(table), level, check)


def _most_values(table: FitsTable) -> int:
    """Return how many values the longest column has, by the header: they are not read yet."""
    most = 1
    for number in range(1, int(table.keyword("TFIELDS")) + 1):
        form = _FORM.match(table.keyword(f"TFORM{number}"))
        if form is None or form[2] in "PQ":
            raise ConfigError(f"'{table.name}' has a column of values that no map has.", "Fetch it again.")
        most = max(most, int(form[1] or 1))
    return most * table.rows


def _relative(table: FitsTable, name: str, count: int) -> credible_pixels.Singles:
    """Return the probability of each pixel in terms of the largest.

    Raises
    ------
    ConfigError
        If one is missing or negative, or all are zero.
    """
    values = table.values(name)
    if values.dtype.kind not in "fiu":
        raise ConfigError(f"Column '{name}' of '{table.name}' holds no numbers.", "Fetch the file again.")
    least, peak = float(values.min()), float(values.max())  # NaN if any is
    if len(values) != count or not (least >= 0 and 0 < peak < np.inf):
        raise ConfigError(
            f"'{table.name}' is no probability map: a probability of it is missing or negative, or all are zero.",
            "Fetch it again from the observatory.",
        )
    relative = np.empty(len(values), dtype=np.float32)
    np.divide(values, peak, out=relative, casting="unsafe")
    return relative


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
