"""Objects that appeared in the credible region of an event: asked of the API, in the order of their delay."""

from __future__ import annotations

import io
import re

import pandas as pd
import pyarrow.parquet as pq

from fink_broker.portal.client import ApiError, typed_frame
from fink_broker.portal.providers.open import open_providers
from fink_broker.portal.route import RequestError
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.site import Site

COLUMNS = ("i:objectId", "i:ra", "i:dec", "i:jd", "i:jdstarthist", "i:ndethist", "d:classification", "v:jdstartgw")
#: seconds the API may take for a skymap
_SECONDS = 120.0
#: names of superevents, and of published events
_EVENT = re.compile(r"(M|T)?S\d{6}[a-z]{1,6}|GW\d{6}(_\d{6})?", re.ASCII)
_LEAST, _MOST = 0.0, 1.0


def checked_event(name: object) -> str:
    """Return the name of an event as GraceDB writes it.

    Raises
    ------
    ApiError
        If there is no name, or that is not one.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not text:
        raise ApiError("Give the name of a superevent, as S230709bi, or upload its skymap.")
    start = re.match(r"(gw|ms|ts|s)(?=\d)", text, re.IGNORECASE)
    text = start[0].upper() + text[start.end() :] if start else text
    if _EVENT.fullmatch(text) is None:
        raise ApiError("That is not the name of an event: superevents are named like S230709bi, events like GW170817.")
    return text


def checked_level(value: object) -> float:
    """Return a credible level.

    Raises
    ------
    ApiError
        If it is not a number from 0 to 1.
    """
    try:
        level = float(value)  # type: ignore[arg-type]  # whatever the browser sent
    except (TypeError, ValueError):
        level = -1.0
    if not _LEAST <= level <= _MOST:
        raise ApiError("The credible level is a share of the probability: give a number from 0 to 1, as 0.2.")
    return level


def fetched_map(site: Site, event: str) -> bytes:
    """Return the skymap of an event from GraceDB.

    Raises
    ------
    ApiError
        If GraceDB has none, or does not answer.
    """
    try:
        content = open_providers(site.config).gracedb.skymap(event)
    except RequestError as error:
        raise ApiError(" ".join(str(error).split()), 424) from None
    if content is None:
        raise ApiError(f"GraceDB has no skymap of an event {event}. Is the name complete?", 404)
    return content


def candidates(api: Api, content: bytes, level: float) -> pd.DataFrame:
    """Return the objects that appeared from a day before an event to six days after it, in its credible region.

    Parameters
    ----------
    api : Api
        The API.
    content : bytes
        The skymap, a FITS file that may be gzipped.
    level : float
        Share of the probability, 0 to 1.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, and ``delay``: days from the event to the first detection, ascending.

    Raises
    ------
    ApiError
        If the file cannot be used, or the API does not answer.
    """
    form = {"credible_level": str(level), "columns": ",".join(COLUMNS), "output-format": "parquet"}
    answer = api.send_file("skymap", "bayestar", content, _SECONDS, **form)
    found = typed_frame(pq.read_table(io.BytesIO(answer)))
    if found.empty:
        return found.assign(delay=pd.Series(dtype=float))
    delay = found["i:jdstarthist"].astype(float) - found["v:jdstartgw"].astype(float)
    return found.assign(delay=delay).sort_values("delay", kind="stable").reset_index(drop=True)
