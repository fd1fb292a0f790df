"""Photometry of the public data releases of ZTF, from IRSA's light-curve service or one that answers alike."""

from __future__ import annotations

import io
import math
import time

import httpx
import numpy as np
import pandas as pd

from fink_broker.errors import FinkError
from fink_broker.portal.web.api import Kept
from fink_broker.portal.web.gate import Closed, Gate, GatedTransport, network

#: Radius around the object (arcsec).
RADIUS_ARCSEC = 2.0
#: Measurements with any of these bits in ``catflags`` are left out; IRSA: not usable.
BAD_CATFLAGS_MASK = 32768
#: An answer may take this long (s), lead elsewhere this often, and be this large (bytes).
LONGEST_SECONDS = 20.0
_MOST_REDIRECTS = 3
LARGEST_BYTES = 8_000_000
_FILTERS = {"zg": 1, "zr": 2, "zi": 3}
_MJD_ZERO = 2400000.5
#: of requests: the monotonic time (s) until which the whole answer has to be there; redirects keep it
_DEADLINE = "release_deadline"
_KEPT_SECONDS = 600.0
#: A place that could not be had, or a service that hangs, is not asked for again this long (s).
FAILED_SECONDS = 30.0
#: Requests under way at the same time: those who wait for others hold no further threads of the portal.
_AT_ONCE = 2


class ReleaseError(FinkError):
    """There is no answer, or none that can be used; the message is a sentence for visitors."""


class _NotAsked(ReleaseError):
    """The service was not asked at all."""


class ReleasePhotometry:
    """The service; safe to be used by several threads.

    Parameters
    ----------
    url : str
        Its address; empty: it is not offered.
    transport : httpx.BaseTransport, optional
        Carries requests, where that is not the network.
    """

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        gate = Gate(_AT_ONCE, rest_seconds=FAILED_SECONDS)
        self._client = httpx.Client(
            timeout=LONGEST_SECONDS / 2, transport=GatedTransport(transport or network(url), gate),
            follow_redirects=True, max_redirects=_MOST_REDIRECTS, event_hooks={"response": [_check_time]},
        )  # fmt: skip
        self._kept = Kept(answers=32, seconds=_KEPT_SECONDS)
        self._failed = Kept(answers=256, seconds=FAILED_SECONDS)

    def at(self, ra: float, dec: float) -> pd.DataFrame:
        """Return what the releases have within `RADIUS_ARCSEC` of a position (degrees, ICRS); may be empty.

        Returns
        -------
        pandas.DataFrame
            Columns jd (days), fid, mag, error (AB mag), by time.

        Raises
        ------
        ReleaseError
            If there is no answer in time, it is too large, or it is no table of photometry.
        """
        place = (round(ra, 6), round(dec, 6))
        said: str = self._failed.get(place, lambda: self._failure(*place))
        if said:
            raise ReleaseError(said)
        found: pd.DataFrame = self._kept.get(place, lambda: self._asked(*place))
        return found

    def _failure(self, ra: float, dec: float) -> tuple[str, int]:
        """Return why there is no photometry of a place, empty where there is; what was not tried is not kept."""
        try:
            self._kept.get((ra, dec), lambda: self._asked(ra, dec))
        except _NotAsked:
            raise
        except ReleaseError as error:
            return str(error), 0
        return "", 0

    def _asked(self, ra: float, dec: float) -> tuple[pd.DataFrame, int]:
        if not self.url or not math.isfinite(ra) or not abs(dec) <= 90:
            raise ReleaseError("Photometry of the data releases is not offered here.")
        content = self._content(ra, dec)
        return read_table(content), len(content)

    def _content(self, ra: float, dec: float) -> bytes:
        asked = {
            "POS": f"CIRCLE {ra:.6f} {dec:.6f} {RADIUS_ARCSEC / 3600:.7f}",
            "BAD_CATFLAGS_MASK": str(BAD_CATFLAGS_MASK),
            "FORMAT": "csv",
        }
        deadline = time.monotonic() + LONGEST_SECONDS
        content = bytearray()
        try:
            with self._client.stream("GET", self.url, params=asked, extensions={_DEADLINE: deadline}) as answer:
                if not answer.is_success:
                    raise ReleaseError(f"IRSA refused the request (status {answer.status_code}): try again later.")
                for piece in answer.iter_bytes():
                    content += piece
                    if len(content) > LARGEST_BYTES:
                        raise ReleaseError("IRSA has more photometry at this place than can be shown.")
                    _check_time(answer)
        except Closed:
            raise _NotAsked("IRSA does not answer just now, or others wait for it: try again in a minute.") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise ReleaseError("IRSA, which has the photometry of the data releases, does not answer.") from None
        return bytes(content)


def _check_time(answer: httpx.Response) -> None:
    """Give up where each part of an answer comes in time, but not all of them together."""
    if time.monotonic() > answer.request.extensions[_DEADLINE]:
        raise ReleaseError("IRSA takes too long: try again later.")


def read_table(content: bytes) -> pd.DataFrame:
    """Return the photometry in an answer of IRSA (CSV), by time.

    Raises
    ------
    ReleaseError
        If it is no such table.
    """
    try:
        table = pd.read_csv(io.BytesIO(content), usecols=["mjd", "mag", "magerr", "filtercode"])
        numbers = table[["mjd", "mag", "magerr"]].apply(pd.to_numeric, errors="coerce")
    except (ValueError, pd.errors.ParserError):
        raise ReleaseError("The answer of IRSA is no table of photometry: try again later.") from None
    found = pd.DataFrame(
        {
            "jd": numbers["mjd"] + _MJD_ZERO,
            "fid": table["filtercode"].map(_FILTERS),
            "mag": numbers["mag"],
            "error": numbers["magerr"],
        }
    )
    found = found.replace([np.inf, -np.inf], np.nan).dropna().sort_values("jd", ignore_index=True)
    return found.astype({"fid": np.int64})
