"""Columns of a user's table of any format: text (CSV and its kin), VOTable, ECSV, FITS."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import votable
from astropy.table import Table

from fink_broker.errors import ConfigError
from fink_broker.filters.places import fits_table
from fink_broker.filters.places.angles import decimals
from fink_broker.filters.places.limited_file import Opened
from fink_broker.filters.places.votable_check import refuse_unsafe

#: Most rows a list of a user may have.
LARGEST_ROWS = 1_000_000
#: Most columns, and most cells (rows × columns), whether they are needed or not.
LARGEST_COLUMNS = 200
LARGEST_CELLS = 10_000_000

#: Chooses from the names of the columns of a file those that are needed.
Choice = Callable[[Sequence[str]], Collection[str]]


@dataclass(frozen=True)
class Column:
    """A column of a table: numbers (float64, NaN for missing) or texts.

    Parameters
    ----------
    values : numpy.ndarray or list of str
        One a row.
    unit : str
        As the file has it, empty if it names none.
    """

    values: np.ndarray | list[str]
    unit: str = ""


@dataclass(frozen=True)
class Columns:
    """A table of a user.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    names : sequence of str
        Names of all columns.
    columns : dict of str to Column
        Those that are needed, by name.
    lines : sequence of int
        Where each row stands in the file, for messages.
    where : str
        What those are: lines or rows.
    """

    name: str
    names: Sequence[str]
    columns: dict[str, Column]
    lines: Sequence[int]
    where: str = "row"


def read_columns(opened: Opened, choose: Choice) -> Columns:
    """Read the columns of a table that are needed; its format is told by its content.

    Raises
    ------
    ConfigError
        If it cannot be read, or has too many rows, columns or cells.
    """
    head = opened.head(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(fits_table.MAGIC):
        with fits_table.first_table(opened) as table:
            _refuse_large(opened.name, table.rows, len(table.columns))
            names: Sequence[str] = table.columns
            columns = {name: _column(table.values(name), table.unit(name)) for name in choose(names)}
    elif head.startswith(b"<"):
        names, columns = _of_astropy(opened, _read_votable, choose)
    elif head.startswith(b"# %ECSV"):
        names, columns = _of_astropy(opened, _read_ecsv, choose)
    else:
        return _read_text(opened, choose)
    count = max((len(column.values) for column in columns.values()), default=0)
    _refuse_large(opened.name, count, len(names))
    flat = {name: column for name, column in columns.items() if len(column.values) == count}
    return Columns(opened.name, names, flat, range(1, count + 1))


def _read_votable(opened: Opened, choose: Choice) -> tuple[Sequence[str], Table]:
    names = refuse_unsafe(opened, LARGEST_ROWS, LARGEST_COLUMNS, LARGEST_CELLS)
    places = sorted(names.index(name) for name in choose(names)) or [0]
    tree = votable.parse(io.BytesIO(opened.bytes()), columns=places, table_number=0, verify="ignore")
    return names, tree.get_first_table().to_table(use_names_over_ids=True)


def _read_ecsv(opened: Opened, choose: Choice) -> tuple[Sequence[str], Table]:
    text = opened.text()
    lines = (line for line in io.StringIO(text) if not line.startswith("#") and line.strip())
    delimiter = "," if re.search(r"^# delimiter: ['\"]?,", text, re.MULTILINE) else " "
    names = next(csv.reader([next(lines, "")], delimiter=delimiter, skipinitialspace=True), [])
    _refuse_large(opened.name, sum(1 for _ in lines), len(names))
    # columns that make one up together, such as those of a sky coordinate, are read all or not at all
    wanted = None if "__serialized_columns__" in text else list(choose(names)) or None
    return names, Table.read(text.splitlines(), format="ascii.ecsv", include_names=wanted)


def _of_astropy(opened: Opened, read: Any, choose: Choice) -> tuple[Sequence[str], dict[str, Column]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy tells of every slip in the form; only what cannot be read matters
        try:
            names, table = read(opened, choose)
            chosen = {name: _column(table[name], str(table[name].unit or "")) for name in choose(table.colnames)}
            return names, chosen
        except ConfigError:
            raise
        except Exception as error:  # astropy raises whatever the damage leads to
            why = " ".join(str(error).split())[:200]
            raise ConfigError(f"'{opened.name}' cannot be read: {why}.", "Save it anew, or as CSV.") from error


def _column(values: Any, unit: str) -> Column:
    array = np.ma.asarray(values)
    if array.dtype.kind in "fiu":
        return Column(np.asarray(np.ma.filled(array.astype(float), np.nan)), unit)
    texts = [_text(value) for value in array.filled("").ravel().tolist()] if array.dtype.kind in "OSU" else []
    return Column(texts, unit)


def _text(value: object) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _read_text(opened: Opened, choose: Choice) -> Columns:
    """Read lines of cells apart by comma, semicolon, tab, bar or blanks, under a line of names.

    Blank lines, and lines that begin with ``#``, are left out; if there is no other, names may stand in the last of
    those before the first row.
    """
    rows = _rows(opened.name, opened.text())
    names = [name.strip() for name in next(rows, (0, []))[1]]
    if not names:
        raise ConfigError(f"'{opened.name}' has no rows.", "Write names of columns in the first line, then the rows.")
    _refuse_large(opened.name, 0, len(names))
    places = {name: names.index(name) for name in choose(names)}
    cells: dict[str, list[str]] = {name: [] for name in places}
    lines: list[int] = []
    for line, row in rows:
        if len(row) != len(names):
            raise ConfigError(
                f"Line {line} of '{opened.name}' has {len(row)} cells, its head {len(names)}.", "Mend that line."
            )
        for name, place in places.items():
            cells[name].append(row[place].strip())
        lines.append(line)
        _refuse_large(opened.name, len(lines), len(names))
    return Columns(opened.name, names, {name: Column(values) for name, values in cells.items()}, lines, "line")


def _rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the number and cells of each line that is not blank, the names first."""
    comment, head = "", ""
    for head in map(str.strip, io.StringIO(text)):
        if head and not head.startswith("#"):
            break
        comment = head.strip("# ") or comment
    delimiter = next((mark for mark in "\t;|," if mark in head), " ")
    # a line left out stays as a blank one, so that lines are counted as an editor counts them
    kept = ("" if line.startswith("#") else line.strip(" \r\n") + "\n" for line in io.StringIO(text))
    reader = csv.reader(kept, delimiter=delimiter, skipinitialspace=True, strict=True)
    if comment and not np.isnan(decimals(next(csv.reader([head], delimiter=delimiter, skipinitialspace=True))[:1])[0]):
        yield 0, [cell.strip() for cell in next(csv.reader([comment], delimiter=delimiter, skipinitialspace=True))]
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError(f"Line {reader.line_num} of '{name}' cannot be read: {error}.", "Mend that line.") from error


def _refuse_large(name: str, rows: int, columns: int) -> None:
    if rows > LARGEST_ROWS:
        raise ConfigError(f"'{name}' has more than {LARGEST_ROWS:,} rows.", "Split it, or keep what you watch.")
    if columns > LARGEST_COLUMNS:
        raise ConfigError(f"'{name}' has more than {LARGEST_COLUMNS} columns.", "Keep position, radius and name.")
    if rows * columns > LARGEST_CELLS:
        raise ConfigError(f"'{name}' has more than {LARGEST_CELLS:,} cells.", "Keep position, radius and name.")
