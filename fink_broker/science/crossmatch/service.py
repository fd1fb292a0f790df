"""The CDS X-Match service: the nearest source of a list of positions, over HTTP.

An outage must not stop the stream: time-outs, a few retries, then the service is left alone for some minutes.
"""

from __future__ import annotations

import csv
import io
import logging
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import requests
import urllib3

from fink_broker.alert.lightcurve import Floats
from fink_broker.config.model import CrossmatchConfig
from fink_broker.science.crossmatch.provider import Answer, Texts

log = logging.getLogger(__name__)

FAIL = "Fail"
OK = 200
#: Worth a second try: the service is overloaded or broken. Other 4xx mean that the request is wrong.
RETRY_STATUS = {408, 429, *range(500, 600)}
#: Longest answer that is read, in bytes (2,000 positions give about 200 kB).
MAX_ANSWER = 64 * 2**20
#: First pause before a retry in seconds; doubled at each, and shortened by up to half at random.
BACK_OFF = 0.5
#: Positions are asked for, and answers kept, by cells of this size in arcsec. An answer is therefore a function of
#: the cell alone, whoever asked first; the shift (at most 0.07″) is below the scatter of ZTF positions.
CELL_ARCSEC = 0.1
_CELLS_PER_DEGREE = 3600.0 / CELL_ARCSEC


@dataclass(frozen=True)
class ServiceTable:
    """A table of the service.

    Parameters
    ----------
    name : str
        What the service calls it (``cat2``).
    columns : tuple of str
        Columns wanted of it.
    radius_arcsec : float
        Largest distance of a match.
    """

    name: str
    columns: tuple[str, ...]
    radius_arcsec: float


SIMBAD = ServiceTable("simbad", ("main_type",), 1.0)

