"""Where the alerts of a night are, and what SIMBAD calls them: columns of the science table, each file read once."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy_healpix import boundaries_lonlat
from astropy_healpix import healpy as healpix

from fink_broker.archive import AlertTable, DataFile, Layout
from fink_broker.archive.reading import files_of_night, nights_of, read_rows
from fink_broker.errors import DataError, UsageError

#: HEALPix resolution of the sky map: 12,288 pixels of 1.8 degrees
NSIDE = 32
#: seconds for which what was read of a night counts; another look reads what was added since
FRESH_SECONDS = 5.0
#: nights that are kept: each is some 100 kB
MOST_NIGHTS = 16
#: types that are told apart
MOST_TYPES = 1000
UNKNOWN = "Unknown"

_COLUMNS = ["cdsxmatch", "candidate.ra", "candidate.dec"]


@dataclass
class NightSky:
    """What the alerts of a night add up to.

    Parameters
    ----------
    night : str
        Observing night, ``YYYYMMDD``.
    files : set of str
        What was read so far.
    alerts : int
        How many alerts that were.
    types : Counter
        Alerts by SIMBAD type.
    pixels : ndarray of int, shape (12288,)
        Alerts by HEALPix pixel (RING, equatorial), `NSIDE` = 32.
    read : float
        When (monotonic seconds) the list of its files was last read.
    """

    night: str
    files: set[str] = field(default_factory=set)
    alerts: int = 0
    types: Counter[str] = field(default_factory=Counter)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(healpix.nside2npix(NSIDE), dtype=np.int64))
    read: float = 0.0

    def add(self, rows: pa.Table) -> None:
        """Add some alerts."""
        self.alerts += len(rows)
        if "cdsxmatch" in rows.column_names:
            labels = pc.fill_null(rows["cdsxmatch"].cast(pa.string()), UNKNOWN)
            for entry in pc.value_counts(labels).to_pylist():
                name = entry["values"] or UNKNOWN
                if name in self.types or len(self.types) < MOST_TYPES:
                    self.types[name] += entry["counts"]
        if "candidate" in rows.column_names:
            positions = (
                pc.struct_field(rows["candidate"].combine_chunks(), "ra"),
                pc.struct_field(rows["candidate"].combine_chunks(), "dec"),
            )
            ra, dec = (np.asarray(each.cast(pa.float64()).fill_null(float("nan"))) for each in positions)
            there = np.isfinite(ra) & (np.abs(dec) <= 90.0)
            found = healpix.ang2pix(NSIDE, ra[there] % 360.0, dec[there], lonlat=True)
            self.pixels += np.bincount(found, minlength=len(self.pixels))


class NightSkies:
    """The skies of nights that were asked for.

    Parameters
    ----------
    online : str
        The data prefix.
    """

    def __init__(self, online: str) -> None:
        self._table = AlertTable(Layout(online).table("science"))
        self._nights: OrderedDict[str, NightSky] = OrderedDict()
        self._lock = threading.Lock()

    def nights(self) -> list[str]:
        """Return the nights there are, the latest first."""
        return sorted((night for night in nights_of(self._table) if night.isdigit()), reverse=True)

    def read(self, night: str = "") -> NightSky:
        """Return the sky of a night; of the latest one if none is named, and an empty one if there is none at all.

        Raises
        ------
        UsageError
            If there are no alerts of that night.
        DataError
            If a file is damaged, or gone.
        """
        nights = self.nights()
        if not night:
            if not nights:
                return NightSky("")
            night = nights[0]
        if night not in nights:
            raise UsageError(f"There are no alerts of a night '{night[:20]}'.", "Nights are written YYYYMMDD.")
        with self._lock:
            known = self._nights.get(night)
            if known is None or time.monotonic() - known.read > FRESH_SECONDS:
                known = self._read(night, known)
                self._nights[night] = known
            self._nights.move_to_end(night)
            while len(self._nights) > MOST_NIGHTS:
                self._nights.popitem(last=False)
            return known

    def _read(self, night: str, known: NightSky | None) -> NightSky:
        """Read the files of a night that were not read yet; all of them once it is merged."""
        try:
            return self._add_files(night, known)
        except FileNotFoundError:
            known = None  # it was merged meanwhile
        try:
            return self._add_files(night, known)
        except FileNotFoundError as error:
            raise DataError(
                f"A file of the night {night} is gone: {error.filename or error}.",
                f"`fink archive check --night {night}` tells what else is.",
            ) from error

    def _add_files(self, night: str, known: NightSky | None) -> NightSky:
        files = files_of_night(self._table, night)
        if known is None or not known.files <= {file.path for file in files}:
            known = NightSky(night)
        for file in files:
            if file.path not in known.files:
                self._add_file(known, file)
        known.read = time.monotonic()
        return known

    def _add_file(self, sky: NightSky, file: DataFile) -> None:
        for rows in read_rows(self._table, file, _COLUMNS, rows=50_000):
            sky.add(rows)
        sky.files.add(file.path)


def pixel_corners(pixels: np.ndarray) -> np.ndarray:
    """Return right ascension and declination (degrees) of the four corners of pixels: shape (n, 4, 2)."""
    longitude, latitude = boundaries_lonlat(pixels, 1, NSIDE, order="ring")
    return np.stack([longitude.to_value("deg"), latitude.to_value("deg")], axis=-1)
