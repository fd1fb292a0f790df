"""A catalogue on disk: positions, and a label or several for each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.alert.sky import NO_ROW, SkyIndex


class Catalogue:
    """Positions and labels, ready to be searched.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        Positions in degrees; rows without one are left out.
    labels : pyarrow.Table
        One row a position.
    """

    def __init__(self, ra_deg: Floats, dec_deg: Floats, labels: pa.Table) -> None:
        placed = np.isfinite(ra_deg) & np.isfinite(dec_deg)
        if not placed.all():
            ra_deg, dec_deg, labels = ra_deg[placed], dec_deg[placed], labels.filter(pa.array(placed))
        self.labels = labels.combine_chunks()
        self._index = SkyIndex(ra_deg, dec_deg)

    def __len__(self) -> int:
        return self.labels.num_rows

    def match(self, ra_deg: Floats, dec_deg: Floats, radius_arcsec: float) -> pa.Table:
        """Return the labels of the nearest source of each position, null where none is nearer than the radius.

        Parameters
        ----------
        ra_deg, dec_deg : numpy.ndarray
            Positions in degrees; NaN is allowed and matches nothing.
        radius_arcsec : float
            Matches are strictly nearer.
        """
        rows = self.rows(ra_deg, dec_deg, radius_arcsec)
        nearest = self.labels.take(pa.array(rows, mask=rows == NO_ROW))
        return pa.table({name: _plain(nearest[name]) for name in nearest.column_names})

    def rows(self, ra_deg: Floats, dec_deg: Floats, radius_arcsec: float) -> Ints:
        """Return the row of ``labels`` of the nearest source of each position, `NO_ROW` for none; see `match`."""
        return self._index.nearest(ra_deg, dec_deg, radius_arcsec)[0]


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def read_positions(path: str, ra: str, dec: str, labels: tuple[str, ...]) -> Catalogue:
    """Read a Parquet catalogue; text labels are kept as codes and stripped of blanks.

    Parameters
    ----------
    path : str
        File.
    ra, dec : str
        Names of its position columns (degrees).
    labels : tuple of str
        Names of its label columns.
    """
    # texts repeat, and Parquet keeps each once a page: taken as they are, they are not made to be coded again
    table = pq.read_table(path, columns=[ra, dec, *labels], read_dictionary=list(labels))
    return catalogue_of(table[ra], table[dec], table.select(labels))


def catalogue_of(ra: pa.ChunkedArray, dec: pa.ChunkedArray, labels: pa.Table) -> Catalogue:
    """Make a catalogue of Arrow columns; text labels are kept as codes and stripped of blanks.

    Parameters
    ----------
    ra, dec : pyarrow.ChunkedArray
        Positions in degrees; null is allowed.
    labels : pyarrow.Table
        Label columns.
    """
    ra_deg, dec_deg = (column.cast(pa.float64()).to_numpy() for column in (ra, dec))
    kept = {name: _coded(labels[name]) if _is_text(labels[name].type) else labels[name] for name in labels.column_names}
    return Catalogue(ra_deg, dec_deg, pa.table(kept))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)


def _coded(column: pa.ChunkedArray) -> pa.Array:
    """Return texts as codes into a list of distinct stripped texts: 4 bytes a row."""
    coded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    distinct = pc.utf8_trim_whitespace(coded.dictionary.cast(pa.string()))
    return pa.DictionaryArray.from_arrays(coded.indices, distinct)
