"""Rows that are no alerts: names, orbits, notes. Their tables are small, and made when they are first needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from fink_broker.archive.hbase.cells import RECORD_FAMILIES, table_name
from fink_broker.archive.hbase.keys import prefix_range
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.errors import ArchiveAway, ServiceError

#: names of the Transient Name Server by name, and by the name of a survey
TNS, TNS_REVERSE = "tns_resolver", "tns_reverse"
#: names of solar system objects
SSO = "sso_resolver"
#: light curves and orbits of candidates for new ones
SSO_CANDIDATES, SSO_ORBITS = "sso_cand", "orb_cand"
#: what users note about objects
METADATA = "metadata"
#: what Euclid's pipelines send, for use and for trials
EUCLID, EUCLID_TRIALS = "euclid_in", "euclid_test"
TABLES = (TNS, TNS_REVERSE, SSO, SSO_CANDIDATES, SSO_ORBITS, METADATA, EUCLID, EUCLID_TRIALS)

#: rows that are written, or answered, at once
PIECE = 1000
ALL = KeyRange(b"", b"\xff" * 16)

Record = tuple[str, dict[str, Any]]


def starting_with(prefix: str) -> KeyRange:
    """Return the range of keys that begin with a text, which must be escaped already (`keys.part`)."""
    return prefix_range(prefix.encode()) if prefix else ALL


def read(archive: Archive, table: str, keys: KeyRange, *, reverse: bool = False) -> Iterator[Record]:
    """Give rows of one of `TABLES` in a range of keys, none where the table was never written."""
    try:
        yield from archive.records(table, keys, reverse)
    except ArchiveAway:
        raise
    except ServiceError:  # the table is not there: by the time it is, it is empty
        make_tables(archive)


def write(archive: Archive, table: str, records: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Write rows of one of `TABLES`, a thousand at a time; return how many."""
    make_tables(archive)
    count = 0
    rows = iter(records)
    while piece := list(islice(rows, PIECE)):
        archive.put_records(table, piece)
        count += len(piece)
    return count


def make_tables(archive: Archive) -> None:
    """Create the tables that do not exist."""
    archive.store.create_tables({table_name(archive.tables, table): RECORD_FAMILIES for table in TABLES})


def as_tables(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    """Give rows as tables of one schema, a thousand at a time, and an empty one if there are none."""
    remaining, is_first = iter(rows), True
    while (piece := list(islice(remaining, PIECE))) or is_first:
        yield pa.Table.from_pylist([dict(row) for row in piece], schema=schema)
        is_first = False


def texts(names: Sequence[str]) -> pa.Schema:
    """Return the schema of columns that are all texts."""
    return pa.schema([(name, pa.string()) for name in names])


def text_of(value: Any) -> str | None:
    """Return a value as a text, None for none."""
    return None if value is None else str(value)
