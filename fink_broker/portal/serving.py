"""One request from its first byte to the last of its answer.

The work is done in threads, piece by piece: while a client takes its time to receive a piece, no thread waits for it.
What ends it early: its time is up, the client hangs up, the server is full. Once the head of an answer is sent its
status cannot change any more; what fails then breaks the connection, so that no answer looks whole that is not.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from fink_broker.errors import FinkError
from fink_broker.portal import envelope
from fink_broker.portal.answering import Asked, Portal, answer
from fink_broker.portal.body import from_body, from_query, largest_body
from fink_broker.portal.chunks import Chunks
from fink_broker.portal.deadline import ClientGone, Deadline, Receipt, time_is_up
from fink_broker.portal.envelope import Reply
from fink_broker.portal.keys import Quotas, given_key, network_of
from fink_broker.portal.limits import HEAVY, Answers, Bodies, Workers
from fink_broker.portal.route import RequestError, Route

log = structlog.get_logger("fink_broker.portal")
Result = TypeVar("Result")

#: seconds after its time is up that a request's thread is given to say so itself
GRACE_SECONDS = 0.25
#: what is read and dropped of a body that is too large, so that the client reads the refusal and not a broken pipe
DROPPED_BYTES = 256 * 1024 * 1024
DROPPING_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    """What all routes share of the server.

    Parameters
    ----------
    workers : Workers
        Threads, and the line before them.
    bodies : Bodies
        Memory for bodies.
    answers : Answers
        Answers on their way.
    quotas : Quotas
        Who may ask how often.
    write_token : str
        The right to write, which is no API key; empty: nobody has it.
    """

    workers: Workers
    bodies: Bodies
    answers: Answers
    quotas: Quotas
    write_token: str = field(default="", repr=False)


class Endpoint:
    """A route as an ASGI application.

    Parameters
    ----------
    portal : Portal
        What all requests share.
    route : Route
        The route.
    limits : Limits
        Limits all routes share.
    """

    def __init__(self, portal: Portal, route: Route, limits: Limits) -> None:
        self.portal, self.route = portal, route
        self._workers, self._bodies, self._answers = limits.workers, limits.bodies, limits.answers
        self._quotas, self._write_token = limits.quotas, limits.write_token
        self._largest_body, self._is_heavy = largest_body(route), route.cost >= HEAVY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        deadline = Deadline(self.portal.config.api.seconds)
        noted = scope.setdefault("state", {})
        noted["route"] = self.route.name
        gone: asyncio.Future[None] | None = None
        try:
            async with self._body_of(scope, receive, deadline) as content:
                gone = asyncio.ensure_future(_until_gone(receive))
                async with self._workers.place():
                    begin = partial(self._begin, scope, content, deadline)
                    chunks = await self._work(begin, gone, deadline, is_heavy=self._is_heavy)
            await self._send_all(scope, send, chunks, gone, deadline)
            noted["rows"] = chunks.reply.rows
        except RequestError as error:
            await send_whole(send, envelope.error_reply(error))
            if error.status == 413 and not noted.get("has_body"):
                await _drop_body(receive)
            await send({"type": "http.response.body", "body": b""})
        except ClientGone:
            noted["status"] = 499
        finally:
            deadline.give_up()
            if gone is not None:
                gone.cancel()

    def _body_of(self, scope: Scope, receive: Receive, deadline: Deadline) -> AbstractAsyncContextManager[bytes]:
        """Let the client in, if its quota allows, and return what reads its body."""
        headers = Headers(scope=scope)
        client = self._quotas.admit(headers, _address(scope), self.route.cost, write_token=self._write_token)
        scope["state"]["client"] = client
        length = None if scope["query_string"] else headers.get("content-length")
        return self._bodies.read(_body(scope, receive, deadline), length, self._largest_body)

    def _begin(self, scope: Scope, body: bytes, deadline: Deadline) -> Chunks:
        """Answer a request up to the first chunk of its answer: the part of it that can still fail with a status."""
        headers = Headers(scope=scope)
        given = from_query(scope["query_string"]) or from_body(body, headers.get("content-type", ""))
        token = headers.get("x-fink-token", "") or given_key(headers)
        reply = answer(self.portal, self.route, Asked(scope["method"], given, token), deadline)
        chunks = Chunks(reply, "gzip" in headers.get("accept-encoding", "").lower() and not is_near(scope))
        chunks.first = chunks.next()
        return chunks

    async def _send_all(
        self, scope: Scope, send: Send, chunks: Chunks, gone: asyncio.Future[None], deadline: Deadline
    ) -> None:
        """Send an answer; one that is more than a chunk only if there is room for it."""
        chunk, is_last = chunks.first
        try:
            if is_last:
                await send(_head(chunks.reply, len(chunk)))
                await asyncio.wait_for(send({"type": "http.response.body", "body": chunk}), deadline.seconds)
                return
            with self._answers.one(f"{scope['state']['client']} {_address(scope)}"):
                await self._send(send, chunks, gone, deadline)
        except TimeoutError:
            log.warning("broken off", route=self.route.name, reason="client too slow")
            _break_off(scope)
        finally:
            if not is_last:
                self._workers.submit(chunks.close)

    async def _send(self, send: Send, chunks: Chunks, gone: asyncio.Future[None], deadline: Deadline) -> None:
        """Send an answer, chunk by chunk; return without its end, which breaks the connection, if something fails."""
        chunk, is_last = chunks.first
        await send(_head(chunks.reply, None))
        receipt = Receipt(deadline.seconds)
        try:
            while True:
                receipt.count(len(chunk))
                piece = {"type": "http.response.body", "body": chunk, "more_body": not is_last}
                await asyncio.wait_for(send(piece), min(receipt.left, deadline.seconds))
                if is_last:
                    return
                deadline.renew()
                chunk, is_last = await self._work(chunks.next, gone, deadline)
        except RequestError as error:
            log.warning("broken off", route=self.route.name, reason=" ".join(str(error).split()))

    async def _work(
        self, function: Callable[[], Result], gone: asyncio.Future[None], deadline: Deadline, *, is_heavy: bool = False
    ) -> Result:
        """Return what a function gives that runs in a thread.

        Raises
        ------
        RequestError
            What went wrong: 503 if there is no room, 504 if it takes too long, 500 if it is a fault of ours.
        ClientGone
            If nobody waits any more.
        """
        future = self._workers.submit(function, is_heavy=is_heavy)
        waited: set[asyncio.Future[Any]] = {future, gone}
        await asyncio.wait(waited, timeout=deadline.left + GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            deadline.give_up()
            future.cancel()  # if it is still in the line; at work it stops at the deadline's next check
            future.add_done_callback(_forget)
            raise ClientGone if gone.done() else time_is_up(deadline.seconds)
        try:
            return future.result()
        except FinkError as error:
            translated = envelope.as_request_error(error)
            if translated.status == 500:
                log.error("failed", route=self.route.name, reason=str(error))
            raise translated from None
        except ClientGone:
            raise
        except Exception:
            identifier = secrets.token_hex(4)
            log.exception("fault", route=self.route.name, id=identifier)
            raise envelope.unexpected(identifier) from None


def is_near(scope: Scope) -> bool:
    """Return whether the client is on this machine, where compressing takes longer than it saves.

    What stands before the API there, for clients elsewhere, compresses by itself.
    """
    return network_of(_address(scope)) in ("127.0.0.1", "::/64")


def _address(scope: Scope) -> str:
    """Return the address a request comes from, as the connection has it."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _break_off(scope: Scope) -> None:
    """Break a connection whose client does not take what is sent: closed, it would wait for the client."""
    break_off = scope["state"].get("break_off")
    if break_off is not None:
        break_off()


