"""Catalogues that visitors upload: read strictly, told of in words."""

from __future__ import annotations

import binascii
import csv
import io
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

from fink_broker.errors import FinkError

MOST_ROWS = 1000
MOST_BYTES = 5_000_000
MOST_COLUMNS = 100
LONGEST_CELL = 1000
#: Name of the column of row numbers, where a catalogue has no identifiers.
ROW = "row"
_DELIMITERS = ",;\t|"
_RA = ("ra", "raj2000", "ra_icrs", "raicrs", "ra_deg", "radeg", "alpha", "right_ascension", "i:ra", "ra2000", "lon")
_DEC = (
    "dec", "dej2000", "dec_icrs", "deicrs", "dec_deg", "decdeg", "dedeg", "decj2000", "de", "delta", "declination",
    "i:dec", "dec2000", "lat",
)  # fmt: skip
_ID = ("id", "name", "source_id", "objectid", "i:objectid", "identifier", "object", "source", "designation", "oid")


class CatalogueError(FinkError):
    """A file is no catalogue; the text says why."""


@dataclass(frozen=True)
class Catalogue:
    """A table of texts.

    Parameters
    ----------
    names : tuple of str
        Names of its columns, all different.
    rows : tuple of tuple of str
        Its cells, a tuple a row.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Return it as comma separated values."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([self.names, *self.rows])
        return out.getvalue()


def uploaded(contents: object) -> bytes:
    """Return the bytes of a file as Dash gives it: ``data:…;base64,…``.

    Raises
    ------
    CatalogueError
        If it is none, or too large.
    """
    if not isinstance(contents, str) or ";base64," not in contents[:200]:
        raise CatalogueError("No file arrived. Choose it again.")
    encoded = contents.split(",", 1)[1]
    if len(encoded) > MOST_BYTES * 4 / 3 + 4:
        raise CatalogueError(f"The file is too large: {MOST_BYTES // 1_000_000} MB at most. Send it in several parts.")
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise CatalogueError("The file arrived damaged. Choose it again.") from None


def read_catalogue(content: bytes | str) -> Catalogue:
    """Read a table of values separated by commas, semicolons, tabs or bars; its first line names the columns.

    Lines that begin with ``#`` are left out. A column of row numbers is added where no column looks like identifiers.

    Raises
    ------
    CatalogueError
        If it is no such table, or too large; says in which line, and what to do.
    """
    text = _decoded(content)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise CatalogueError(
            "The file is empty. It needs a line with the names of the columns, and one for each source."
        )
    delimiter = max(_DELIMITERS, key=lines[0].count)
    try:
        table = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, strict=True)]
    except csv.Error as error:
        raise CatalogueError(f"The file is no table of comma separated values: {error}.") from None
    names = _checked_names(table[0])
    if len(table) == 1:
        raise CatalogueError("The file has no row below the names of its columns.")
    if len(table) - 1 > MOST_ROWS:
        raise CatalogueError(f"The file has {len(table) - 1:,} rows: {MOST_ROWS:,} at most. Send it in several parts.")
    for number, row in enumerate(table[1:], start=1):
        if len(row) != len(names):
            raise CatalogueError(f"Row {number} has {len(row)} cells, but there are {len(names)} columns.")
        if max(map(len, row)) > LONGEST_CELL:
            raise CatalogueError(f"Row {number} has a cell of more than {LONGEST_CELL:,} characters.")
    rows = [tuple(row) for row in table[1:]]
    if _first(names, _ID) is None and ROW not in names:
        names, rows = (ROW, *names), [(str(number), *row) for number, row in enumerate(rows, start=1)]
    return Catalogue(names, tuple(rows))


def guess_columns(names: Sequence[str]) -> tuple[str | None, str | None, str | None]:
    """Return which columns are right ascension, declination and identifier, by their names; None where none is."""
    identifier = _first(names, _ID) or (ROW if ROW in names else None)
    return _first(names, _RA), _first(names, _DEC), identifier


def _decoded(content: bytes | str) -> str:
    if isinstance(content, bytes):
        if len(content) > MOST_BYTES:
            raise CatalogueError(f"The file is too large: {MOST_BYTES // 1_000_000} MB at most.")
        if b"\0" in content:
            raise CatalogueError("The file is not text. Save the table as CSV: comma separated values.")
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CatalogueError("The file is not text in UTF-8. Save the table as CSV in UTF-8.") from None
    if len(content) > MOST_BYTES:
        raise CatalogueError(f"The table is too large: {MOST_BYTES // 1_000_000} MB at most.")
    if re.search(r"[\x00-\x08\x0b\x0e-\x1f]", content):
        raise CatalogueError("The file has control characters. Save the table as CSV: comma separated values.")
    return content


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) < 2:
        raise CatalogueError("The first line names fewer than two columns: at least right ascension and declination.")
    if len(names) > MOST_COLUMNS or max(map(len, names)) > LONGEST_CELL:
        raise CatalogueError(f"The first line has too many or too long names: {MOST_COLUMNS} columns at most.")
    if len(set(names)) < len(names) or not all(names):
        raise CatalogueError("The columns need names that differ, in the first line.")
    return tuple(names)


def _first(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column whose name stands earliest in a list of known names, whatever its capitals."""
    folded = {re.sub(r"[\s\[\]()°]|_?(deg|degrees)$", "", name.casefold()): name for name in reversed(names)}
    folded |= {name.casefold(): name for name in reversed(names)}
    return next((folded[name] for name in known if name in folded), None)
