"""Servers that speak as CDS Sesame, quaero, Miriade and GraceDB do, with the faults such servers have."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fink_broker.config.model import ApiConfig, Config

#: what a path is answered with: status, body, headers
Page = tuple[int, bytes, Mapping[str, str]]


@dataclass
class Request:
    """A request as it came in."""

    path: str
    query: str
    body: bytes = b""
    content_type: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.query).items()}

    @property
    def upload(self) -> bytes:
        """Return the content of the first file of a multipart form."""
        parsed = BytesParser(EmailMessage).parsebytes(f"Content-Type: {self.content_type}\r\n\r\n".encode() + self.body)
        return next(part.get_payload(decode=True) for part in parsed.walk() if part.get_filename())


@dataclass
class Outside:
    """A server; `pages` is what it answers, `fault` what it does instead."""

    url: str
    pages: Callable[[Request], Page]
    fault: Callable[[BaseHTTPRequestHandler], None] | None = None
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serving(pages: Callable[[Request], Page]) -> Iterator[Outside]:
    """Run a server on a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(parts.path, parts.query, body, self.headers.get("Content-Type", ""))
            outside.requests.append(request)
            if outside.fault is not None:
                self.close_connection = True
                outside.fault(self)
                return
            status, content, headers = outside.pages(request)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    outside = Outside(f"http://127.0.0.1:{server.server_port}", pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield outside
    finally:
        server.shutdown()
        server.server_close()


def config_for(url: str, seconds: float = 10.0) -> Config:
    """Return a configuration whose services are all at one address."""
    urls = {f"{name}_url": f"{url}/{name}" for name in ("sesame", "quaero", "miriade", "gracedb")}
    return Config(api=ApiConfig(service_seconds=seconds, **urls))


def closed_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


MARKARIAN_2 = b"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Sesame xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
   xsi:noNamespaceSchemaLocation="http://vizier.u-strasbg.fr/xml/sesame_4x.xsd">
<Target option="S">
  <name>Markarian 2</name>
  <!-- Q5513218 #1 -->
  <Resolver name="S=Simbad (CDS, via url)">
    <INFO>from cache</INFO>
    <oid>@386404</oid>
    <otype>AGN</otype>
    <jpos>01:54:53.80 +36:55:04.6</jpos>
    <jradeg>28.7241678</jradeg>
    <jdedeg>+36.9179608</jdedeg>
    <refPos>2020yCat.1350....0G</refPos>
    <z type="z"><v>0.018</v></z>
    <MType>SBa</MType>
    <oname>NVSS J015453+365505 &amp; co</oname>
    <nrefs>107</nrefs>
  </Resolver>
</Target>
</Sesame>
"""
NOTHING_FOUND = b"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Sesame><Target option="S"><name>nothing</name>
<Resolver name="S=Simbad (CDS, via url)"><INFO>*** Nothing found ***</INFO></Resolver></Target></Sesame>
"""
BODIES: list[dict[str, Any]] = [
    {
        "id": "Benoitcarry", "type": "Asteroid", "name": "Benoitcarry", "class": ["MB>Inner"], "parent": "Sun",
        "aliases": ["8467", "1981 EJ28", "2008467", "1991 PS5"], "ephemeris": True,
    },
    {"id": "Rubin", "type": "Asteroid", "name": "Rubin", "aliases": ["5726", "1988 BN2"]},
    {"id": "Rubincam", "type": "Asteroid", "name": "Rubincam", "aliases": ["4354"]},
    {"id": "2010_JO69", "type": "Asteroid", "name": "2010 JO69", "aliases": ["2010 JO69", "K10J69O"]},
    {"id": "10P", "type": "Comet", "name": "10P", "aliases": ["Tempel 2", "1873 N1"]},
    {"id": "Ceres", "type": "Dwarf Planet", "name": "Ceres", "aliases": ["1", "A899 OF"]},
]  # fmt: skip


def services(request: Request) -> Page:
    """Answer as the four services do, each below its name."""
    service, _, path = request.path.lstrip("/").partition("/")
    return _ANSWERS[service](path, request)


def _json(content: Any, status: int = 200) -> Page:
    return status, json.dumps(content).encode(), {"Content-Type": "application/json"}


def _sesame(path: str, request: Request) -> Page:
    assert path == "-oxp/~S"
    known = unquote(request.query) == "Markarian 2"
    return 200, MARKARIAN_2 if known else NOTHING_FOUND, {"Content-Type": "text/plain"}


def _quaero(path: str, request: Request) -> Page:
    assert path == "sso/search"
    wanted = request.parameters["q"].split('AND "')[1].split('"~0')[0].lower()
    found = [body for body in BODIES if any(wanted in each.lower() for each in (body["name"], *body["aliases"]))]
    return _json({"total": len(found), "data": found})


def _miriade(path: str, request: Request) -> Page:
    """Answer with distances and phases that follow from the epochs."""
    assert path == "ephemcc.php"
    kind, _, name = request.parameters["-name"].partition(":")
    epochs = [float(line) for line in request.upload.decode().split()]
    if name == "unknown":
        return _json({"flag": 0, "ticket": 1, "error": "unknown target"})
    rows = []
    for epoch in epochs:
        row = {
            "Date": epoch, "RA": "+10 54 17.78", "Dec": "-3 12 0.4", "Dobs": 1.5 + epoch % 1, "Dhelio": 2.0,
            "VMag": 17.0, "Phase": 5.0 + 10 * (epoch % 1), "Elong.": 120.0,
        }  # fmt: skip
        rows.append(row | ({"SDSS:g": 0.5, "SDSS:r": 0.1}))
    assert kind == ("c" if name == "10P" else "a")
    return _json({"sso": {"name": name}, "coosys": {}, "data": rows})


def _gracedb(path: str, request: Request) -> Page:
    known = {"S190521g/files/bayestar.fits.gz": b"flat map", "S200101a/files/bayestar.multiorder.fits": b"tree"}
    path = path.removeprefix("superevents/")
    return (200, known[path], {}) if path in known else _json({"detail": "Not found."}, 404)


_ANSWERS = {"sesame": _sesame, "quaero": _quaero, "miriade": _miriade, "gracedb": _gracedb}


def slow(handler: BaseHTTPRequestHandler) -> None:
    """Answer nothing for a while."""
    time.sleep(5)


def slow_headers(handler: BaseHTTPRequestHandler) -> None:
    """Send a header without end, a byte now and then."""
    _trickle(handler, b"HTTP/1.1 200 OK\r\nX-Never: ")


def slow_body(handler: BaseHTTPRequestHandler) -> None:
    """Send a body, a byte now and then."""
    _trickle(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")


def _trickle(handler: BaseHTTPRequestHandler, start: bytes) -> None:
    try:
        handler.wfile.write(start)
        for _ in range(50):
            handler.wfile.write(b"a")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        return


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a fault that answers with a status."""
    return sending(f"HTTP/1.1 {code} Fault\r\nContent-Length: 5\r\n\r\nfault".encode())


def with_body(body: bytes, *headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a fault that answers with a body and status 200."""
    lines = "".join(f"{header}\r\n" for header in (f"Content-Length: {len(body)}", *headers))
    return sending(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body)


def redirect(location: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a fault that sends clients elsewhere."""
    return sending(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


def sending(content: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a fault that sends bytes and hangs up."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(content)
        except OSError:
            return

    return send


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send a body that does not end, as fast as it can."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(b"x" * 2**20)
    except OSError:
        return


BILLION_LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE Sesame [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d SYSTEM "file:///etc/passwd">]>
<Sesame><Target><Resolver name="S"><oname>&c;&d;</oname></Resolver></Target></Sesame>
"""
