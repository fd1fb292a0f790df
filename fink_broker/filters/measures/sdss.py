"""Stars beside kilonova candidates, as the Sloan Digital Sky Survey knows them; no answer counts as no star.

An outage must not stop the stream: a batch waits for the service no longer than the time-out, and after a failure the
service is left alone for some minutes.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import requests

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.config.model import FiltersConfig

log = logging.getLogger(__name__)

RADIUS_ARCSEC = 5.0
#: Values of ``PhotoObjAll.type`` that speak against a candidate, as fink-filters 7.45 has them. It names them star,
#: quasar, distant quasar and late star, as classes of spectra were once numbered; the column it asks for is the
#: photometric type, in which 3 is a galaxy and 6 a star, and 1 and 4 are not objects of the sky.
VETO_TYPES = frozenset({1, 3, 4, 6})

#: Positions in one question; as much is asked in a batch, once. Candidates are rare: one or two in thousands of alerts.
POSITIONS_A_QUESTION = 20
#: Bytes of an answer that are read.
LONGEST_ANSWER = 1_000_000
#: Seconds the service is left alone after a failure.
PAUSE_SECONDS = 300.0
#: Positions whose answers are kept.
CACHED_POSITIONS = 10_000


class Stars(Protocol):
    """Tells of positions whether a star is beside them."""

    def beside(self, ra_deg: Floats, dec_deg: Floats) -> Mask:
        """Return where a star is known to be within `RADIUS_ARCSEC` of positions (degrees), shape (n,)."""


class NoStars:
    """Knows of no star: for those who do not want to ask."""

    def beside(self, ra_deg: Floats, _dec_deg: Floats) -> Mask:
        """Return False for each position."""
        return np.zeros(len(ra_deg), dtype=bool)


class CouldNotAsk(Exception):
    """The service gave no answer that can be used; the text says why."""


class SkyServer:
    """The SQL search of SkyServer.

    Parameters
    ----------
    url : str
        Address of the search.
    seconds : float
        Longest time a batch waits for the answer.

    Attributes
    ----------
    unanswered : int
        Positions that went without an answer.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self.unanswered = 0
        self._url, self._seconds = url, seconds
        self._left_alone_until = 0.0
        self._reported = 0
        #: Position → whether a star is beside it; the oldest first.
        self._known: dict[tuple[float, float], bool] = {}
        self._lock = threading.Lock()

    def beside(self, ra_deg: Floats, dec_deg: Floats) -> Mask:
        """Return where a star is known to be within `RADIUS_ARCSEC` of positions (degrees), shape (n,)."""
        # 1e-6 degrees are 0.004″
        positions = [(round(ra, 6), round(dec, 6)) for ra, dec in zip(ra_deg.tolist(), dec_deg.tolist(), strict=True)]
        with self._lock:
            unknown = [
                place for place in dict.fromkeys(positions) if place not in self._known and math.isfinite(sum(place))
            ]
            if unknown and time.monotonic() >= self._left_alone_until:
                self._learn(unknown[:POSITIONS_A_QUESTION])
            answers = [self._known.get(position) for position in positions]
            self.unanswered += answers.count(None)
            for place in list(self._known)[: max(len(self._known) - CACHED_POSITIONS, 0)]:
                del self._known[place]
        return np.array([answer is True for answer in answers], dtype=bool)

    def _learn(self, positions: Sequence[tuple[float, float]]) -> None:
        try:
            types = parse_answer(self._ask(question(positions)), len(positions))
        except CouldNotAsk as failure:
            self._left_alone_until = time.monotonic() + PAUSE_SECONDS
            log.warning("The SDSS could not be asked for stars: %s; left alone for %g s", failure, PAUSE_SECONDS)
            return
        self._known.update(
            (position, not VETO_TYPES.isdisjoint(found)) for position, found in zip(positions, types, strict=True)
        )
        missed, self._reported = self.unanswered - self._reported, self.unanswered
        if missed:
            log.warning("The SDSS answers; %d candidates passed without having been looked up", missed)

    def _ask(self, sql: str) -> bytes:
        """Return the answer, or give up in time.

        In a thread of its own, since neither the search for the name of the host nor a server that sends a byte now
        and then ends by the time-out of a request.
        """
        outcome: list[bytes | CouldNotAsk] = []

        def work() -> None:
            try:
                outcome.append(self._download(sql))
            except CouldNotAsk as failure:
                outcome.append(failure)
            except Exception as error:  # whatever it is, the alerts pass
                outcome.append(CouldNotAsk(type(error).__name__))

        thread = threading.Thread(target=work, name="sdss", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if not outcome:
            raise CouldNotAsk(f"no answer within {self._seconds:g} s")
        if isinstance(outcome[0], CouldNotAsk):
            raise outcome[0]
        return outcome[0]

    def _download(self, sql: str) -> bytes:
        deadline = time.monotonic() + self._seconds
        wanted = {"cmd": sql, "format": "json"}
        with requests.get(self._url, params=wanted, timeout=self._seconds, stream=True) as response:
            if response.status_code != requests.codes.ok:
                raise CouldNotAsk(f"status {response.status_code}")
            content = b""
            for part in response.iter_content(65536):
                content += part
                if len(content) > LONGEST_ANSWER or time.monotonic() > deadline:
                    raise CouldNotAsk("the answer has no end")
        return content


def question(positions: Sequence[tuple[float, float]]) -> str:
    """Return the question for the types of all objects near positions (degrees), numbered from 0, in SQL.

    ``fGetNearbyObjAllEq`` takes arcminutes; it is a function of the SDSS database.
    """
    return " UNION ALL ".join(
        f"SELECT {number} AS n, p.type AS type FROM dbo.fGetNearbyObjAllEq({ra:.6f},{dec:.6f},{RADIUS_ARCSEC / 60:.6f})"  # noqa: S608 - numbers only
        " AS o JOIN PhotoObjAll AS p ON p.objID = o.objID"
        for number, (ra, dec) in enumerate(positions)
    )


def parse_answer(content: bytes, positions: int) -> list[set[int]]:
    """Return the types near each position of a question.

    Parameters
    ----------
    content : bytes
        The answer: a JSON list of tables, ``[{"TableName": "Table1", "Rows": [{"n": 0, "type": 6}]}]``.
    positions : int
        How many were asked about.

    Raises
    ------
    CouldNotAsk
        If it is anything else.
    """
    types: list[set[int]] = [set() for _ in range(positions)]
    try:
        for row in _rows(json.loads(content)):
            number, kind = int(row["n"]), int(row["type"])
            if number < 0:
                raise IndexError
            types[number].add(kind)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise CouldNotAsk("the answer is no table of types") from error
    return types


def _rows(tables: Any) -> list[Any]:
    rows = tables[0]["Rows"]
    if not isinstance(rows, list):
        raise TypeError
    return rows


def stars_of(settings: FiltersConfig) -> Stars:
    """Return whom to ask; filters that ask the same service share what it said."""
    return _server(settings.sdss_url, settings.sdss_seconds) if settings.sdss == "service" else NoStars()


@lru_cache(maxsize=4)
def _server(url: str, seconds: float) -> SkyServer:
    return SkyServer(url, seconds)
