"""Classified transients of the Transient Name Server: the column ``tns``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.alert.sky import on_sky
from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch.catalogue import Catalogue, catalogue_of
from fink_broker.science.crossmatch.catalogue_file import CatalogueFile
from fink_broker.science.crossmatch.position import POINT_RADIUS, POSITION
from fink_broker.science.files import checked_file
from fink_broker.science.module import SKIPPED, Column, Module, Outputs

NO_MATCH = ""
#: Value of ``science.tns_catalogue`` that switches the match off.
NONE = "none"


def build(config: Config) -> Module:
    """Return the module."""
    path = config.science.tns_catalogue
    output = Column("tns", pa.string(), "", "type of the classified transient, nearest within 1.5″", NO_MATCH)

    def compute(batch: AlertBatch) -> Outputs:
        if path == NONE:
            return {"tns": pa.repeat(NO_MATCH, len(batch)), SKIPPED: np.ones(len(batch), dtype=bool)}
        ra, dec = batch.numbers("ra"), batch.numbers("dec")
        nearest = source(path).current().match(ra, dec, POINT_RADIUS)
        return {"tns": nearest["type"].combine_chunks().fill_null(NO_MATCH), SKIPPED: ~on_sky(ra, dec)}

    def prepare() -> None:
        if path != NONE:
            source(path).current()

    def digests() -> tuple[str, ...]:
        return () if path == NONE else (source(path).digest(),)

    reference = "Transient Name Server, https://www.wis-tns.org"
    return Module("tns", "1", reference, POSITION, (output,), compute, prepare, digests)


@lru_cache(maxsize=4)
def source(path: str) -> CatalogueFile:
    """Return the reader of a file, one a process; an empty path is the one-row sample that is shipped."""
    return CatalogueFile(
        Path(path) if path else checked_file("catalogs/tns_raw.parquet"),
        read_tns,
        "TNS catalogue",
        "Set science.tns_catalogue to a Parquet file with ra, declination and type, or to none.",
    )


def read_tns(stream: BinaryIO) -> Catalogue:
    """Read the rows of a Parquet file that have a type: ``ra``, ``declination`` (degrees), ``type``."""
    table = pq.read_table(stream, columns=["ra", "declination", "type"])
    kind = pc.utf8_trim_whitespace(table["type"].cast(pa.string()))
    classified = pc.fill_null(pc.and_(pc.not_equal(kind, ""), pc.not_equal(kind, "nan")), False)
    table = table.set_column(2, "type", kind).filter(classified)
    return catalogue_of(table["ra"], table["declination"], table.select(["type"]))
