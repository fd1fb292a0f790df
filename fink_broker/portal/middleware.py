"""What surrounds every request: CORS, the length of addresses, the access log, and the last net for faults."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fink_broker.metrics.registry import api_numbers
from fink_broker.portal import envelope
from fink_broker.portal.limits import LONGEST_URL
from fink_broker.portal.route import RequestError
from fink_broker.portal.serving import send_whole

log = structlog.get_logger("fink_broker.portal")

CORS: Sequence[tuple[bytes, bytes]] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"Content-Type,Authorization"),
    (b"access-control-allow-methods", b"GET,PUT,POST,DELETE,OPTIONS"),
    (b"access-control-expose-headers", b"X-Fink-Truncated,X-Fink-Max-Rows,Retry-After,Content-Disposition"),
)


class Surroundings:
    """An ASGI application around another.

    Parameters
    ----------
    app : ASGIApp
        The other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        noted = scope.setdefault("state", {})
        sent: dict[str, int] = {}

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
                message["headers"] = [*message["headers"], *CORS]
            await send(message)

        try:
            await self._pass_on(scope, receive, send_on)
        except Exception:
            identifier = secrets.token_hex(4)
            log.exception("fault", id=identifier)
            if not sent:
                await _send_error(send_on, envelope.unexpected(identifier))
        finally:
            _note(scope, noted, sent.get("status", 0), time.perf_counter() - started)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
        if length > LONGEST_URL:
            text = f"The address is longer than {LONGEST_URL:,} bytes. Send long lists by POST, in the body.\n"
            await _send_error(send, RequestError(text, status=414))
        elif scope["method"] == "OPTIONS":
            await send(
                {"type": "http.response.start", "status": 204, "headers": [(b"access-control-max-age", b"86400")]}
            )
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)


def _note(scope: Scope, noted: Mapping[str, Any], sent: int, seconds: float) -> None:
    """Log and count a request that was answered, with what was noted of it on the way."""
    route, status, rows = noted.get("route", "-"), noted.get("status", sent), noted.get("rows", 0)
    log.info(
        "request",
        route=route,
        method=scope["method"],
        status=status,
        ms=round(1000 * seconds, 1),
        rows=rows,
        client=noted.get("client", "-"),
    )
    api_numbers().count(route, status, seconds, rows)


async def _send_error(send: Send, error: RequestError) -> None:
    await send_whole(send, envelope.error_reply(error))
    await send({"type": "http.response.body", "body": b""})
