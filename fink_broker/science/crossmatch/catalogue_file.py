"""A catalogue file of the operator's, which may be renewed while the broker runs."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from fink_broker.errors import DataError
from fink_broker.science.crossmatch.catalogue import Catalogue, catalogue_of

log = logging.getLogger(__name__)

#: What right ascension and declination (degrees) may be called: plain, or as on VizieR.
POSITION_NAMES = (("ra", "dec"), ("RA_ICRS", "DE_ICRS"), ("RAJ2000", "DEJ2000"), ("RAdeg", "DEdeg"))


class CatalogueFile:
    """A catalogue file that may be renewed while the broker runs.

    A new version is taken up at the next batch. If it cannot be read, the last good one stays.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    read : callable
        Makes a catalogue of the opened file; raises OSError, ValueError, KeyError or an Arrow error if it cannot.
    what : str
        Name of the catalogue, for messages.
    remedy : str
        One sentence: what to set the configuration key to.
    """

    def __init__(self, path: Path, read: Callable[[BinaryIO], Catalogue], what: str, remedy: str) -> None:
        self._path, self._read, self._what, self._remedy = path, read, what, remedy
        self._loaded: tuple[Catalogue, str] | None = None
        self._seen: tuple[int, int] | None = None
        self._trouble = ""

    def current(self) -> Catalogue:
        """Return the catalogue as the file is now.

        Raises
        ------
        DataError
            If it cannot be read and never could.
        """
        return self._current()[0]

    def digest(self) -> str:
        """Return the sha256 of the version in use; reads the file only if it has not been."""
        return (self._loaded or self._current())[1]

    def _current(self) -> tuple[Catalogue, str]:
        version = None
        try:
            version = _version(self._path.stat())
            if self._loaded is None or version != self._seen:
                self._loaded = self._load()
            return self._loaded
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            self._seen = version  # not read again until it changes
            if self._loaded is None:
                raise DataError(f"The {self._what} {self._path} cannot be read: {error}.", self._remedy) from error
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("the %s %s cannot be read (%s): the last good one is used", self._what, self._path, error)
            return self._loaded

    def _load(self) -> tuple[Catalogue, str]:
        # digest and content are of one version, also if the file is replaced meanwhile: it stays open
        with self._path.open("rb") as stream:
            version = _version(os.fstat(stream.fileno()))
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            catalogue = self._read(stream)
        self._seen, self._trouble = version, ""
        return catalogue, digest


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


def read_catalogue(stream: BinaryIO, columns: pa.Schema) -> Catalogue:
    """Read positions and label columns of a Parquet or CSV file.

    Parameters
    ----------
    stream : binary file
        Parquet, or CSV with a header; positions in degrees, called as in `POSITION_NAMES`.
    columns : pyarrow.Schema
        Label columns, and as what they are read.

    Raises
    ------
    ValueError, KeyError, pyarrow.ArrowException
        If a column is missing or is not of its type.
    """
    table = _read_parquet(stream, columns) if stream.read(4) == b"PAR1" else _read_csv(stream, columns)
    ra, dec = _positions(table.column_names)
    # text blank in a CSV file is text that is not there
    labels = {field.name: _without_blanks(table[field.name].cast(field.type)) for field in columns}
    return catalogue_of(table[ra], table[dec], pa.table(labels))


def _read_parquet(stream: BinaryIO, columns: pa.Schema) -> pa.Table:
    stream.seek(0)
    file = pq.ParquetFile(stream)
    names = file.schema_arrow.names
    return file.read(columns=[*_positions(names), *_present(names, columns)])


def _read_csv(stream: BinaryIO, columns: pa.Schema) -> pa.Table:
    stream.seek(0)
    header = stream.readline().decode("utf-8-sig")
    names = next(csv.reader(io.StringIO(header)), [])
    places = _positions(names)
    wanted = [*places, *_present(names, columns)]
    stream.seek(0)
    kinds = dict.fromkeys(places, pa.float64()) | {field.name: field.type for field in columns}
    return pacsv.read_csv(
        stream,
        read_options=pacsv.ReadOptions(column_names=names, skip_rows=1),
        convert_options=pacsv.ConvertOptions(include_columns=wanted, column_types=kinds),
    )


def _positions(names: list[str]) -> tuple[str, str]:
    for pair in POSITION_NAMES:
        if set(pair) <= set(names):
            return pair
    raise ValueError("it has no columns ra and dec")


def _present(names: list[str], columns: pa.Schema) -> list[str]:
    missing = [name for name in columns.names if name not in names]
    if missing:
        raise ValueError(f"it has no column {missing[0]}")
    return list(columns.names)


def _without_blanks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_string(column.type):
        return column
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
