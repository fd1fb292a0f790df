"""A client of the REST API: answers as pandas frames with the types the archive holds.

::

    from fink_broker.portal.client import Client

    with Client("http://127.0.0.1:32000") as fink:
        light_curve = fink.objects("ZTF21abfmbix", columns=["i:jd", "i:fid", "i:magpsf"])
        neighbours = fink.conesearch(193.822, 2.897, radius_arcsec=5)
"""

from __future__ import annotations

import ast
import io
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.errors import FinkError

if TYPE_CHECKING:
    from astropy.table import Table

#: objects asked for at once
OBJECTS_AT_ONCE = 50
#: longest query string; some servers in front of an API take no longer ones
LONGEST_QUERY = 4000
#: longest wait for a server that says when to ask again, in seconds
LONGEST_WAIT = 120.0

#: said of an argument that cannot be written as bytes: it has half of a surrogate pair
NO_TEXT = "The text has characters that no name has."

Image = Literal["Science", "Template", "Difference"]


class ApiError(FinkError):
    """The API refused a request, or did not answer it.

    Parameters
    ----------
    message : str
        The server's sentence.
    status : int
        HTTP status; 0 if there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class AnswerCut(UserWarning):
    """An answer has fewer rows than there are: the server gives no more at once."""


class Client:
    """The API at one address; one thread at a time.

    Parameters
    ----------
    url : str
        Address of the API, without ``/api/v1``.
    key : str, optional
        API key.
    timeout_seconds : float
        Time one request may take.
    retries : int
        How often a request is sent again that the server is too busy for, or that exceeds a quota.
    transport : httpx.BaseTransport, optional
        How requests are carried, for tests.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:32000",
        key: str | None = None,
        *,
        timeout_seconds: float = 120.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        base = f"{url.rstrip('/')}/api/v1/"
        self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout_seconds, transport=transport)
        self._url, self._retries = url, retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def objects(
        self,
        object_ids: str | Sequence[str],
        columns: Sequence[str] | None = None,
        *,
        with_upper_limits: bool = False,
        with_cutouts: bool = False,
    ) -> pd.DataFrame:
        """Return all alerts of objects, for each some dozens of objects latest first.

        Parameters
        ----------
        object_ids : str or sequence of str
            Names, or beginnings of names; any number of them.
        columns : sequence of str, optional
            Columns wanted; all if not given.
        with_upper_limits : bool
            Whether upper limits and points of bad quality are among the rows; ``d:tag`` says what a row is.
        with_cutouts : bool
            Whether images are among the columns.
        """
        flags = {"withupperlim": "True"} if with_upper_limits else {}
        flags |= {"withcutouts": "True"} if with_cutouts else {}
        frames = [
            self.rows("objects", objectId=",".join(some), columns=columns, **flags) for some in _pieces(object_ids)
        ]
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def conesearch(
        self,
        ra: float | str,
        dec: float | str,
        radius_arcsec: float,
        *,
        columns: Sequence[str] | None = None,
        n: int | None = None,
        startdate: str | float | None = None,
        stopdate: str | float | None = None,
    ) -> pd.DataFrame:
        """Return the latest alert of each object in a cone, nearest first.

        Parameters
        ----------
        ra, dec : float or str
            Centre, ICRS: degrees, or sexagesimal texts.
        radius_arcsec : float
            At most 18,000″.
        columns : sequence of str, optional
            Columns wanted.
        n : int, optional
            Most rows.
        startdate, stopdate : str or float, optional
            First detection between these, ISO, JD or MJD.
        """
        return self.rows(
            "conesearch",
            ra=ra,
            dec=dec,
            radius=radius_arcsec,
            columns=columns,
            n=n,
            startdate=startdate,
            stopdate=stopdate,
        )

    def latests(self, name: str, n: int = 10, columns: Sequence[str] | None = None, **further: Any) -> pd.DataFrame:
        """Return the latest alerts of a class, as ``SN candidate`` or ``(TNS) SN Ia``; `classes` lists them."""
        return self.rows("latests", **{"class": name}, n=n, columns=columns, **further)

    def statistics(self, date: str = "", columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return counts of nights: of a year (``YYYY``), a month, a day (``YYYYMMDD``), or of all nights."""
        return self.rows("statistics", date=date, columns=columns)

    def cutout(self, object_id: str, kind: Image = "Science", candid: int | None = None) -> npt.NDArray[np.float64]:
        """Return an image of an alert as numbers, 63 × 63 pixels; of an object's latest alert unless one is named."""
        given = {"objectId": object_id, "kind": kind, "output-format": "array", "candid": candid}
        content = self.document("cutouts", **given)
        pixels = (content[0] if isinstance(content, list) else content)[f"b:cutout{kind}_stampData"]
        return np.array(pixels, dtype=np.float64)

    def schema(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return what columns there are: by family and name, their type and meaning."""
        content: dict[str, dict[str, dict[str, str]]] = self._send("schema", None).json()
        return content

    def classes(self) -> dict[str, list[str]]:
        """Return the names `latests` knows, by their origin."""
        content: dict[str, list[str]] = self._send("classes", None).json()
        return content

    def rows(self, route: str, /, **arguments: Any) -> pd.DataFrame:
        """Return the rows of any route.

        Parameters
        ----------
        route : str
            Its name, as ``sso``.
        **arguments : object
            Its arguments; a sequence becomes a comma list, None is left out.

        Returns
        -------
        pandas.DataFrame
            Integers and booleans that lack in some rows are of pandas' nullable types, so that identifiers stay exact.
            ``attrs["is_cut"]`` says whether the server had more rows; there is a warning then, too.

        Raises
        ------
        ApiError
            If the request is refused, or not answered.
        """
        answer = self._send(route, {**arguments, "output-format": "parquet"})
        frame = typed_frame(pq.read_table(io.BytesIO(answer.content)))
        frame.attrs["is_cut"] = answer.headers.get("X-Fink-Truncated") == "true"
        if frame.attrs["is_cut"]:
            warnings.warn(
                f"The server gives at most {answer.headers.get('X-Fink-Max-Rows', len(frame))} rows: there are more.",
                AnswerCut,
                stacklevel=2,
            )
        return frame

    def table(self, route: str, /, **arguments: Any) -> Table:
        """Return the rows of any route as an astropy table; ``i:ra`` is its column ``i_ra``."""
        from astropy.table import Table  # noqa: PLC0415  (slow to import)

        answer = self._send(route, {**arguments, "output-format": "votable"})
        return Table.read(io.BytesIO(answer.content), format="votable")

    def document(self, route: str, /, **arguments: Any) -> Any:
        """Return the JSON answer of any route."""
        return self._send(route, arguments).json()

    def _send(self, route: str, arguments: dict[str, Any] | None) -> httpx.Response:
        """Send a request, again if the server asks for that, and return its answer."""
        given = {name: _written(value) for name, value in (arguments or {}).items() if value is not None}
        for attempt in range(self._retries + 1):
            try:
                answer = self._ask(route, given, is_bare=arguments is None)
            except httpx.HTTPError as error:
                raise ApiError(f"The API at {self._url} does not answer: {error}.") from None
            except UnicodeEncodeError:
                raise ApiError(NO_TEXT, 400) from None
            wait = _seconds_to_wait(answer)
            if answer.is_success:
                return answer
            if wait is None or attempt == self._retries:
                raise ApiError(sentence_of(answer.text), answer.status_code)
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _ask(self, route: str, given: dict[str, Any], *, is_bare: bool) -> httpx.Response:
        """Ask by GET, which never writes; by POST what an address is too short for, or what it cannot say."""
        if is_bare or (given and len(str(httpx.QueryParams(given))) < LONGEST_QUERY):
            return self._http.get(route, params=given)
        return self._http.post(route, json=given)


def typed_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a frame in which integers and booleans stay what they are where some lack.

    Parameters
    ----------
    table : pyarrow.Table
        n rows.
    """
    frame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count and pa.types.is_integer(column.type):
            frame[name] = pd.array(column.to_pylist(), dtype="Int64")
        elif column.null_count and pa.types.is_boolean(column.type):
            frame[name] = pd.array(column.to_pylist(), dtype="boolean")
    return frame


def sentence_of(body: str) -> str:
    """Return the sentence in an error of the API, which is the text of a Python dictionary."""
    try:
        content = ast.literal_eval(body)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        content = None
    if isinstance(content, dict) and isinstance(content.get("text"), str):
        return " ".join(content["text"].split())
    inner = re.search(r"'text': (.*)\}$", body, re.DOTALL)  # the text is an exception
    return " ".join((inner.group(1) if inner else body).split())[:500]


def _seconds_to_wait(answer: httpx.Response) -> float | None:
    """Return how long to wait before asking again; None if that is of no use."""
    if answer.status_code not in (429, 503):
        return None
    try:
        return min(LONGEST_WAIT, max(0.0, float(answer.headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0


def _written(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _pieces(names: str | Sequence[str]) -> Iterator[Sequence[str]]:
    """Give some names at a time, each name once."""
    wanted = list(dict.fromkeys(names.split(",") if isinstance(names, str) else names))
    for start in range(0, max(1, len(wanted)), OBJECTS_AT_ONCE):
        yield wanted[start : start + OBJECTS_AT_ONCE]
