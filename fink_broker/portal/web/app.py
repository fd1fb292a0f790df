"""The portal as a Flask application: pages by Dash, the REST API beside them, headers that keep browsers safe."""

from __future__ import annotations

import gzip
import hashlib
import math
import re
from base64 import b64encode
from functools import cache
from pathlib import Path

import dash_mantine_components as dmc
import httpx
from dash import Dash
from flask import Flask, Response, request

from fink_broker.config import Config
from fink_broker.portal.envelope import HARMLESS
from fink_broker.portal.web import faults, frame, passing, routing
from fink_broker.portal.web.api import Kept, open_api
from fink_broker.portal.web.fits.jobs import Jobs
from fink_broker.portal.web.site import Site

_INLINE = re.compile(rb"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>(.*?)</script>", re.DOTALL)
_PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"
#: where Dash gives its page
_INDEX = ("/", "/<path:path>")
#: files that do not change while the program runs are compressed once, whatever they are called
_COMPRESSED = Kept(answers=256, seconds=math.inf, largest=8 << 20, together=32 << 20)


def create_portal(config: Config, site: Site | None = None) -> Dash:
    """Return the portal.

    Parameters
    ----------
    config : Config
        The configuration in force; section ``[portal]``.
    site : Site, optional
        What pages are built with; by default made from the configuration.
    """
    transport: httpx.BaseTransport | None = None
    if config.portal.local_api:
        transport = passing.local_transport(config)
    if site is None:
        jobs = Jobs(Path(config.storage.state) / "fits", config.portal.fits_at_once, config.portal.fit_seconds)
        site = Site(config, open_api(config, transport), jobs)
    server = Flask("fink_portal", static_folder=None)
    server.config["MAX_CONTENT_LENGTH"] = config.portal.max_body_mib << 20
    passing.register(server, config, transport)  # before Dash, which answers everything else
    app = Dash(
        __name__,
        server=server,
        title=routing.TITLE,
        update_title=None,  # the title is ours
        suppress_callback_exceptions=True,  # pages come and go
        serve_locally=True,
        assets_folder="assets",
        index_string=_page(),
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    _set_scheme_early()
    app.layout = frame.frame(routing.PAGES)
    frame.register(app)
    routing.register(app, site)
    faults.register(app)
    server.after_request(_headers)
    server.after_request(_compress)
    return app


@cache
def _set_scheme_early() -> None:
    """Have light or dark chosen before anything is painted; the hook is the process's, so it is set once."""
    dmc.pre_render_color_scheme()


def _page() -> str:
    """Return the HTML page that everything comes into; its frame is there before any script is."""
    return (Path(__file__).parent / "page.html").read_text()


def _headers(response: Response) -> Response:
    """Let pages run our own scripts only."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    if request.path.startswith("/assets/") and "m" in request.args:  # its time is in its address
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif request.path.startswith("/_dash-component-suites/") and not response.cache_control.max_age:
        response.headers["Cache-Control"] = "public, max-age=86400"  # no version in its address
    if response.mimetype != "text/html" or "Content-Security-Policy" in response.headers:
        return response
    if request.endpoint not in _INDEX or response.direct_passthrough:
        response.headers.update(HARMLESS)  # no page of ours
    else:
        hashes = " ".join(_hash(script) for script in _INLINE.findall(response.get_data()))
        response.headers.setdefault(
            "Content-Security-Policy",
            f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
            # Aladin Lite fetches pieces of the sky and catalogues from whoever holds them
            "img-src 'self' data: blob: https:; connect-src 'self' data: https:; font-src 'self' data:; "
            "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
        )
        if routing.is_object(
            request.path
        ):  # the light curve needs it, and would ask for it only when all else is there
            response.headers["Link"] = f"<{_PLOTLY}>; rel=preload; as=script"
    return response


def _hash(script: bytes) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(script).digest()).decode()}'"


def _compress(response: Response) -> Response:
    """Compress scripts and styles, each once, for whoever takes it."""
    static = request.path.startswith(("/_dash-component-suites/", "/assets/"))
    accepts = "gzip" in request.headers.get("Accept-Encoding", "")
    if not (static and accepts and response.status_code == 200) or response.headers.get("Content-Encoding"):
        return response
    if response.mimetype not in ("application/javascript", "text/javascript", "text/css", "image/svg+xml"):
        return response
    response.direct_passthrough = False
    content = response.get_data()
    response.set_data(_COMPRESSED.get(hashlib.sha256(content).digest(), lambda: _compressed(content)))
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response


def _compressed(content: bytes) -> tuple[bytes, int]:
    packed = gzip.compress(content, 6)
    return packed, len(packed)