Row = tuple[str, ...] | None
Cell = tuple[int, int]


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
    """

    def __init__(self, reason: str, status: int | None = None, again: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.status, self.again = reason, status, again

    @property
    def label(self) -> str:
        """``Fail`` or ``Fail <status>``."""
        return FAIL if self.status is None else f"{FAIL} {self.status}"


class XMatchService:
    """A table of CDS X-Match as a provider.

    Parameters
    ----------
    table : ServiceTable
        Which table.
    settings : CrossmatchConfig
        URL, time-outs, retries, pause after a failure, size of the cache.

    Attributes
    ----------
    failures : collections.Counter
        Requests given up, by label (``Fail``, ``Fail 504``), and positions left unanswered (``positions``).
    """

    def __init__(self, table: ServiceTable, settings: CrossmatchConfig) -> None:
        self.table, self._settings = table, settings
        self.failures: Counter[str] = Counter()
        self._answers: OrderedDict[Cell, Row] = OrderedDict()
        self._closed_until = 0.0
        self._last_failure: CouldNotAsk | None = None
        self._session = requests.Session()

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer from the cache, and from one request for all positions that are not in it."""
        cells = _cells(ra_deg, dec_deg)
        known = {cell: self._answers[cell] for cell in cells if cell in self._answers}
        unknown = [cell for cell in dict.fromkeys(cells) if cell not in known]
        label = self._ask_for(unknown, known) if unknown else None
        self._keep(known)
        rows = [known.get(cell) for cell in cells]
        failure: Texts = np.array([None if cell in known else label for cell in cells], dtype=object)
        self.failures["positions"] += sum(cell not in known for cell in cells)
        columns = {
            name: pa.array([None if row is None else row[position] or None for row in rows], pa.string())
            for position, name in enumerate(self.table.columns)
        }
        return Answer(pa.table(columns), failure)

    def _ask_for(self, cells: list[Cell], known: dict[Cell, Row]) -> str | None:
        """Add the answers for cells to those known; return the label of the failure, if it failed."""
        if self._last_failure is not None and time.monotonic() < self._closed_until:
            return self._last_failure.label
        try:
            found = self._ask(cells)
        except CouldNotAsk as failure:
            self._closed_until = time.monotonic() + self._settings.pause_seconds
            self._last_failure = failure
            self.failures[failure.label] += 1
            log.warning(
                "CDS X-Match (%s) could not be asked: %s; left alone for %g s",
                self.table.name, failure.reason, self._settings.pause_seconds,
            )  # fmt: skip
            return failure.label
        self._last_failure = None
        known.update({cell: found.get(number) for number, cell in enumerate(cells)})
        return None

    def _ask(self, cells: list[Cell]) -> dict[int, tuple[str, ...]]:
        # after a pause one try tells whether the service is back
        tries = 1 if self._last_failure is not None else 1 + self._settings.retries
        for attempt in range(tries):
            try:
                return parse_answer(self._post(cells), self.table)
            except CouldNotAsk as failure:
                if attempt == tries - 1 or not failure.again:
                    raise
                time.sleep(BACK_OFF * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable: the last try returns or raises")

    def _post(self, cells: list[Cell]) -> str:
        """Send one request and return the text of the answer."""
        settings = self._settings
        form = {
            "request": "xmatch",
            "distMaxArcsec": f"{self.table.radius_arcsec:g}",
            "selection": "all",
            "RESPONSEFORMAT": "csv",
            "cat2": self.table.name,
            "cols2": ",".join(self.table.columns),
            "colRA1": "ra_in",
            "colDec1": "dec_in",
        }
        lines = [f"{ra:.7f},{dec:.7f},{number}" for number, (ra, dec) in enumerate(map(_centre, cells))]
        positions = "\n".join(["ra_in,dec_in,objectId", *lines, ""])
        try:
            with self._session.post(
                settings.service_url,
                data=form,
                files={"cat1": ("alerts.csv", positions, "text/csv")},
                timeout=(settings.connect_seconds, settings.read_seconds),
                stream=True,
            ) as answer:
                if answer.status_code != OK:
                    status = answer.status_code
                    raise CouldNotAsk(f"it answered with status {status}", status, status in RETRY_STATUS)
                return _read(answer, time.monotonic() + settings.read_seconds)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise CouldNotAsk(f"{type(error).__name__}: {error}") from error

    def _keep(self, answers: dict[Cell, Row]) -> None:
        """Remember answers, the latest used longest."""
        for cell, row in answers.items():
            self._answers[cell] = row
            self._answers.move_to_end(cell)
        while len(self._answers) > self._settings.cache_positions:
            self._answers.popitem(last=False)


def _cells(ra_deg: Floats, dec_deg: Floats) -> list[Cell]:
    """Return the cell of each position; a column of cells narrows towards the poles."""
    rows = np.round(dec_deg * _CELLS_PER_DEGREE)
    return [
        (round(ra * _CELLS_PER_DEGREE * _narrowing(int(row))), int(row)) for ra, row in zip(ra_deg, rows, strict=True)
    ]


def _centre(cell: Cell) -> tuple[float, float]:
    """Return the position (degrees) a cell is asked for at."""
    column, row = cell
    return (column / (_CELLS_PER_DEGREE * _narrowing(row))) % 360.0, row / _CELLS_PER_DEGREE


def _narrowing(row: int) -> float:
    """Return cos(declination) of a row of cells, at least one cell for a turn."""
    return float(max(np.cos(np.radians(row / _CELLS_PER_DEGREE)), 1.0 / (360.0 * _CELLS_PER_DEGREE)))


def _read(answer: requests.Response, deadline: float) -> str:
    """Read the body, but not for ever: a server that sends a byte now and then never runs into a read time-out."""
    body = bytearray()
    # read1 gives what has come; iter_content would wait until a whole chunk is there
    while chunk := answer.raw.read1(65536, decode_content=True):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise CouldNotAsk("its answer does not end", again=False)
        if time.monotonic() > deadline:
            raise CouldNotAsk("its answer takes too long")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CouldNotAsk("its answer is no text") from error


def parse_answer(text: str, table: ServiceTable) -> dict[int, tuple[str, ...]]:
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
        return _nearest(csv.reader(io.StringIO(text), strict=True), table)
    except (csv.Error, ValueError, IndexError, StopIteration) as error:
        raise CouldNotAsk(f"its answer is no table of matches ({error or 'empty'})") from error


def _nearest(lines: csv._reader, table: ServiceTable) -> dict[int, tuple[str, ...]]:  # type: ignore[name-defined]
    header = [name.strip() for name in next(lines)]
    distance, number, *wanted = (header.index(name) for name in ("angDist", "objectId", *table.columns))
    best: dict[int, tuple[float, Sequence[str]]] = {}
    for line in lines:
        if not line:
            continue
        arcsec, key = float(line[distance]), int(line[number])
        if arcsec < table.radius_arcsec and (key not in best or arcsec < best[key][0]):
            best[key] = (arcsec, [line[position].strip() for position in wanted])
    return {key: tuple(values) for key, (_, values) in best.items()}
