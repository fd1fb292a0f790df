"""One request to the CDS X-Match service."""

from __future__ import annotations

import time

import requests
import urllib3

from fink_broker.alert.lightcurve import Ints
from fink_broker.config.model import CrossmatchConfig
from fink_broker.science.crossmatch.cells import centres_of
from fink_broker.science.crossmatch.tables import CouldNotAsk, ServiceTable

OK = 200
#: Worth a second try: the service is overloaded or broken. Other 4xx mean that the request is wrong.
RETRY_STATUS = {408, 429, *range(500, 600)}
#: Longest answer that is read, in bytes (2,000 positions give about 200 kB).
MAX_ANSWER = 64 * 2**20


def ask(session: requests.Session, settings: CrossmatchConfig, table: ServiceTable, cells: Ints) -> str:
    """Ask for all sources near the centres of cells; cells are numbered from 0 as ``objectId``.

    Parameters
    ----------
    session : requests.Session
        Keeps the connection; of one thread.
    settings : CrossmatchConfig
        URL and time-outs.
    table : ServiceTable
        The table, its columns, and the radius.
    cells : numpy.ndarray of int
        Numbers of cells.

    Returns
    -------
    str
        The text of the answer.

    Raises
    ------
    CouldNotAsk
        If there is none.
    """
    form = {
        "request": "xmatch",
        "distMaxArcsec": f"{table.radius_arcsec:g}",
        "selection": "all",
        "RESPONSEFORMAT": "csv",
        "cat2": table.name,
        "cols2": ",".join(table.columns.names),
        "colRA1": "ra_in",
        "colDec1": "dec_in",
    }
    centres = zip(*centres_of(cells), strict=True)
    lines = [f"{ra:.7f},{dec:.7f},{number}" for number, (ra, dec) in enumerate(centres)]
    positions = "\n".join(["ra_in,dec_in,objectId", *lines, ""])
    try:
        with session.post(
            settings.service_url,
            data=form,
            files={"cat1": ("alerts.csv", positions, "text/csv")},
            timeout=(settings.connect_seconds, settings.read_seconds),
            stream=True,
        ) as answer:
            if answer.status_code != OK:
                status = answer.status_code
                raise CouldNotAsk(f"it answered with status {status}", status, again=status in RETRY_STATUS)
            return _read(answer, time.monotonic() + settings.read_seconds)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise CouldNotAsk(f"{type(error).__name__}: {error}", unreachable=_unreachable(error)) from error


def _unreachable(error: Exception) -> bool:
    """Tell whether no connection was made at all: refused, no route, no such name, timed out, no encryption."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError | requests.exceptions.SSLError):
        return True
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(cause, urllib3.exceptions.NewConnectionError)


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
