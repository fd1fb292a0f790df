"""The dashboard as an ASGI application."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fink_broker import __version__
from fink_broker.errors import FinkError, UsageError
from fink_broker.monitor.board import Board
from fink_broker.monitor.dashboard import answers, pages
from fink_broker.monitor.dashboard.events import Broadcast, encode

log = structlog.get_logger("fink_broker.dashboard")

Handler = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": pages.POLICY,
}
#: seconds without a look at the stages after which the dashboard is not ready
READY_SECONDS = 30.0


def create_app(board: Board) -> FastAPI:
    """Return the dashboard.

    Parameters
    ----------
    board : Board
        What is shown; the application starts and closes it.
    """
    broadcast = Broadcast(encode(board.snapshot))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        broadcast.bind()
        board.on_snapshot(broadcast.publish)
        board.start()
        yield
        board.close()

    app = FastAPI(
        title="Fink dashboard",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        routes=[*_page_routes(broadcast), *_stream_routes(board, broadcast), *answers.routes(board)],
        exception_handlers={HTTPException: _explain, FinkError: _sentence},
        lifespan=lifespan,
    )
    app.state.broadcast = broadcast
    app.add_middleware(SafeHeaders)
    return app


class SafeHeaders:
    """An ASGI application around another: every answer says what browsers must not do with it.

    Parameters
    ----------
    app : ASGIApp
        The other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                safe = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *safe]
            await send(message)

        await self._app(scope, receive, send_on)


def _page_routes(broadcast: Broadcast) -> list[Route]:
    def shows(page: pages.Page) -> Handler:
        with_logs = page.name == "Services"

        async def show(request: Request) -> Response:
            first = broadcast.latest.with_logs if with_logs else broadcast.latest.plain
            return HTMLResponse(pages.html(page, first), headers={"Cache-Control": "no-store"})

        return show

    async def file(request: Request) -> Response:
        found = pages.asset(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        kept = "public, max-age=31536000, immutable" if request.query_params.get("v") == found.tag else "no-cache"
        headers = {"Cache-Control": kept, "ETag": f'"{found.tag}"', "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == f'"{found.tag}"':
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(found.compressed, 200, headers | {"Content-Encoding": "gzip"}, found.media_type)
        return Response(found.content, 200, headers, found.media_type)

    first = Route("/", shows(pages.PAGES[0]), methods=["GET"])
    return [
        first,
        *(Route(page.path, shows(page), methods=["GET"]) for page in pages.PAGES),
        Route("/static/{name}", file, methods=["GET"]),
    ]


def _stream_routes(board: Board, broadcast: Broadcast) -> list[Route]:
    """Return what a snapshot is given by: events, JSON, health."""

    async def events(request: Request) -> Response:
        if broadcast.is_full:
            text = f"{broadcast.listeners} browsers are listening already. Ask for /api/snapshot.json instead.\n"
            return PlainTextResponse(text, 503, {"Retry-After": "30"})
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        stream = broadcast.stream(with_logs="logs" in request.query_params)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    async def snapshot(request: Request) -> Response:
        return Response(
            broadcast.latest.with_logs, headers={"Cache-Control": "no-store"}, media_type="application/json"
        )

    async def ready(request: Request) -> Response:
        age = time.time() - board.snapshot.taken
        looks = age < max(READY_SECONDS, 5 * board.config.dashboard.refresh_seconds)
        trouble = board.snapshot.trouble or ("" if looks else f"The last look at the stages was {age:.0f} s ago.")
        status = board.snapshot.status
        told = {
            "alive": True,
            "ready": not trouble,
            "trouble": trouble,
            "broker": status.level,
            "headline": status.headline,
            "notes": [text for _, text in status.notes],
        }
        return JSONResponse(told, status_code=503 if trouble else 200)

    async def live(request: Request) -> Response:
        return JSONResponse({"alive": True})

    found: dict[str, Handler] = {
        "/events": events,
        "/api/snapshot.json": snapshot,
        "/health": ready,
        "/health/ready": ready,
        "/health/live": live,
    }
    return [Route(path, handler, methods=["GET"]) for path, handler in found.items()]


async def _explain(request: Request, error: Exception) -> Response:
    """Answer what no route answers."""
    status = getattr(error, "status_code", 500)
    texts = {
        404: "There is no such page. The dashboard begins at /live.html.\n",
        405: "The dashboard shows, and changes nothing: it knows GET only.\n",
    }
    return PlainTextResponse(texts.get(status, "The request cannot be answered.\n"), status)


async def _sentence(request: Request, error: Exception) -> Response:
    """Answer a request that is wrong, or one for data that are damaged, in a sentence."""
    text = " ".join(str(error).split())
    if isinstance(error, UsageError):
        return PlainTextResponse(f"{text}\n", 400)
    log.warning("failed", path=request.url.path, reason=text)
    return PlainTextResponse(f"{text}\n", 503)
