"""The REST API on the portal's own address: requests are passed on, over the network or within this process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import httpx
from a2wsgi import ASGIMiddleware
from flask import Flask, Response, request

from fink_broker.config import Config
from fink_broker.portal.envelope import HARMLESS
from fink_broker.portal.keys import Quotas, given_key
from fink_broker.portal.route import RequestError
from fink_broker.portal.web.gate import Gate, GatedTransport, network

#: headers that belong to one connection, not to the message
_OF_CONNECTION = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
    "upgrade", "host", "content-length",
}  # fmt: skip
#: routes that take files, and the seconds an answer to one may take
_FILE_ROUTES, _FILE_SECONDS = ("skymap", "xmatch"), 120.0
#: largest body where no file is expected, in bytes
_BODY_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 16
#: what a browser may show as a page
_SHOWN = ("text/html", "application/xhtml+xml", "text/xml", "application/xml", "image/svg+xml")
#: what is asked for: a route, and for some one name more
_ROUTE = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)?")
#: requests a minute of an address that go by the portal's own key
KEYLESS_PER_MINUTE = 1200


def local_transport(config: Config) -> httpx.BaseTransport:
    """Return what carries requests to the API's functions in this process."""
    from fink_broker.archive.hbase.open import open_archive  # noqa: PLC0415  (not needed where the API is elsewhere)
    from fink_broker.portal.app import create_app  # noqa: PLC0415
    from fink_broker.portal.providers.open import open_providers  # noqa: PLC0415

    app = create_app(config, open_archive(config), open_providers(config))
    return httpx.WSGITransport(app=ASGIMiddleware(app))  # type: ignore[arg-type]  # their types differ in names only


class Passing:
    """Passes requests on; those with files through a gate of their own, as they may take long.

    Parameters
    ----------
    config : Config
        The configuration in force; sections ``[api]`` and ``[portal]``.
    transport : httpx.BaseTransport, optional
        Carries requests, where that is not the network.
    """

    def __init__(self, config: Config, transport: httpx.BaseTransport | None) -> None:
        api, threads = config.api, config.portal.threads
        self.base = (config.portal.api_url or f"http://{api.host}:{api.port}").rstrip("/")
        self._seconds = config.portal.api_seconds
        # together with those of pages they leave some threads free: to say that the portal is up, to serve its files
        carrier = transport or network(self.base)
        self._client = self._through(carrier, max(1, threads * 3 // 8))
        self._files = self._through(carrier, max(1, threads // 8))
        self._key = os.environ.get("FINK_PORTAL_API_KEY", "")
        self._quotas = Quotas(None, KEYLESS_PER_MINUTE)

    def _through(self, carrier: httpx.BaseTransport, at_once: int) -> httpx.Client:
        return httpx.Client(transport=GatedTransport(carrier, Gate(at_once)), base_url=self.base)

    def pass_on(self, route: str) -> Response:
        """Pass the current request on to a route, and its answer back."""
        if not _ROUTE.fullmatch(route):
            return _sentence("There is no such route.", 404)
        takes_file = request.method == "POST" and route in _FILE_ROUTES
        if not takes_file:
            request.max_content_length = min(_BODY_BYTES, request.max_content_length or _BODY_BYTES)
        try:
            headers = self._headers()
            client, seconds = (self._files, _FILE_SECONDS) if takes_file else (self._client, self._seconds)
            asked = client.build_request(
                request.method,
                f"/api/v1/{route}",
                params=request.query_string.decode("ascii", "replace"),
                headers=headers,
                content=_body() if request.method == "POST" else None,
                timeout=seconds,
            )
            answer = client.send(asked, stream=True)
        except RequestError as error:
            return _sentence(str(error), error.status, error.retry_after or 0)
        except httpx.InvalidURL:
            return _sentence("The address cannot be read.", 400)
        except httpx.HTTPError as error:
            return _sentence(f"The API at {self.base} does not answer ({error}): try again in a minute.", 503, 5)
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OF_CONNECTION]
        reply = Response(answer.iter_raw(_CHUNK_BYTES), answer.status_code, kept)
        reply.call_on_close(answer.close)  # also where nobody reads it
        if reply.mimetype in _SHOWN:
            reply.headers.update(HARMLESS)
        return reply

    def _headers(self) -> dict[str, str]:
        """Return the headers to send; reading goes by the portal's key, within limits, where a visitor has none.

        Raises
        ------
        RequestError
            If an address has read too much.
        """
        headers = {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() not in _OF_CONNECTION and value.isascii()
        }
        if self._key and request.method in ("GET", "HEAD") and not given_key(headers):
            self._quotas.admit(headers, request.remote_addr or "", 1)
            headers["authorization"] = f"Bearer {self._key}"
        if request.method == "POST" and request.content_length is not None:
            headers["content-length"] = str(request.content_length)
        return headers

    def is_ready(self) -> bool:
        """Tell whether the API answers."""
        try:
            return self._client.get("/health", timeout=5).is_success
        except httpx.HTTPError:
            return False


def register(server: Flask, config: Config, transport: httpx.BaseTransport | None) -> None:
    """Answer ``/api/v1/…`` and the health of the portal."""
    passing = Passing(config, transport)
    server.add_url_rule("/api/v1/<path:route>", "pass_on", passing.pass_on, methods=["GET", "POST", "OPTIONS"])

    @server.route("/health")
    @server.route("/health/live")
    def live() -> dict[str, bool]:
        return {"alive": True}

    @server.route("/health/ready")
    def ready() -> tuple[dict[str, object], int]:
        is_ready = passing.is_ready()
        return {"alive": True, "ready": is_ready, "api": "answers" if is_ready else "away"}, 200 if is_ready else 503


def _body() -> Iterator[bytes]:
    """Give the body piece by piece, so that it is never here as a whole."""
    stream = request.stream
    while piece := stream.read(_CHUNK_BYTES):
        yield piece


def _sentence(text: str, status: int, retry_seconds: int = 0) -> Response:
    headers = {"Retry-After": str(retry_seconds)} if retry_seconds else {}
    return Response(f"{text.rstrip()}\n", status, mimetype="text/plain", headers=headers)
