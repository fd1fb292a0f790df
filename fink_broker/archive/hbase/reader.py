"""Questions to the archive, and their answers as Arrow tables of published columns (``i:…``, ``d:…``)."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.archive.hbase import keys
from fink_broker.archive.hbase.cells import (
    ALERT_CELL,
    CUTOUT_CELL,
    HISTORY_CELL,
    POSITION_SUFFIX,
    RECORD_CELL,
    table_name,
)
from fink_broker.archive.hbase.discs import Disc
from fink_broker.archive.hbase.latest import SCATTER_ARCSEC, is_somebody, latest_of_each, overtaken
from fink_broker.archive.hbase.newest import IDENTITY, MOST_LOOKED_AT, NewestAlerts, newest_of
from fink_broker.archive.hbase.points import flattened
from fink_broker.archive.hbase.positions import cone_ranges, pixel_ranges
from fink_broker.archive.hbase.scans import THREADS, Scans
from fink_broker.archive.hbase.schemas import Schemas, as_json
from fink_broker.archive.hbase.store import KeyRange, Row, Store
from fink_broker.errors import DataError

_PAGE = 1000
#: Rows around a position that are sifted at once; beyond it row by row, so that no disc fills the memory.
_SIFTED_AT_ONCE = 20_000
#: Objects asked for ahead of the one that is read.
_OBJECTS_AHEAD = 4


class Archive:
    """HBase as its readers see it; safe to be used by several threads.

    Parameters
    ----------
    store : Store
        The database.
    tables : str
        Name of the main table, and start of all others' (``hbase.tables``).
    threads : int
        Scans at the same time, of all who read.

    Attributes
    ----------
    schemas : Schemas
        The columns of packed rows; who writes packs with it.
    """

    def __init__(self, store: Store, tables: str, threads: int = THREADS) -> None:
        self.store = store
        self.tables = tables
        self.schemas = Schemas(store, tables)
        self._scans = Scans(store, threads)

    def through(self, store: Store) -> Archive:
        """Return the same archive read through another store, such as one that gives up when time is up."""
        clone = copy(self)
        clone.store, clone._scans = store, self._scans.through(store)
        return clone

    def name(self, suffix: str) -> str:
        """Return the name of the table of a suffix; none for the main table."""
        return table_name(self.tables, suffix)

    def alerts(
        self, object_ids: Sequence[str], columns: Sequence[str] | None = None, most: int | None = None
    ) -> pa.Table:
        """Return alerts of objects in the order of objects and time.

        A name of fewer than 12 characters stands for all names that begin with it.
        """
        ranges = [keys.object_range(name) for name in dict.fromkeys(object_ids)]
        page = _PAGE if most is None else max(1, min(_PAGE, most))
        rows = list(islice(self._scans.in_order(self.name(""), ranges, [ALERT_CELL], page), most))
        return self._unpacked(rows, columns)

    def newest_alerts(
        self,
        object_ids: Sequence[str],
        columns: Sequence[str] | None = None,
        ordering: Sequence[str] = IDENTITY,
        most: int = MOST_LOOKED_AT,
    ) -> NewestAlerts:
        """Return alerts of objects, the latest of all first.

        A name of fewer than 12 characters stands for all names that begin with it.

        Parameters
        ----------
        object_ids : sequence of str
            The objects.
        columns : sequence of str, optional
            Columns wanted, beside objectId, jd and candid; default: all.
        ordering : sequence of str
            Columns of `NewestAlerts.order`.
        most : int
            Alerts that are looked at; names at the end of the alphabet, which are those given last, come first.
        """
        ranges = [keys.object_range(name) for name in sorted(set(object_ids), reverse=True)]
        return newest_of(self._newest_first(ranges), self.schemas, self._by_keys, columns, ordering=ordering, most=most)

    def latest_by_name(self, beginning: str, most: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the latest alert of objects whose names begin so, the last name first.

        One look into the table an object, however many alerts the objects have, and however many objects there are.
        """
        left, rows = keys.object_range(beginning), list[Row]()
        while len(rows) < most:
            newest_first = self.store.scan(self.name(""), left, [ALERT_CELL], reverse=True, page=1)
            found = next(newest_first, None)
            if found is None:
                break
            rows.append(found)
            left = KeyRange(left.start, keys.one_object(keys.split_key(found[0])[0]).start)
            if left.empty:
                break
        return self._unpacked(rows, columns)

    def latest_alert(self, object_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the latest alert of one object, or no row."""
        newest_first = self.store.scan(self.name(""), keys.one_object(object_id), [ALERT_CELL], reverse=True, page=1)
        return self._unpacked(list(islice(newest_first, 1)), columns)

    def histories(self, object_ids: Sequence[str]) -> pa.Table:
        """Return upper limits and bad-quality points of objects, each once.

        Columns ``i:objectId``, ``i:jd`` (days), ``i:fid``, ``i:diffmaglim``, ``i:magpsf``, ``i:sigmapsf``, ``i:magnr``,
        ``i:sigmagnr``, ``i:isdiffpos``, ``i:distnr``, and ``d:tag``: ``upperlim`` or ``badquality``.
        """
        ranges = [keys.object_range(name) for name in dict.fromkeys(object_ids)]
        rows = list(self._scans.in_order(self.name(""), ranges, [HISTORY_CELL], _PAGE))
        return flattened([keys.split_key(key)[0] for key, _ in rows], self._unpacked(rows, cell=HISTORY_CELL))

    def cutout_places(self, object_id: str) -> pa.Table:
        """Return where the images of an object's alerts are: ``i:objectId``, ``i:candid``, ``i:jd``, ``d:hdfs_path``.

        ``d:hdfs_path`` is ``night=YYYYMMDD/<file>.parquet#<row>``, relative to the science table.
        """
        found = self.store.scan(self.name(""), keys.object_range(object_id), [ALERT_CELL, CUTOUT_CELL])
        rows = [(key, cells) for key, cells in found if ALERT_CELL in cells and CUTOUT_CELL in cells]
        places = self._unpacked(rows, ["i:objectId", "i:candid", "i:jd"])
        paths = [cells[CUTOUT_CELL].decode("utf-8", "replace") for _, cells in rows]
        return places.append_column("d:hdfs_path", pa.array(paths, pa.string()))

    def in_time(
        self,
        suffix: str,
        label: str | None = None,
        jd_start: float | None = None,
        jd_stop: float | None = None,
        *,
        newest_first: bool = True,
        page: int = _PAGE,
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
            The order; alerts of one exposure by name.
        page : int
            Rows of each scan fetched at once.
        """
        scans = self._scans.side_by_side(
            self.name(suffix), keys.time_ranges(label, jd_start, jd_stop), [ALERT_CELL], page, reverse=newest_first
        )
        merged = heapq.merge(*scans, key=lambda row: keys.without_salt(row[0]), reverse=newest_first)
        yield from self._pages(merged, page)

    def around(
        self,
        ra: float,
        dec: float,
        radius_arcsec: float,
        most: int | None = None,
        keep: Callable[[pa.Table], Mask] | None = None,
    ) -> pa.Table:
        """Return the latest alert of every object in a disc, with ``v:separation_degree`` (deg), nearest first.

        An object is in the disc if the position of its latest alert is, edge included.

        Parameters
        ----------
        ra, dec : float
            Centre in degrees (ICRS).
        radius_arcsec : float
            Radius.
        most : int, optional
            Objects wanted, the nearest ones; no more are held, however many there are.
        keep : callable, optional
            Tells which latest alerts count.
        """
        # wider by what positions scatter: the latest may be just outside, where an older one is inside
        ranges = cone_ranges(ra, dec, min(radius_arcsec + SCATTER_ARCSEC, 648_000.0))
        table, rows = self.name(POSITION_SUFFIX), self._positions(ranges)
        disc = Disc(ra, dec, radius_arcsec, most, keep)
        first = self._unpacked(list(islice(rows, _SIFTED_AT_ONCE)))
        if len(first) < _SIFTED_AT_ONCE:
            return disc.nearest(latest_of_each(first) if len(first) else first)
        found = disc.nearest(first.slice(0, 0))
        for alerts in chain([first], self._pages(rows, _PAGE)):
            latest = alerts.filter(pa.array(~overtaken(alerts, self.store, table, self.schemas)))
            found = disc.nearer(found, disc.nearest(latest))
        return found

    def in_pixels(self, order: int, pixels: Sequence[int]) -> Iterator[pa.Table]:
        """Give the latest alert of every object in some nested HEALPix pixels of an order up to 12.

        An object is in a pixel if the position of its latest alert is.
        """
        table, ranges = self.name(POSITION_SUFFIX), pixel_ranges(order, pixels)
        for alerts in self._pages(self._positions(ranges), _PAGE):
            latest = alerts.filter(pa.array(~overtaken(alerts, self.store, table, self.schemas)))
            if latest.num_rows:
                yield latest

    def with_prefix(self, suffix: str, prefix: bytes, most: int | None = None, *, reverse: bool = False) -> pa.Table:
        """Return rows of a table whose key begins with ``prefix``, in the order of keys, or from the last one back."""
        page = _PAGE if most is None else max(1, min(_PAGE, most))
        rows = self.store.scan(self.name(suffix), keys.prefix_range(prefix), [ALERT_CELL], reverse, page)
        return self._unpacked(list(islice(rows, most)))

    def rows(self, suffix: str, keys: KeyRange, page: int = _PAGE) -> Iterator[pa.Table]:
        """Give rows of a table in a range of keys."""
        yield from self._pages(self.store.scan(self.name(suffix), keys, [ALERT_CELL], page=page), page)

    def records(self, suffix: str, keys: KeyRange, reverse: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the rows of a table that holds no alerts (``statistics``, ``metadata``, resolvers): key and fields."""
        for key, cells in self.store.scan(self.name(suffix), keys, [RECORD_CELL], reverse=reverse):
            name = key.decode("utf-8", "replace")
            try:
                fields = json.loads(cells[RECORD_CELL])
            except ValueError as error:
                raise DataError(
                    f"Row {name} of table `{self.name(suffix)}` is damaged.", "Write it anew, or remove it."
                ) from error
            yield name, fields

    def put_records(self, suffix: str, records: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write rows of a table that holds no alerts: texts, numbers, booleans and lists of them by name."""
        rows = [(name.encode(), {RECORD_CELL: as_json(dict(fields))}) for name, fields in records]
        self.store.put(self.name(suffix), rows)

    def close(self) -> None:
        """Give connections and threads back."""
        self._scans.close()
        self.store.close()

    def _newest_first(self, ranges: Sequence[KeyRange]) -> Iterator[Row]:
        """Give rows of the main table, range by range from the last key back; some ranges are asked for ahead."""
        table = self.name("")
        if len(ranges) == 1:  # no need of another thread
            yield from self.store.scan(table, ranges[0], [ALERT_CELL], reverse=True, page=_PAGE)
            return
        for start in range(0, len(ranges), _OBJECTS_AHEAD):
            some = ranges[start : start + _OBJECTS_AHEAD]
            yield from chain.from_iterable(self._scans.side_by_side(table, some, [ALERT_CELL], _PAGE, reverse=True))

    def _by_keys(self, wanted: Sequence[bytes], columns: Sequence[str] | None) -> pa.Table:
        found = self.store.get(self.name(""), wanted, [ALERT_CELL])
        return self._unpacked([(key, cells) for key, cells in zip(wanted, found, strict=True) if cells], columns)

    def _positions(self, ranges: Sequence[KeyRange]) -> Iterator[Row]:
        """Give rows of the table of positions that are alerts."""
        rows = self._scans.in_order(self.name(POSITION_SUFFIX), ranges, [ALERT_CELL], _PAGE)
        return (row for row in rows if is_somebody(row[1]))

    def _pages(self, rows: Iterator[Row], page: int) -> Iterator[pa.Table]:
        while some := list(islice(rows, page)):
            yield self._unpacked(some)

    def _unpacked(
        self, rows: Sequence[Row], columns: Sequence[str] | None = None, cell: bytes = ALERT_CELL
    ) -> pa.Table:
        return self.schemas.unpack([cells[cell] for _, cells in rows], columns, [key for key, _ in rows])
