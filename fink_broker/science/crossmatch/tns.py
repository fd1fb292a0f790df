"""Classified transients of the Transient Name Server: the column ``tns``."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch.catalogue import Catalogue
from fink_broker.science.crossmatch.columns import POINT_RADIUS, POSITION
from fink_broker.science.files import checked_file
from fink_broker.science.module import Column, Module, Outputs

log = logging.getLogger(__name__)

NO_MATCH = ""
#: Value of ``science.tns_catalogue`` that switches the match off.
NONE = "none"


def build(config: Config) -> Module:
    """Return the module."""
    path = config.science.tns_catalogue
    output = Column("tns", pa.string(), "", "type of the classified transient, nearest within 1.5″", "")

    def compute(batch: AlertBatch) -> Outputs:
        if path == NONE:
            return {"tns": pa.repeat(NO_MATCH, len(batch))}
        nearest = source(path).current().match(batch.numbers("ra"), batch.numbers("dec"), POINT_RADIUS)
        return {"tns": nearest["type"].combine_chunks().fill_null(NO_MATCH)}

    def prepare() -> None:
        if path != NONE:
            source(path).current()

    return Module("tns", "1", "Transient Name Server, https://www.wis-tns.org", POSITION, (output,), compute, prepare)


@lru_cache(maxsize=4)
def source(path: str) -> TnsFile:
    """Return the reader of a file, one a process; an empty path is the one-row sample that is shipped."""
    return TnsFile(Path(path) if path else checked_file("catalogs/tns_raw.parquet"))


class TnsFile:
    """A catalogue file that may be renewed while the broker runs.

    A new version is taken up at the next batch. If it cannot be read, the last good one stays.

    Parameters
    ----------
    path : pathlib.Path
        Parquet with ``ra``, ``declination`` (degrees) and ``type``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._catalogue: Catalogue | None = None
        self._trouble = ""

    def current(self) -> Catalogue:
        """Return the catalogue as the file is now.

        Raises
        ------
        DataError
            If it cannot be read and never could.
        """
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size)
            if self._catalogue is None or version != self._seen:
                self._catalogue, self._seen, self._trouble = read_tns(self._path), version, ""
            return self._catalogue
        except (OSError, pa.ArrowException, KeyError) as error:
            if self._catalogue is None:
                raise DataError(
                    f"The TNS catalogue {self._path} cannot be read: {error}.",
                    "Set science.tns_catalogue to a Parquet file with ra, declination and type, or to none.",
                ) from error
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("the TNS catalogue %s cannot be read (%s): the last good one is used", self._path, error)
            return self._catalogue


def read_tns(path: Path) -> Catalogue:
    """Read the rows that have a type."""
    table = pq.read_table(path, columns=["ra", "declination", "type"])
    kind = pc.utf8_trim_whitespace(table["type"].cast(pa.string()))
    classified = pc.fill_null(pc.and_(pc.not_equal(kind, ""), pc.not_equal(kind, "nan")), False)
    table = pa.table({"ra": table["ra"], "dec": table["declination"], "type": kind}).filter(classified)
    ra, dec = (table[name].cast(pa.float64()).to_numpy() for name in ("ra", "dec"))
    return Catalogue(ra, dec, table.select(["type"]))
