"""Tables of the CDS X-Match service: what is asked of each, and how an answer is read.

The service is described by Pineau et al. 2020 (ASPC 522, 125) and at http://cdsxmatch.u-strasbg.fr.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

#: Label of a position nobody could be asked about; the HTTP status is appended where there is one.
FAIL = "Fail"
#: One source: the values of the columns of a table, None where there is none.
Source = tuple[str | float | int | None, ...]


@dataclass(frozen=True)
class ServiceTable:
    """A table of the service.

    Parameters
    ----------
    name : str
        What the service calls it (``cat2``).
    columns : pyarrow.Schema
        Columns wanted of it, and as what they are read: text, 32-bit float or integer.
    radius_arcsec : float
        Matches are strictly nearer.
    """

    name: str
    columns: pa.Schema
    radius_arcsec: float


SIMBAD = ServiceTable("simbad", pa.schema([("main_type", pa.string())]), 1.0)
GAIA = ServiceTable(
    "vizier:I/355/gaiadr3",
    pa.schema([("DR3Name", pa.string()), ("Plx", pa.float32()), ("e_Plx", pa.float32()), ("VarFlag", pa.string())]),
    1.0,
)
GAIA_VARIABILITY = ServiceTable("vizier:I/358/vclassre", pa.schema([("Class", pa.string())]), 1.0)
VSX = ServiceTable("vizier:B/vsx/vsx", pa.schema([("Type", pa.string())]), 1.5)
SPICY = ServiceTable("vizier:J/ApJS/254/33/table1", pa.schema([("SPICY", pa.int32()), ("class", pa.string())]), 1.2)


class CouldNotAsk(Exception):
    """The service gave no usable answer.

    Parameters
    ----------
    reason : str
        For people.
    status : int, optional
        HTTP status, if it gave one other than 200.
    again : bool
        Whether another try may help.
    unreachable : bool
        Whether no connection was made: no table of this host can be asked.
    """

    def __init__(
        self, reason: str, status: int | None = None, *, again: bool = True, unreachable: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.status, self.again, self.unreachable = reason, status, again, unreachable

    @property
    def label(self) -> str:
        """``Fail`` or ``Fail <status>``."""
        return FAIL if self.status is None else f"{FAIL} {self.status}"


def parse_answer(text: str, table: ServiceTable) -> dict[int, Source]:
    """Return the nearest match of each number sent as ``objectId``.

    Parameters
    ----------
    text : str
        CSV with a header: ``angDist`` (arcsec), the columns sent, the columns wanted.
    table : ServiceTable
        Whose columns are wanted, in which radius.

    Raises
    ------
    CouldNotAsk
        If this is no such table.
    """
    try:
        return _nearest(text, table)
    except (csv.Error, ValueError, IndexError, StopIteration) as error:
        raise CouldNotAsk(f"its answer is no table of matches ({error or 'empty'})") from error


def _nearest(text: str, table: ServiceTable) -> dict[int, Source]:
    lines = csv.reader(io.StringIO(text), strict=True)
    header = [name.strip() for name in next(lines)]
    distance, number, *wanted = (header.index(name) for name in ("angDist", "objectId", *table.columns.names))
    best: dict[int, tuple[float, list[str]]] = {}
    for line in lines:
        if not line:
            continue
        arcsec, key = float(line[distance]), int(line[number])
        if arcsec < table.radius_arcsec and (key not in best or arcsec < best[key][0]):
            best[key] = (arcsec, [line[position].strip() for position in wanted])
    readers = [_reader(kind) for kind in table.columns.types]
    return {
        key: tuple(read(value) if value else None for read, value in zip(readers, values, strict=True))
        for key, (_, values) in best.items()
    }


def _reader(kind: pa.DataType) -> Callable[[str], str | float | int]:
    """Return what makes a value of its text; texts are interned, since there are many sources and few types."""
    if pa.types.is_floating(kind):
        return float
    return _small_integer if pa.types.is_integer(kind) else sys.intern


def _small_integer(text: str) -> int:
    value = int(text)
    if abs(value) >= 1 << 31:
        raise ValueError(f"{text} is no 32-bit integer")
    return value
