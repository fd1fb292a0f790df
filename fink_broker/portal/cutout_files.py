"""Where the images of alerts are, and the images themselves, from the Parquet files of the science table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from fink_broker.archive.hbase.cells import CUTOUT_CELL
from fink_broker.archive.hbase.keys import one_object, split_key
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.tables import main_keys
from fink_broker.archive.layout import Layout
from fink_broker.archive.lookup import find_alert
from fink_broker.archive.table import AlertTable
from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.portal.images import ImageKind

_PLACE = re.compile(r"(night=(\d{8})/[\w.=-]+\.parquet)#(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class Place:
    """Where the images of an alert are.

    Parameters
    ----------
    object_id : str
        Its objectId.
    candid : int
        Its identifier.
    jd : float
        Its exposure time in days (UTC).
    night : str
        Its observing night, ``YYYYMMDD``.
    path : str
        The file that held it when it was written, relative to the science table.
    row : int
        Its row there.
    """

    object_id: str
    candid: int
    jd: float
    night: str
    path: str
    row: int


def places(archive: Archive, object_id: str, page: int = 1000) -> Iterator[Place]:
    """Give where the images of an object's alerts are, the latest alert first.

    Parameters
    ----------
    archive : Archive
        HBase; what it says is in small cells of their own, and in the keys of the main table.
    object_id : str
        The whole name of the object.
    page : int
        How many are fetched at once.

    Raises
    ------
    DataError
        If HBase names a place that cannot be one.
    """
    found = archive.store.scan(archive.name(""), one_object(object_id), [CUTOUT_CELL], reverse=True, page=page)
    return (_place(key, cells[CUTOUT_CELL]) for key, cells in found)


def places_of(archive: Archive, alerts: pa.Table) -> list[Place | None]:
    """Return where the images of alerts are, None for a row that is none.

    Parameters
    ----------
    archive : Archive
        HBase.
    alerts : pyarrow.Table
        With ``i:objectId``, ``i:jd`` and ``i:candid``.

    Raises
    ------
    DataError
        If HBase names a place that cannot be one.
    """
    keys = main_keys(alerts)
    found = archive.store.get(archive.name(""), keys, [CUTOUT_CELL])
    return [_place(key, cells[CUTOUT_CELL]) if cells else None for key, cells in zip(keys, found, strict=True)]


def place_of(archive: Archive, object_id: str, candid: int | None = None) -> Place | None:
    """Return where the images of one alert of an object are, the latest without ``candid``; None if there is none."""
    if candid is None:
        return next(places(archive, object_id, page=1), None)
    return next((place for place in places(archive, object_id) if place.candid == candid), None)


def stamps(config: Config, place: Place, kinds: Sequence[ImageKind]) -> dict[ImageKind, bytes]:
    """Return images of an alert as they came in its packet, gzipped FITS files; those it lacks are left out.

    Parameters
    ----------
    config : Config
        Tells where the science table is.
    place : Place
        Where the alert was written.
    kinds : sequence of str
        Which images.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    wanted = [f"cutout{kind}.stampData" for kind in kinds]
    hint = place.path, place.row
    alert = find_alert(science_table(config.storage.online), place.night, place.object_id, place.candid, wanted, hint)
    if alert is None:
        return {}
    found = {kind: _stamp(alert, kind) for kind in kinds}
    return {kind: stamp for kind, stamp in found.items() if stamp is not None}


@lru_cache(maxsize=4)
def science_table(online: str) -> AlertTable:
    """Return the science table of a data prefix."""
    return AlertTable(Layout(online).table("science"))


def _stamp(alert: pa.Table, kind: ImageKind) -> bytes | None:
    if f"cutout{kind}" not in alert.column_names:
        return None
    cutout = alert[f"cutout{kind}"][0].as_py()
    stamp = cutout.get("stampData") if cutout else None
    return stamp if isinstance(stamp, bytes) else None


def _place(key: bytes, cell: bytes) -> Place:
    try:
        object_id, jd, candid = split_key(key)
        match = _PLACE.fullmatch(cell.decode())
        if match is not None:
            return Place(object_id, int(candid), float(jd), match[2], match[1], int(match[3]))
    except ValueError:  # not three parts, no numbers, no text
        pass
    raise DataError(
        f"HBase does not say where the images of {key.decode('ascii', 'replace')} are.",
        "`fink archive check` with --repair writes it anew.",
    )
