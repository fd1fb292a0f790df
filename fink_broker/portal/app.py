"""The REST API as an ASGI application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route as Path_

from fink_broker import __version__
from fink_broker.config import Config
from fink_broker.portal import envelope, openapi, page
from fink_broker.portal.answering import Portal
from fink_broker.portal.examples import Examples
from fink_broker.portal.health import Health
from fink_broker.portal.keys import Quotas
from fink_broker.portal.limits import Answers, Bodies, Workers
from fink_broker.portal.middleware import Surroundings
from fink_broker.portal.route import RequestError, Route
from fink_broker.portal.routes import routes_of
from fink_broker.portal.serving import Endpoint, Limits

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive
    from fink_broker.portal.providers.providers import Providers

PREFIX = "/api/v1"
Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    config: Config, archive: Archive, providers: Providers, routes: Sequence[Route] | None = None
) -> FastAPI:
    """Return the API.

    Parameters
    ----------
    config : Config
        The configuration in force; section ``[api]``.
    archive : Archive
        HBase; it need not answer yet.
    providers : Providers
        Services outside.
    routes : sequence of Route, optional
        What it answers; all routes of ``api.generation`` if not given.

    Raises
    ------
    ConfigError
        If the file of API keys cannot be read.
    """
    served = tuple(routes) if routes is not None else routes_of(config.api.generation)
    workers, health = Workers(config.api.threads), Health(archive)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        workers.close()
        health.close()

    endpoints = _endpoints(Portal(config, archive, providers), served, workers)
    app = FastAPI(
        title="Fink API",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        routes=[*_paths(endpoints), *_pages(config, served, Examples(archive), health)],
        exception_handlers={HTTPException: _explain},
        lifespan=lifespan,
    )
    app.add_middleware(Surroundings)
    return app


def _endpoints(portal: Portal, routes: Sequence[Route], workers: Workers) -> list[Endpoint]:
    api = portal.config.api
    quotas = Quotas(Path(api.keys_file) if api.keys_file else None, api.anonymous_per_minute)
    token = os.environ.get("FINK_API_TOKEN", "")
    limits = Limits(workers, Bodies(api.max_body_mib), Answers(api.threads), quotas, token)
    return [Endpoint(portal, route, limits) for route in routes]


def _paths(endpoints: Sequence[Endpoint]) -> list[Path_]:
    return [
        Path_(f"{PREFIX}/{endpoint.route.name}", endpoint, methods=list(endpoint.route.methods))
        for endpoint in endpoints
    ]


def _pages(config: Config, routes: Sequence[Route], examples: Examples, health: Health) -> list[Path_]:
    """Return what the API says of itself: its description, its documentation, its health."""

    async def description(request: Request) -> Response:
        found = await examples.current()
        return JSONResponse(openapi.describe_api(config, routes, found, _address(config, request)))

    async def documentation(request: Request) -> Response:
        found = await examples.current()
        html = page.documentation(config, routes, found, _address(config, request))
        return HTMLResponse(html, headers={"Content-Security-Policy": page.POLICY})

    async def ready(request: Request) -> Response:
        is_ready = await health.is_ready()
        state: Mapping[str, Any] = {"alive": True, "ready": is_ready, "archive": "answers" if is_ready else "away"}
        return JSONResponse(state, status_code=200 if is_ready else 503)

    async def live(request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def start(request: Request) -> Response:
        return RedirectResponse("/api")

    pages: dict[str, Handler] = {
        "/": start,
        "/api": documentation,
        "/docs": documentation,
        "/openapi.json": description,
        "/health": ready,
        "/health/live": live,
    }
    return [Path_(path, handler, methods=["GET"]) for path, handler in pages.items()]


def _address(config: Config, request: Request) -> str:
    """Return the address clients reach the API by."""
    return (config.api.public_url or str(request.base_url)).rstrip("/")


async def _explain(request: Request, error: Exception) -> Response:
    """Answer what no route answers: an unknown path, a method a route does not know."""
    status = getattr(error, "status_code", 500)
    texts = {
        404: f"There is no such route. All routes are listed at {request.base_url}api\n",
        405: "The route does not know this method. Use GET or POST.\n",
    }
    reply = envelope.error_reply(RequestError(texts.get(status, "The request cannot be answered.\n"), status))
    headers = {**reply.headers, **(getattr(error, "headers", None) or {})}
    return Response(b"".join(reply.pieces), status, headers, media_type=reply.content_type)
