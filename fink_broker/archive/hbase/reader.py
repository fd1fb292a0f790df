"""Questions to the archive, and their answers as Arrow tables of published columns (``i:…``, ``d:…``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from fink_broker.archive.hbase.store import KeyRange, Store


class Archive:
    """HBase as its readers see it; safe to be used by several threads.

    Parameters
    ----------
    store : Store
        The database.
    tables : str
        Name of the main table, and start of all others' (``hbase.tables``).
    """

    def __init__(self, store: Store, tables: str) -> None:
        self.store = store
        self.tables = tables

    def alerts(
        self, object_ids: Sequence[str], columns: Sequence[str] | None = None, most: int | None = None
    ) -> pa.Table:
        """Return alerts of objects in the order of objects and time.

        A name of fewer than 12 characters stands for all names that begin with it.
        """
        raise NotImplementedError

    def latest_alert(self, object_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the latest alert of one object, or no row."""
        raise NotImplementedError

    def histories(self, object_ids: Sequence[str]) -> pa.Table:
        """Return upper limits and bad-quality points of objects, each once.

        Columns ``i:objectId``, ``i:jd`` (days), ``i:fid``, ``i:diffmaglim``, ``i:magpsf``, ``i:sigmapsf``, ``i:magnr``,
        ``i:sigmagnr``, ``i:isdiffpos``, ``i:distnr``, and ``d:tag``: ``upperlim`` or ``badquality``.
        """
        raise NotImplementedError

    def cutout_places(self, object_id: str) -> pa.Table:
        """Return where the images of an object's alerts are: ``i:objectId``, ``i:candid``, ``i:jd``, ``d:hdfs_path``.

        ``d:hdfs_path`` is ``night=YYYYMMDD/<file>.parquet#<row>``, relative to the science table.
        """
        raise NotImplementedError

    def in_time(
        self,
        suffix: str,
        label: str | None = None,
        jd_start: float | None = None,
        jd_stop: float | None = None,
        newest_first: bool = True,
        page: int = 1000,
    ) -> Iterator[pa.Table]:
        """Give rows of a table sorted by time (``class``, ``tns``, ``jd``, ``slsn``, …), a page at a time.

        Parameters
        ----------
        suffix : str
            Which table.
        label : str, optional
            The class, where the key begins with one.
        jd_start, jd_stop : float, optional
            Exposure times in days (UTC), both included.
        newest_first : bool
            The order.
        page : int
            Rows of each scan fetched at once.
        """
        raise NotImplementedError

    def around(self, ra: float, dec: float, radius_arcsec: float) -> pa.Table:
        """Return the latest alert of every object in a disc, with ``v:separation_degree`` (deg), nearest first."""
        raise NotImplementedError

    def in_pixels(self, order: int, pixels: Sequence[int]) -> Iterator[pa.Table]:
        """Give the latest alert of every object in some nested HEALPix pixels of an order up to 12."""
        raise NotImplementedError

    def with_prefix(self, suffix: str, prefix: bytes, most: int | None = None) -> pa.Table:
        """Return rows of a table whose key begins with ``prefix``, in the order of keys."""
        raise NotImplementedError

    def rows(self, suffix: str, keys: KeyRange, page: int = 1000) -> Iterator[pa.Table]:
        """Give rows of a table in a range of keys."""
        raise NotImplementedError

    def records(self, suffix: str, keys: KeyRange, reverse: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the rows of a table that holds no alerts (``statistics``, ``metadata``, resolvers): key and fields."""
        raise NotImplementedError

    def put_records(self, suffix: str, records: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write rows of a table that holds no alerts: texts, numbers, booleans and lists of them by name."""
        raise NotImplementedError
