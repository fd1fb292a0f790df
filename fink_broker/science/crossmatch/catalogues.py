"""The catalogues that come with the broker: which file, how it is read. Each is loaded once a process."""

from __future__ import annotations

import csv
from functools import lru_cache

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats
from fink_broker.science.crossmatch.catalogue import Catalogue, read_positions
from fink_broker.science.files import checked_file

#: Files below the data folder of fink-science.
GCVS = "catalogs/gcvs.parquet"
VSX = "catalogs/vsx.parquet"
MANGROVE = "catalogs/mangrove_filtered.parquet"
HSP = "catalogs/3hsp.csv"
LAC = ("catalogs/table-4LAC-DR3-h.fits", "catalogs/table-4LAC-DR3-l.fits")

#: Label columns of the mangrove catalogue, keys of the column ``mangrove``; distances in Mpc.
MANGROVE_KEYS = ("HyperLEDA_name", "2MASS_name", "lum_dist", "ang_dist")


@lru_cache(maxsize=1)
def gcvs() -> Catalogue:
    """General Catalogue of Variable Stars: 59,099 variability types."""
    return read_positions(str(checked_file(GCVS)), "ra", "dec", ("VarType",))


@lru_cache(maxsize=1)
def vsx() -> Catalogue:
    """AAVSO Variable Star Index: 1,933,544 variability types."""
    return read_positions(str(checked_file(VSX)), "RAJ2000", "DEJ2000", ("VType",))


@lru_cache(maxsize=1)
def mangrove() -> Catalogue:
    """Galaxies with masses and distances: 295,341 (Ducoin et al. 2020, MNRAS 492, 4768)."""
    return read_positions(str(checked_file(MANGROVE)), "ra", "dec", MANGROVE_KEYS)


@lru_cache(maxsize=1)
def high_synchrotron_peaked() -> Catalogue:
    """Return 3HSP, extreme and high synchrotron peaked blazars: 2,013 (Chang et al. 2019, A&A 632, A77)."""
    with checked_file(HSP).open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream, skipinitialspace=True)
        header = [_bare(name) for name in next(lines)]
        rows = [dict(zip(header, map(_bare, line), strict=False)) for line in lines if line]
    ra = np.array([15.0 * sexagesimal(row["R.A."]) for row in rows])
    dec = np.array([sexagesimal(row["Dec"]) for row in rows])
    return Catalogue(ra, dec, pa.table({"name": pa.array([row["3HSP Source name"] for row in rows], pa.string())}))


@lru_cache(maxsize=1)
def _lat_agn() -> dict[str, list[np.ndarray]]:
    """Read the two FITS tables of 4LAC-DR3, high and low galactic latitude."""
    from astropy.io import fits  # noqa: PLC0415 - half a second, needed only here

    columns = ("RAJ2000", "DEJ2000", "RA_Counterpart", "DEC_Counterpart", "Source_Name", "CLASS")
    read: dict[str, list[np.ndarray]] = {name: [] for name in columns}
    for file in LAC:
        with fits.open(checked_file(file), memmap=False) as tables:
            for name in columns:
                read[name].append(np.asarray(tables[1].data[name]))
    return read


@lru_cache(maxsize=1)
def lat_agn() -> Catalogue:
    """Return 4LAC-DR3, active galaxies seen by Fermi-LAT: 3,814, at their gamma-ray positions (Ajello et al. 2022)."""
    return _lat_catalogue("RAJ2000", "DEJ2000")


@lru_cache(maxsize=1)
def lat_counterparts() -> Catalogue:
    """Return the same galaxies at the positions of their radio or optical counterparts."""
    return _lat_catalogue("RA_Counterpart", "DEC_Counterpart")


def _lat_catalogue(ra: str, dec: str) -> Catalogue:
    read = _lat_agn()

    def floats(name: str) -> Floats:
        return np.concatenate([part.astype(np.float64) for part in read[name]])

    def texts(name: str) -> pa.Array:
        return pa.array([str(value).strip() for part in read[name] for value in part], pa.string())

    return Catalogue(floats(ra), floats(dec), pa.table({"name": texts("Source_Name"), "class": texts("CLASS")}))


def sexagesimal(text: str) -> float:
    """Return ``[±]d m s`` as one number, in the unit of d.

    >>> sexagesimal("-00 30 36.0")
    -0.51
    """
    whole, minutes, seconds = text.replace(":", " ").split()
    size = abs(float(whole)) + float(minutes) / 60.0 + float(seconds) / 3600.0
    return -size if whole.startswith("-") else size


def _bare(text: str) -> str:
    return text.strip().strip('"').strip()