async def send_whole(send: Send, reply: Reply) -> None:
    """Send an answer that is there as a whole, all but the mark of its end."""
    content = b"".join(reply.pieces)
    await send(_head(reply, len(content)))
    await send({"type": "http.response.body", "body": content, "more_body": True})


def _head(reply: Reply, length: int | None) -> dict[str, object]:
    headers = {"Content-Type": reply.content_type, "Vary": "Accept-Encoding", **reply.headers}
    if length is not None:
        headers["Content-Length"] = str(length)
    if reply.status == 413:
        headers["Connection"] = "close"
    return {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()],
    }


async def _body(scope: Scope, receive: Receive, deadline: Deadline) -> AsyncIterator[bytes]:
    """Give the body of a request as it comes; none is read where the query string says what is wanted."""
    if scope["query_string"] or scope["method"] in ("GET", "HEAD"):
        return
    has_more = True
    while has_more:
        try:
            message = await asyncio.wait_for(receive(), max(deadline.left, 0.001))
        except TimeoutError:
            raise RequestError("The body of the request did not arrive in time.\n", status=408) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        has_more = message.get("more_body", False)
        scope["state"]["has_body"] = not has_more
        yield message.get("body", b"")


async def _until_gone(receive: Receive) -> None:
    """Return when the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop_body(receive: Receive) -> None:
    """Read what still comes of a body, within limits, and forget it."""
    dropped = 0
    try:
        async with asyncio.timeout(DROPPING_SECONDS):
            while dropped < DROPPED_BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _forget(future: asyncio.Future[Result]) -> None:
    """Take notice of how work ended nobody waits for, so that asyncio does not complain."""
    if not future.cancelled():
        future.exception()
