"""The client of CDS X-Match against a real HTTP server on the loopback that behaves, or does not."""

from __future__ import annotations

import email.parser
import email.policy
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from fink_broker.config.model import Config, CrossmatchConfig
from fink_broker.science.crossmatch import service as service_module
from fink_broker.science.crossmatch.provider import Chain
from fink_broker.science.crossmatch.service import SIMBAD, XMatchService
from fink_broker.science.registry import build_pipeline

Reply = Callable[[BaseHTTPRequestHandler, dict[str, str]], None]
RA, DEC = np.array([10.0, 20.0, 30.0]), np.array([1.0, -2.0, 3.0])


def send(handler: BaseHTTPRequestHandler, body: str, status: int = 200) -> None:
    content = body.encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def well_behaved(handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
    """Answer that RA 10 has two neighbours, the farther first, RA 20 one with a comma in its type, the rest none."""
    lines = ["angDist,ra_in,dec_in,objectId,main_type"]
    for line in form["cat1"].splitlines()[1:]:
        ra, dec, number = line.split(",")
        if round(float(ra)) == 10:
            lines += [f"0.9,{ra},{dec},{number},Star", f"0.1,{ra},{dec},{number},QSO"]
        elif round(float(ra)) == 20:
            lines.append(f'0.5,{ra},{dec},{number},"EB*, or so"')
    send(handler, "\n".join([*lines, ""]))


def closes(handler: BaseHTTPRequestHandler, _form: dict[str, str]) -> None:
    handler.connection.close()


def stops_halfway(handler: BaseHTTPRequestHandler, _form: dict[str, str]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"angDist,ra_in,dec_in,objectId,main_type\n0.1,10")


def sleeps(handler: BaseHTTPRequestHandler, _form: dict[str, str]) -> None:
    time.sleep(1.0)


def trickles(handler: BaseHTTPRequestHandler, _form: dict[str, str]) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(20):
        handler.wfile.write(b"a")
        time.sleep(0.1)


def status(code: int) -> Reply:
    return lambda handler, _form: send(handler, "no", code)


def text(body: str) -> Reply:
    return lambda handler, _form: send(handler, body)


class Server:
    """Plays back replies in turn; the last one is for ever."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [well_behaved]
        self.forms: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
                form = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
                outer.forms.append({name: part.get_payload(decode=True).decode() for name, part in form.items()})
                reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                reply(self, outer.forms[-1])

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(service_module, "BACK_OFF", 0.01)
    server = Server()
    yield server
    server.close()


def client(server: Server, **settings: object) -> XMatchService:
    values = {"service_url": server.url, "connect_seconds": 0.5, "read_seconds": 0.3, "pause_seconds": 60.0}
    return XMatchService(SIMBAD, CrossmatchConfig(**(values | settings)))


def labels(service: XMatchService, ra: np.ndarray = RA, dec: np.ndarray = DEC) -> list[str]:
    return Chain([service], "main_type").labels(ra, dec).tolist()


def test_the_nearest_of_several_wins_and_commas_are_kept(server: Server) -> None:
    service = client(server)
    assert labels(service) == ["QSO", "EB*, or so", "Unknown"]
    (form,) = server.forms
    sent = {name: value for name, value in form.items() if name != "cat1"}
    assert sent == {
        "request": "xmatch",
        "distMaxArcsec": "1",
        "selection": "all",
        "RESPONSEFORMAT": "csv",
        "cat2": "simbad",
        "cols2": "main_type",
        "colRA1": "ra_in",
        "colDec1": "dec_in",
    }
    header, first, *_ = form["cat1"].splitlines()
    assert header == "ra_in,dec_in,objectId"
    ra, dec, _number = map(float, first.split(","))
    assert ra == pytest.approx(10.0, abs=0.06 / 3600)
    assert dec == pytest.approx(1.0, abs=0.06 / 3600)


def test_a_position_asked_before_needs_no_request(server: Server) -> None:
    service = client(server)
    first = labels(service)
    server.replies = [status(500)]
    assert labels(service, np.tile(RA, 3), np.tile(DEC, 3)) == first * 3
    assert len(server.forms) == 1
    assert labels(service, np.append(RA, 40.0), np.append(DEC, 4.0)) == [*first, "Fail 500"]


def test_the_cache_is_bounded_and_drops_the_least_used(server: Server) -> None:
    service = client(server, cache_positions=2)
    labels(service)
    labels(service, RA[1:], DEC[1:])
    assert len(server.forms) == 1
    labels(service, RA[:1], DEC[:1])
    assert len(server.forms) == 2


@pytest.mark.parametrize(
    ("reply", "label", "requests"),
    [
        (status(504), "Fail 504", 3),
        (status(500), "Fail 500", 3),
        (status(404), "Fail 404", 1),  # asking again does not help
        (closes, "Fail", 3),
        (stops_halfway, "Fail", 3),
        (sleeps, "Fail", 3),
        (trickles, "Fail", 3),
        (text(""), "Fail", 3),
        (text("<html>Service unavailable</html>"), "Fail", 3),
        (text("angDist,objectId,main_type\nnear,0,QSO\n"), "Fail", 3),
        (text('angDist,objectId,main_type\n0.1,0,"QSO\n'), "Fail", 3),
        (text("angDist,objectId\n0.1,0\n"), "Fail", 3),
    ],
)
def test_could_not_ask_is_told_from_nothing_there(server: Server, reply: Reply, label: str, requests: int) -> None:
    server.replies = [reply]
    service = client(server)
    assert labels(service) == [label] * 3
    assert len(server.forms) == requests
    assert service.failures == {label: 1, "positions": 3}


def test_a_second_try_may_succeed(server: Server) -> None:
    server.replies = [status(503), closes, well_behaved]
    assert labels(client(server)) == ["QSO", "EB*, or so", "Unknown"]


def test_a_failed_service_is_left_alone_then_asked_once(server: Server) -> None:
    server.replies = [status(500)]
    service = client(server, pause_seconds=0.3)
    labels(service)
    tries = len(server.forms)
    assert labels(service) == ["Fail 500"] * 3
    assert len(server.forms) == tries
    time.sleep(0.35)
    labels(service)
    assert len(server.forms) == tries + 1
    time.sleep(0.35)
    server.replies = [well_behaved]
    assert labels(service) == ["QSO", "EB*, or so", "Unknown"]


def test_nobody_listens(server: Server) -> None:
    service = client(server)
    server.close()
    started = time.monotonic()
    assert labels(service) == ["Fail"] * 3
    assert time.monotonic() - started < 5


def test_a_failed_service_leaves_the_catalogues(server: Server) -> None:
    server.replies = [status(504)]
    settings = CrossmatchConfig(service_url=server.url, simbad=["service", "local"], retries=0)
    module = build_pipeline(Config(crossmatch=settings)).modules[0]
    assert module.name == "cdsxmatch"
    from fink_broker.science.crossmatch.simbad import chain, service  # noqa: PLC0415

    found = chain(settings.model_dump_json()).labels(np.array([10.679583, 0.0]), np.array([41.268056, -85.0]))
    assert found.tolist() == ["SN", "Fail 504"]
    assert service(settings.model_dump_json()).failures["Fail 504"] == 1
