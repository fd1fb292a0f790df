"""From what a client wrote to its answer: the part of a request that runs in a thread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fink_broker.config import Config
from fink_broker.portal import envelope
from fink_broker.portal.arguments import read_arguments, read_value
from fink_broker.portal.deadline import Deadline, watched
from fink_broker.portal.envelope import Reply
from fink_broker.portal.formats import FORMATS, Format, pieces_of, with_text_identifiers
from fink_broker.portal.route import (
    Answer,
    Argument,
    Document,
    File,
    Generation,
    Query,
    RequestError,
    Route,
    Rows,
    Text,
)

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive
    from fink_broker.portal.providers.providers import Providers

#: arguments of every route that answers in rows
OUTPUT_FORMAT = Argument("output-format", "format of the answer: json, csv, votable or parquet", example="json")
IDENTIFIERS = Argument(
    "identifiers",
    "text: 64-bit identifiers (i:candid, …) as texts, which JavaScript needs to read them exactly; number: as numbers",
    kind="choice",
    choices=("number", "text"),
    default="number",
)


@dataclass(frozen=True)
class Portal:
    """What all requests share.

    Parameters
    ----------
    config : Config
        The configuration in force.
    archive : Archive
        HBase.
    providers : Providers
        Services outside.
    """

    config: Config
    archive: Archive
    providers: Providers

    @property
    def generation(self) -> Generation:
        """How the API answers where the generations differ."""
        return self.config.api.generation


@dataclass(frozen=True)
class Asked:
    """What a client wrote.

    Parameters
    ----------
    method : str
        HTTP method.
    given : mapping
        Arguments by name, as texts or JSON values.
    token : str
        Bearer token.
    """

    method: str
    given: Mapping[str, Any]
    token: str = field(default="", repr=False)


def answer(portal: Portal, route: Route, asked: Asked, deadline: Deadline) -> Reply:
    """Return the answer to a request.

    Parameters
    ----------
    portal : Portal
        What all requests share.
    route : Route
        Which route.
    asked : Asked
        What the client wrote.
    deadline : Deadline
        When the work must end.

    Raises
    ------
    FinkError
        What is wrong with the request, or with the archive.
    """
    deadline.check()
    given = asked.given
    if asked.method != "POST" and not given and not route.answers_bare_get:
        return describe(route, portal.generation)
    arguments, found = read_arguments(route, given, portal.generation)
    generation = portal.generation if portal.generation in route.generations else route.generations[0]
    form = wanted_format(given.get(OUTPUT_FORMAT.name), portal.generation) if route.has_rows else None
    as_text = route.has_rows and _has_text_identifiers(given)
    archive = watched(portal.archive, deadline)
    query = Query(
        arguments,
        found,
        archive,
        portal.providers,
        portal.config,
        generation,
        asked.token,
        asked.method,
        deadline.check,
    )
    result = route.answer(query)
    if isinstance(result, Rows):
        return _rows_reply(result, form or FORMATS[result.default_format], portal, deadline, as_text=as_text)
    return _other_reply(result, portal.generation)


def describe(route: Route, generation: Generation) -> Reply:
    """Return what a route is: in a line, or with its arguments in the historic API."""
    if generation == "current":
        return envelope.text_reply(route.summary, generation)
    arguments = [
        {"name": each.name, "required": each.required, "description": each.description}
        | ({} if each.group is None else {"group": each.group})
        for each in arguments_of(route)
    ]
    return envelope.json_reply({"args": arguments}, generation)


def arguments_of(route: Route) -> tuple[Argument, ...]:
    """Return the arguments of a route, with those that all routes of rows have."""
    own = {each.name for each in route.arguments}
    common = (OUTPUT_FORMAT, IDENTIFIERS) if route.has_rows else ()
    return (*route.arguments, *(each for each in common if each.name not in own))


def wanted_format(written: Any, generation: Generation) -> Format | None:
    """Return the format a client asks for, None if it names none.

    Raises
    ------
    RequestError
        If there is no such format.
    """
    if written is None:
        return None
    name = written.strip().lower() if isinstance(written, str) else written
    form = FORMATS.get(name) if isinstance(name, str) else None
    if form is None:
        names = "json, csv, or parquet" if generation == "historic" else "json, csv, votable, or parquet"
        shown = written[:60] if isinstance(written, str) else repr(written)[:60]
        raise RequestError(f"Output format `{shown}` is not supported. Choose among {names}\n")
    return form


def _has_text_identifiers(given: Mapping[str, Any]) -> bool:
    written = given.get(IDENTIFIERS.name)
    return written is not None and read_value(IDENTIFIERS, written) == "text"


def _rows_reply(rows: Rows, form: Format, portal: Portal, deadline: Deadline, *, as_text: bool) -> Reply:
    usual = rows.content_types.get(form.name, form.content_type)
    headers = envelope.policy(portal.generation)
    if rows.is_cut:
        most = portal.config.api.max_rows if rows.cut_at is None else rows.cut_at
        headers |= {"X-Fink-Truncated": "true", "X-Fink-Max-Rows": str(most)}
    reply = Reply(200, envelope.content_type(usual, portal.generation), headers, iter(()), form.is_dense)
    reply.pieces = pieces_of(form, _counted(rows.tables, reply, deadline, as_text=as_text))
    return reply


def _counted(tables: Iterable[pa.Table], reply: Reply, deadline: Deadline, *, as_text: bool) -> Iterator[pa.Table]:
    """Give tables while there is time, and count their rows."""
    for table in tables:
        deadline.check()
        reply.rows += table.num_rows
        yield with_text_identifiers(table) if as_text else table


def _other_reply(result: Answer, generation: Generation) -> Reply:
    if isinstance(result, Text):
        return envelope.text_reply(result.content, generation)
    if isinstance(result, Document):
        return envelope.json_reply(result.content, generation)
    if isinstance(result, File):
        headers = {"X-Content-Type-Options": "nosniff"}
        if result.name:
            headers["Content-Disposition"] = f"attachment; filename={re.sub(r'[^A-Za-z0-9._-]', '_', result.name)}"
        reply = envelope.whole(result.content, result.media_type, headers=headers)
        reply.is_dense = result.media_type.startswith("image/")
        return reply
    raise TypeError(f"a route answered {type(result).__name__}")
