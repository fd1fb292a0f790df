"""The HTML pages: one frame around each, files beside them; nothing comes from another server."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

STATIC = files("fink_broker.monitor.dashboard") / "static"
PLOTLY = "plotly.min.js"
_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}

#: own scripts only; plots set styles of elements
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Page:
    """A page: its path, the name in the bar, its file, and whether it draws with plotly."""

    path: str
    name: str
    file: str
    plots: bool = False


PAGES = (
    Page("/live.html", "Live", "live.html"),
    Page("/history.html", "History", "history.html", plots=True),
    Page("/classification.html", "Classification", "classification.html", plots=True),
    Page("/skymap.html", "Sky map", "skymap.html"),
    Page("/rejected.html", "Rejected", "rejected.html"),
    Page("/services.html", "Services", "services.html"),
    Page("/about.html", "About", "about.html"),
)


@dataclass(frozen=True)
class Asset:
    """A file a page needs: content, the same compressed, type, and what tells it from an older one."""

    content: bytes
    compressed: bytes
    media_type: str
    tag: str


def asset(name: str) -> Asset | None:
    """Return a file of ``/static``, None if there is none of that name."""
    return _load(name) if name == PLOTLY or name in _asset_names() else None


@cache
def _load(name: str) -> Asset:
    folder = files("plotly") / "package_data" if name == PLOTLY else STATIC
    content = (folder / name).read_bytes()
    kind = _TYPES[name.rpartition(".")[2]]
    return Asset(content, gzip.compress(content, 6), kind, hashlib.sha256(content).hexdigest()[:16])


def html(page: Page, first: bytes) -> str:
    """Return a page.

    Parameters
    ----------
    page : Page
        Which.
    first : bytes
        A snapshot as JSON, to be shown until the first event comes.
    """
    links = "".join(
        f'<a href="{each.path}"{" aria-current=page" if each is page else ""}>{each.name}</a>' for each in PAGES
    )
    scripts = f'<script src="{address(PLOTLY)}" defer></script>' if page.plots else ""
    scripts += f'<script type="module" src="{address(page.file.replace(".html", ".js"))}"></script>'
    parts = {
        "title": f"{page.name} : Fink dashboard",
        "style": address("dashboard.css"),
        "scheme": address("scheme.js"),
        "icon": address("icon.svg"),
        "links": links,
        "content": _text(page.file),
        "scripts": scripts,
        # no text of the snapshot can end the element it stands in
        "first": first.decode().replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
    }
    before, *rest = _text("frame.html").split("{{")
    pieces = [before]
    for piece in rest:
        name, _, after = piece.partition("}}")
        pieces += [parts[name], after]
    return "".join(pieces)


def address(name: str) -> str:
    """Return where a file of ``/static`` is served; another content has another address."""
    found = asset(name)
    return f"/static/{name}?v={found.tag}" if found else f"/static/{name}"


@cache
def _asset_names() -> frozenset[str]:
    return frozenset(each.name for each in STATIC.iterdir() if each.name.rpartition(".")[2] in _TYPES)


@cache
def _text(name: str) -> str:
    return (STATIC / name).read_text()
