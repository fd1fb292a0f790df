"""HBase held against the science table by value: every row an alert must have, and rows that nobody should have."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import pyarrow as pa
from rich.console import Console

from fink_broker.alert.survey import SURVEYS
from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.hbase import cells
from fink_broker.archive.hbase.keys import split_key
from fink_broker.archive.hbase.packed import canonical
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import Rows, TableRows, database_rows
from fink_broker.archive.hbase.store import Row
from fink_broker.archive.hbase.stored import alike
from fink_broker.archive.hbase.tables import POSITION
from fink_broker.archive.reading import files_of_night
from fink_broker.config import Config
from fink_broker.stream.archive_night import (
    IN_TIME,
    ROWS_AT_ONCE,
    ArchivedNight,
    Numbers,
    candid_of,
    hashes,
    joined,
    unexpected,
)
from fink_broker.stream.archive_positions import Positions
from fink_broker.stream.archive_reading import gathered, parts_of
from fink_broker.stream.archiving import opened, shown

#: What is packed, and told by value; where the images are is only looked for, since merged files have other names.
_PACKED = (cells.ALERT_CELL, cells.HISTORY_CELL)
#: Rows that alerts of one object share are looked for alone.
_SHARED = "tracklet"
MAIN = "the main table"
#: Names that are told of each kind; of further ones only the number is.
MOST_NAMED = 5


@dataclass
class Found:
    """Alerts, or objects, of one kind: how many, and some of them by name."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, names: Iterable[str]) -> None:
        """Count some more."""
        for name in names:
            self.count += 1
            if len(self.names) < MOST_NAMED:
                self.names.append(name)

    def __str__(self) -> str:
        more = " …" if self.count > len(self.names) else ""
        return f"{self.count:,} ({', '.join(self.names)}{more})"


@dataclass
class Comparison:
    """What differs between HBase and the science table in a night.

    Attributes
    ----------
    absent, differing, left_over : dict
        By table: alerts that have no row there and should; whose row has other values, or is damaged; rows that no
        alert of the science table has.
    positions : Found
        Objects of which the table of positions has not the latest alert.
    refused : set of int
        Candids of alerts of the science table that cannot be archived.
    """

    absent: dict[str, Found] = field(default_factory=dict)
    differing: dict[str, Found] = field(default_factory=dict)
    left_over: dict[str, Found] = field(default_factory=dict)
    positions: Found = field(default_factory=Found)
    refused: set[int] = field(default_factory=set)

    def sentences(self) -> list[str]:
        """Return a sentence for each kind of difference."""
        told = []
        for found, text in (
            (self.absent, "Alerts that have no row in {} of HBase: {}."),
            (self.differing, "Alerts of which {} of HBase has other values than science, or damaged ones: {}."),
            (self.left_over, "Rows of {} of HBase of alerts that science has not, or has elsewhere: {}."),
        ):
            told += [text.format(table, which) for table, which in found.items() if which.count]
        if self.positions.count:
            told.append(f"Objects of which HBase has not the latest alert by position: {self.positions}.")
        return told


def compare_night(
    config: Config, night: str, console: Console | None = None, archive: Archive | None = None
) -> Comparison:
    """Compare what HBase has of a night with what the science table comes to.

    Memory does not grow with the night, but for 16 bytes an alert and table.

    Parameters
    ----------
    config : Config
        The configuration in force.
    night : str
        Observing night, ``YYYYMMDD``.
    console : Console, optional
        Told how far it is.
    archive : Archive, optional
        The database, if it is open.

    Raises
    ------
    ArchiveAway
        If HBase does not answer.
    FileNotFoundError
        If files of the night are gone, or were merged while they were read.
    """
    with opened(config, archive) as database:
        return _Comparing(config, night, database).run(console)


class _Comparing:
    """One night being compared."""

    def __init__(self, config: Config, night: str, archive: Archive) -> None:
        self._archive, self._night = archive, night
        self._science = AlertTable(Layout(config.storage.online).table("science"))
        self._there = ArchivedNight(archive, night, SURVEYS[config.survey])
        self._positions = Positions(archive)
        self._found = Comparison()
        self._expected: dict[str, list[Numbers]] = {table.suffix: [] for table in IN_TIME}

    def run(self, console: Console | None) -> Comparison:
        """Compare alerts, then look for rows nobody has."""
        before = self._there.key_hashes()  # of what comes meanwhile science may not know yet
        files = files_of_night(self._science, self._night)
        parts = gathered((part for file in files for part in parts_of(self._science, file)), ROWS_AT_ONCE)
        text = f"comparing {self._night} with HBase"
        for part in shown(parts, lambda each: len(each.alerts), sum(file.rows for file in files), text, console):
            self._compare(database_rows(part.alerts, part.places))
        for table in IN_TIME:
            expected = joined(self._expected[table.suffix])
            for rows in unexpected(self._there.rows(table), _key, expected, before[table.suffix]):
                self._note(self._found.left_over, table.suffix, [key for key, _ in rows])
        return self._found

    def _compare(self, rows: Rows) -> None:
        """Compare some alerts."""
        self._found.refused |= {alert.candid for alert in rows.refused if alert.candid is not None}
        latest: dict[bytes, bytes | None] = {}
        for part in rows.tables:
            if part.suffix == POSITION.suffix:
                latest |= {key: row[cells.ALERT_CELL] for key, row in part.rows}
            else:
                self._compare_rows(part, rows.schemas)
            if part.suffix in self._expected:
                self._expected[part.suffix].append(hashes(map(_key, part.rows)))
        wrong = self._positions.wrong(latest, rows.schemas)
        self._found.positions.add(split_key(each.key)[1] for each in wrong)

    def _compare_rows(self, part: TableRows, schemas: dict[str, pa.Schema]) -> None:
        known = {name: canonical(schema) for name, schema in schemas.items()}

        def schema_of(name: str) -> pa.Schema:
            return known[name] if name in known else self._archive.schemas.read(name)

        stored = self._archive.store.get(self._archive.name(part.suffix), [key for key, _ in part.rows])
        there = [(ours, theirs) for ours, theirs in zip(part.rows, stored, strict=True) if theirs]
        self._note(
            self._found.absent, part.suffix, [key for (key, _), row in zip(part.rows, stored, strict=True) if not row]
        )
        if part.suffix == _SHARED:
            return
        other = {key for (key, ours), theirs in there if set(ours) != set(theirs)}
        for cell in _PACKED:
            pairs = [(ours, theirs) for ours, theirs in there if cell in ours[1] and cell in theirs]
            same = alike([ours[1][cell] for ours, _ in pairs], [theirs[cell] for _, theirs in pairs], schema_of)
            other |= {ours[0] for (ours, _), equal in zip(pairs, same.tolist(), strict=True) if not equal}
        self._note(self._found.differing, part.suffix, sorted(other))

    def _note(self, kind: dict[str, Found], suffix: str, row_keys: Collection[bytes]) -> None:
        if row_keys:
            table = f"table `{suffix}`" if suffix else MAIN
            kind.setdefault(table, Found()).add(
                _named(key) if suffix == _SHARED else str(candid_of(key)) for key in row_keys
            )


def _key(row: Row) -> bytes:
    return row[0]


def _named(key: bytes) -> str:
    return key.decode("ascii", "replace")
