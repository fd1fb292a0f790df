"""``xmatch``: objects around each position of a catalogue."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from fink_broker.archive.hbase.discs import SEPARATION
from fink_broker.portal.alert_rows import Limit, Selection, united
from fink_broker.portal.angles import parse_position
from fink_broker.portal.cones import RADIUS, checked_radius, is_position_column, objects_around
from fink_broker.portal.dates import START_OF_DATA, now, parse_date
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows
from fink_broker.portal.scans import WINDOW, Dates

MOST_POSITIONS = 10_000
LONGEST_CATALOG = 5_000_000
#: Characters of a cell.
_LONGEST_CELL = 1000
_MOST_COLUMNS = 100
#: Positions searched side by side, and between two looks at how many rows there are.
_SIDE_BY_SIDE = 4
_TOGETHER = 32
#: What is put behind the name of a column of the catalogue that is also one of the archive's.
CATALOG_MARK = "_catalog"
_HEADER_HELP = "Header should contain 3 or 4 entries from your catalog. E.g. RA,DEC,ID or RA,DEC,ID,Time\n"


@dataclass(frozen=True)
class Source:
    """A row of a client's catalogue.

    Parameters
    ----------
    cells : dict
        All its columns, as text.
    ra, dec : float
        Position in degrees (ICRS).
    dates : Dates, optional
        When objects around it must have been detected first.
    """

    cells: dict[str, str]
    ra: float
    dec: float
    dates: Dates | None


def read_catalog(text: str, header: Sequence[str], window: float | None) -> list[Source]:
    """Read a catalogue.

    Parameters
    ----------
    text : str
        CSV, the first line names the columns.
    header : sequence of str
        Columns of right ascension, declination, identifier, and perhaps time.
    window : float, optional
        Days from the time on in which objects are detected first; until now where it is not given.

    Raises
    ------
    RequestError
        If it is no such table, too large, or a position or time cannot be read; says in which line.
    """
    rows = _rows(text)
    if len(header) not in (3, 4) or not set(header) <= set(rows[0] if rows else ()):
        raise RequestError(_HEADER_HELP)
    return [_source(number, row, header, window) for number, row in enumerate(rows, start=2)]


def _rows(text: str) -> list[dict[str, str]]:
    try:
        lines = csv.reader(io.StringIO(text.strip()), skipinitialspace=True, strict=True)
        names = [name.strip() for name in next(lines, [])]
        if len(set(names)) < len(names) or len(names) > _MOST_COLUMNS:
            raise RequestError(f"`catalog` needs columns of different names, {_MOST_COLUMNS} at most.\n")
        rows: list[dict[str, str]] = []
        for line in lines:
            if not line:
                continue
            if len(line) != len(names) or max(map(len, line)) > _LONGEST_CELL:
                raise RequestError(
                    f"Line {lines.line_num} of `catalog` has not the {len(names)} cells of its header.\n"
                )
            if len(rows) == MOST_POSITIONS:
                raise RequestError(f"`catalog` may have {MOST_POSITIONS:,} rows. Send it in several parts.\n")
            rows.append(dict(zip(names, (cell.strip() for cell in line), strict=True)))
    except csv.Error as error:
        raise RequestError(f"`catalog` is no table of comma separated values: {error}.\n") from None
    return rows


def _source(number: int, row: dict[str, str], header: Sequence[str], window: float | None) -> Source:
    try:
        ra, dec = parse_position(row[header[0]], row[header[1]])
    except RequestError as error:
        raise RequestError(f"Row {number} of `catalog` has no position: {error.text}\n") from None
    if len(header) == 3:
        return Source(row, ra, dec, None)
    try:
        first = parse_date(row[header[3]]) if row[header[3]] else START_OF_DATA
    except ValueError as error:
        raise RequestError(f"Row {number} of `catalog` has no date: {error}.\n") from None
    return Source(row, ra, dec, Dates(first, now() if window is None else first + window))


def answer(query: Query) -> Rows:
    """Return the catalogue joined with the objects around each of its positions, in the order of the catalogue."""
    radius, limit = checked_radius(query), Limit.of(query, None)
    sources = read_catalog(query["catalog"], query["header"], query["window"])
    selection = Selection.whole(query)
    found: list[pa.Table] = []
    matched: list[Source] = []
    for source, objects in _matches(query, sources, radius, limit.rows + 1):
        found.append(objects)
        matched += [source] * len(objects)
        if len(matched) > limit.rows:
            break
    ours = united(found) if found else selection.nothing(is_position_column, {SEPARATION: pa.float64()})
    return limit.answer(_side_by_side(list(sources[0].cells), matched, selection.show_stored(ours)))


def _matches(query: Query, sources: Sequence[Source], radius: float, most: int) -> Iterator[tuple[Source, pa.Table]]:
    """Give the objects around each position that has some."""

    def search(source: Source) -> pa.Table:
        return objects_around(query.archive, (source.ra, source.dec), radius, source.dates, most)

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for start in range(0, len(sources), _TOGETHER):
            some = sources[start : start + _TOGETHER]
            for source, objects in zip(some, pool.map(search, some), strict=True):
                if len(objects):
                    yield source, objects


def _side_by_side(names: Sequence[str], sources: Sequence[Source], objects: pa.Table) -> pa.Table:
    """Return the columns of a catalogue and those of the archive, one row for each pair.

    A catalogue may have been made of the archive's own answers: its columns keep apart by `CATALOG_MARK`.
    """
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name in names:
        shown = name
        while shown in columns or shown in objects.column_names or (shown != name and shown in names):
            shown += CATALOG_MARK
        columns[shown] = pa.array([source.cells[name] for source in sources], pa.string())
    return pa.table({**columns, **{name: objects[name] for name in objects.column_names}})


ROUTES = (
    Route(
        "xmatch",
        "Cross-match a catalogue with the objects of the archive",
        answer,
        (
            Argument(
                "catalog",
                "table of comma separated values; its first line names the columns, and to those that the archive "
                "has too _catalog is added",
                required=True,
                longest=LONGEST_CATALOG, example="ID,RA,Dec\na,193.8217409,2.8973184",
            ),
            Argument("header", "its columns RA,Dec,ID or RA,Dec,ID,Time", "names", required=True, example="RA,Dec,ID"),
            Argument("radius", RADIUS.description, "number", required=True, example=5),
            Argument("window", f"{WINDOW.description}, where the catalogue has times", "number", least=0),
        ),
        generations=("historic",),
        cost=10,
    ),
)  # fmt: skip
