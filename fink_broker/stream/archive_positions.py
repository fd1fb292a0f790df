"""The table of positions held against the main table: each row is the latest alert of an object in a pixel, or nobody.

Alerts put themselves there under versions that follow their exposures, so that the latest stays in whatever order they
come. When the latest is lost, or changes, another row must take its place, and the version of what it replaces is not
to be gone below: it is put under the next one. Nothing is ever removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase import cells, keys
from fink_broker.archive.hbase.latest import NOBODY
from fink_broker.archive.hbase.packed import canonical
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import index_rows
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.archive.hbase.stored import alike, readable
from fink_broker.archive.hbase.tables import POSITION, main_keys, versions

_IDENTITY = ["i:objectId", "i:jd", "i:candid"]
#: Alerts of an object read at once.
_PAGE = 200
#: Rows looked at at once where all are looked at.
_ROWS = 1000
#: How often rows are looked at again after they were written: alerts may come meanwhile.
_ROUNDS = 3


@dataclass(frozen=True)
class Correction:
    """What a row of the table of positions is to be: key, packed alert or `NOBODY`, and version."""

    key: bytes
    packed: bytes
    version: int


@dataclass(frozen=True)
class _Alert:
    candid: int
    version: int
    main_key: bytes


class Positions:
    """The table of positions of an archive.

    Parameters
    ----------
    archive : Archive
        The database.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive, self._store = archive, archive.store
        self._table = archive.name(POSITION.suffix)
        self._schemas: dict[str, pa.Schema] = {}

    def wrong(
        self,
        known: Mapping[bytes, bytes | None],
        schemas: Mapping[str, pa.Schema] | None = None,
        lost: Collection[int] = (),
    ) -> list[Correction]:
        """Return what must change in some rows.

        A row is believed if its alert is in the main table and no alert that is known is later; of others all alerts
        of the object are read.

        Parameters
        ----------
        known : mapping
            Keys of the rows, and of each the latest alert that is known, packed as the table has it; None: nothing is.
        schemas : mapping, optional
            Schemas of these alerts by id.
        lost : collection of int
            Candids of alerts that no longer count, though they may be in the main table.

        Raises
        ------
        ArchiveAway
            If the database does not answer.
        """
        self._schemas |= {name: canonical(schema) for name, schema in (schemas or {}).items()}
        position_keys = list(known)
        stored = self._store.get_versions(self._table, position_keys, cells.ALERT_CELL)
        doubtful = self._doubtful(list(known.values()), [entry[0] if entry else None for entry in stored], lost)
        found = []
        for key, entry, doubt in zip(position_keys, stored, doubtful, strict=True):
            if doubt:
                value, version = entry or (NOBODY, -1)
                packed, own = self._true(key, lost)
                if not self._same(packed, value):
                    found.append(Correction(key, packed, max(own, version + 1)))
        return found

    def mend(
        self,
        known: Mapping[bytes, bytes | None],
        schemas: Mapping[str, pa.Schema] | None = None,
        lost: Collection[int] = (),
    ) -> int:
        """Make some rows right, parameters as for `wrong`; return how many were not."""
        mended = 0
        for _ in range(_ROUNDS):
            wrong = self.wrong(known, schemas, lost)
            if not wrong:
                break
            for name in {each.packed[:8].hex() for each in wrong if each.packed != NOBODY}:
                self._archive.schemas.keep(self._schema(name))
            for each in wrong:
                self._store.put(self._table, [(each.key, {cells.ALERT_CELL: each.packed})], each.version)
            mended = mended or len(wrong)
            known = {each.key: known[each.key] for each in wrong}
        return mended

    def mend_all(self) -> int:
        """Make every row right whose alert is not in the main table; return how many there were."""
        rows = self._store.scan(self._table, ALL_KEYS, [cells.ALERT_CELL], page=_ROWS)
        mended = 0
        while some := [key for key, _ in islice(rows, _ROWS)]:
            mended += self.mend(dict.fromkeys(some))
        return mended

    def _doubtful(
        self, known: Sequence[bytes | None], stored: Sequence[bytes | None], lost: Collection[int]
    ) -> list[bool]:
        """Tell which rows may be wrong."""
        wanted, there = self._alerts(known), self._alerts(stored)
        doubtful, elsewhere, same = [False] * len(known), {}, []
        for row, (mine, theirs) in enumerate(zip(wanted, there, strict=True)):
            if theirs is None:
                doubtful[row] = bool(stored[row]) or mine is not None
            elif theirs.candid in lost or (mine is not None and theirs.version < mine.version):
                doubtful[row] = True
            elif mine is not None and theirs.candid == mine.candid:
                same.append(row)
            else:
                elsewhere[row] = theirs.main_key
        equal = alike([known[row] or b"" for row in same], [stored[row] or b"" for row in same], self._schema)
        for row, is_equal in zip(same, equal.tolist(), strict=True):
            doubtful[row] = not is_equal
        found = self._store.get(self._archive.name(""), list(elsewhere.values()), [cells.CUTOUT_CELL])
        for row, main in zip(elsewhere, found, strict=True):
            doubtful[row] = main is None
        return doubtful

    def _alerts(self, packed: Sequence[bytes | None]) -> list[_Alert | None]:
        """Return which alerts packed rows are; None for those that are none, or cannot be read."""
        found: list[_Alert | None] = [None] * len(packed)
        there = [(row, value) for row, value in enumerate(packed) if value]
        if there:
            table, good = readable([value for _, value in there], self._schema, _IDENTITY)
            if good:
                alerts = zip(table["i:candid"].to_pylist(), versions(table).tolist(), main_keys(table), strict=True)
                for place, alert in zip(good, alerts, strict=True):
                    found[there[place][0]] = _Alert(*alert)
        return found

    def _true(self, key: bytes, lost: Collection[int]) -> tuple[bytes, int]:
        """Return the row of the latest alert of an object in a pixel, and its version; `NOBODY` if there is none."""
        latest, newest = None, -1
        for alerts in self._alerts_of(keys.split_key(key)[1]):
            here = np.array([each == key for each in POSITION.keys(alerts)], dtype=bool)
            here &= ~np.asarray(pc.is_in(alerts["i:candid"], value_set=pa.array(list(lost), pa.int64())))
            if here.any():
                own = np.where(here, versions(alerts), -1)
                row = int(np.argmax(own))
                if own[row] > newest:
                    latest, newest = alerts.slice(row, 1), int(own[row])
        if latest is None:
            return NOBODY, -1
        schemas: dict[str, pa.Schema] = {}
        ((_, row_cells),) = index_rows(POSITION, latest, schemas)[0].rows
        self._schemas |= {name: canonical(schema) for name, schema in schemas.items()}
        return row_cells[cells.ALERT_CELL], newest

    def _alerts_of(self, object_id: str) -> Iterator[pa.Table]:
        """Give the alerts of an object in the main table that have a place on the sky, some at a time."""
        rows = self._store.scan(self._archive.name(""), keys.one_object(object_id), [cells.ALERT_CELL], page=_PAGE)
        while some := [row[cells.ALERT_CELL] for _, row in islice(rows, _PAGE)]:
            table, good = readable(some, self._schema)
            if good:
                chosen = table.filter(pa.array(POSITION.takes(table)))
                if len(chosen):
                    yield chosen

    def _same(self, ours: bytes, stored: bytes) -> bool:
        return ours == stored or (NOBODY not in (ours, stored) and bool(alike([ours], [stored], self._schema)[0]))

    def _schema(self, name: str) -> pa.Schema:
        return self._schemas[name] if name in self._schemas else self._archive.schemas.read(name)
