"""What a route of the REST API is: its name, its arguments, and a function from a query to an answer.

A route says what it takes and gives; everything else is done for all of them alike: reading arguments from the query
string or the body, refusing what is not understood, choosing the format, sending the answer in pieces, limits, keys,
the pages that describe it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from fink_broker.errors import FinkError

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive
    from fink_broker.config import Config
    from fink_broker.portal.providers.providers import Providers

Generation = Literal["current", "historic"]
BOTH: tuple[Generation, ...] = ("current", "historic")

#: What an argument is read as. All arguments may arrive as text with blanks around.
#:
#: text: str. integer, number: finite, within its limits. flag: bool. presence: bool, true if given at all.
#: date: jd in days, UTC, from ISO, JD or MJD. choice: one of `Argument.choices`. names: tuple of str from a comma list.
#: object_ids: like names, each a valid object name. columns: like names, None for all. angle: text of an angle or a
#: number. upload: bytes, from multipart, base64 or the text of a bytes literal. anything: as it came.
Kind = Literal[
    "text", "integer", "number", "flag", "presence", "date", "choice", "names", "object_ids", "columns", "angle",
    "upload", "anything",
]  # fmt: skip


@dataclass(frozen=True)
class Argument:
    """One argument of a route.

    Parameters
    ----------
    name : str
        As clients write it.
    description : str
        One line, with units.
    kind : Kind
        What it is read as.
    required : bool
        Whether the route cannot do without.
    default : object
        Value where it is absent, already of its kind.
    least, most : float, optional
        Limits of a number, both allowed.
    choices : tuple of str
        What a choice may be, compared without regard to case.
    aliases : tuple of str
        Other names it goes by.
    group : int, optional
        Group of arguments that go together (``explorer``).
    example : object
        A value that works on an archive that holds alerts; shown in the documentation.
    longest : int
        Most characters of its text.
    """

    name: str
    description: str
    kind: Kind = "text"
    required: bool = False
    default: Any = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    group: int | None = None
    example: Any = None
    longest: int = 1000


class RequestError(FinkError):
    """A request that cannot be answered; its text goes to the client in the error envelope.

    Parameters
    ----------
    text : object
        What is wrong and how to mend it: text, or an exception whose ``repr`` is part of the contract.
    status : int
        HTTP status.
    retry_after : int, optional
        Seconds after which asking again may help.
    """

    def __init__(self, text: object, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(str(text))
        self.text = text
        self.status = status
        self.retry_after = retry_after


def _never_up() -> None:
    """Take notice of the time of a request that has no end."""


@dataclass(frozen=True)
class Query:
    """A request with its arguments read.

    Parameters
    ----------
    arguments : mapping
        Value of every argument of the route by name; the default where it was absent.
    given : frozenset of str
        Names of the arguments that were there.
    archive : Archive
        HBase.
    providers : Providers
        Services outside: name resolvers, ephemerides, skymaps.
    config : Config
        The configuration in force.
    generation : {"current", "historic"}
        How to answer where the generations differ.
    token : str
        What the client gave as ``Authorization: Bearer`` or ``X-Fink-Token``: the right to write, if it is the one of
        FINK_API_TOKEN; not checked yet, and never to be logged.
    method : str
        HTTP method.
    check_time : callable
        To be called now and then by work that takes long without reading the archive; raises RequestError (504) when
        the time of the request is up. What is read from ``archive`` does so by itself.
    """

    arguments: Mapping[str, Any]
    given: frozenset[str]
    archive: Archive
    providers: Providers
    config: Config
    generation: Generation
    token: str = field(default="", repr=False)
    method: str = "GET"
    check_time: Callable[[], None] = field(default=_never_up, repr=False)

    def __getitem__(self, name: str) -> Any:
        """Return the value of an argument."""
        return self.arguments[name]


@dataclass(frozen=True)
class Rows:
    """An answer of rows, in the format the client asks for.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        The rows, in order, some at a time, all of one schema; sent as they come.
    is_cut : bool
        Whether there would be more rows than the limit lets through.
    default_format : str
        Format where the client names none.
    content_types : mapping
        Content types that differ from the usual ones, by format.
    cut_at : int, optional
        The most rows this answer could have, where that is less than ``api.max_rows``.
    """

    tables: Iterable[pa.Table]
    is_cut: bool = False
    default_format: str = "json"
    content_types: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None


@dataclass(frozen=True)
class Document:
    """An answer that is JSON and nothing else."""

    content: Any


@dataclass(frozen=True)
class Text:
    """An answer in words."""

    content: str


@dataclass(frozen=True)
class File:
    """An answer that is a file."""

    content: bytes
    media_type: str
    name: str = ""


Answer = Rows | Document | Text | File


@dataclass(frozen=True)
class Route:
    """A route.

    Parameters
    ----------
    name : str
        Last part of its path, below ``/api/v1/``.
    summary : str
        The one-line description that GET without arguments returns.
    answer : callable
        From a query to its answer; runs in a thread, and raises RequestError for what the client got wrong.
    arguments : tuple of Argument
        What it takes, beside ``output-format`` where it answers in rows.
    methods : tuple of str
        HTTP methods.
    generations : tuple of str
        Generations it belongs to.
    group : str
        Heading in the documentation.
    has_rows : bool
        Whether it answers in rows, and so takes ``output-format``.
    answers_bare_get : bool
        Whether GET without arguments is a query like any other, and not the question what the route is.
    cost : int
        How much of a client's quota a request takes.
    """

    name: str
    summary: str
    answer: Callable[[Query], Answer]
    arguments: tuple[Argument, ...] = ()
    methods: tuple[str, ...] = ("GET", "POST")
    generations: tuple[Generation, ...] = BOTH
    group: str = "Alerts"
    has_rows: bool = True
    answers_bare_get: bool = False
    cost: int = 1
