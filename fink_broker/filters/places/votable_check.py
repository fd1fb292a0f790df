"""What a VOTable of a user may not do: point elsewhere, declare entities, or claim to be larger than memory."""

from __future__ import annotations

import math
import re
from xml.parsers import expat

from fink_broker.errors import ConfigError
from fink_broker.filters.places.limited_file import Opened


def refuse_unsafe(opened: Opened, largest_rows: int, largest_columns: int, largest_cells: int) -> list[str]:
    """Look through a VOTable before it is read; return the names of the columns of its first table.

    Data that stand elsewhere would be fetched from there by its reader, which reserves memory for as many rows and
    values as the file claims to hold.

    Parameters
    ----------
    opened : Opened
        The file.
    largest_rows, largest_columns : int
        Most rows and columns it may have.
    largest_cells : int
        Most values that rows, and the arrays in them, may add up to.

    Raises
    ------
    ConfigError
        If it is no XML, declares a document type, points to other files, or is too large.
    """
    check = _Check(opened.name, largest_rows, largest_columns, largest_cells)
    parser = expat.ParserCreate()
    parser.StartElementHandler = check.element
    parser.StartDoctypeDeclHandler = check.document_type
    try:
        opened.file.seek(0)
        parser.ParseFile(opened.file)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ConfigError(f"'{opened.name}' is no VOTable: {error}.", "Save it anew, or as CSV.") from error
    finally:
        opened.file.seek(0)
    return check.names


class _Check:
    def __init__(self, name: str, largest_rows: int, largest_columns: int, largest_cells: int) -> None:
        self._name, self._largest_rows = name, largest_rows
        self._largest_columns, self._largest_cells = largest_columns, largest_cells
        self._rows = 0
        self._columns = 0
        self._tables = 0
        self.names: list[str] = []
        self._width = 0

    def document_type(self, *_: object) -> None:
        raise ConfigError(f"'{self._name}' declares a document type, which VOTables do not.", "Leave DOCTYPE out.")

    def element(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "STREAM" and any(key.rpartition(":")[2] == "href" for key in attributes):
            raise ConfigError(
                f"'{self._name}' points to data that stand elsewhere.", "Save it with its data inside, or as CSV."
            )
        if tag == "FIELD":
            sizes = re.findall(r"\d+", attributes.get("arraysize", ""))
            self._columns += 1
            if self._tables == 1:
                self.names.append(attributes.get("name") or attributes.get("ID", ""))
            self._width += math.prod(int(size[:12]) for size in sizes)
        elif tag == "TR":
            self._rows += 1
        elif tag == "TABLE":
            self._tables += 1
            self._rows = max(self._rows, int((re.findall(r"\d+", attributes.get("nrows", "")) or ["0"])[0][:12]))
        else:
            return
        if self._rows > self._largest_rows:
            raise ConfigError(f"'{self._name}' has more than {self._largest_rows:,} rows.", "Split it.")
        if self._columns > self._largest_columns:
            raise ConfigError(f"'{self._name}' has more than {self._largest_columns} columns.", "Leave some out.")
        if max(self._rows, 1) * self._width > self._largest_cells:
            raise ConfigError(
                f"'{self._name}' has columns or arrays too large to read: more than {self._largest_cells:,} values.",
                "Leave those columns out.",
            )
