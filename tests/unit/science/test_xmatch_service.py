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

from fink_broker.alert.sky import separation_arcsec
from fink_broker.config.model import CrossmatchConfig
from fink_broker.science.crossmatch import service as service_module
from fink_broker.science.crossmatch.cells import CELL_ARCSEC, cells_of, centres_of
from fink_broker.science.crossmatch.provider import Answer, Chain
from fink_broker.science.crossmatch.service import XMatchHost, XMatchService
from fink_broker.science.crossmatch.tables import GAIA, GAIA_VARIABILITY, SIMBAD, SPICY, CouldNotAsk, parse_answer

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
    if form["cat2"] != "simbad":
        sources(handler, form)
        return
    lines = ["angDist,ra_in,dec_in,objectId,main_type"]
    for line in form["cat1"].splitlines()[1:]:
        ra, dec, number = line.split(",")
        if round(float(ra)) == 10:
            lines += [f"0.9,{ra},{dec},{number},Star", f"0.1,{ra},{dec},{number},QSO"]
        elif round(float(ra)) == 20:
            lines.append(f'0.5,{ra},{dec},{number},"EB*, or so"')
    send(handler, "\n".join([*lines, ""]))


def sources(handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
    """Answer that RA 10 has a source whose name says which table it is of."""
    values = {
        GAIA.name: 'Gaia DR3 "1,2",1.25,,VARIABLE',
        GAIA_VARIABILITY.name: "RR",
        SPICY.name: "77,ClassII",
    }[form["cat2"]].replace('Gaia DR3 "1,2"', '"Gaia DR3 ""1,2"""')
    lines = [f"angDist,ra_in,dec_in,objectId,{form['cols2']}"]
    for line in form["cat1"].splitlines()[1:]:
        if round(float(line.split(",")[0])) == 10:
            lines.append(f"0.2,{line},{values}")
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


def host(server: Server, **settings: object) -> XMatchHost:
    values = {"service_url": server.url, "connect_seconds": 5.0, "read_seconds": 5.0, "pause_seconds": 60.0}
    return XMatchHost(CrossmatchConfig(**(values | settings)))


def client(server: Server, **settings: object) -> XMatchService:
    return host(server, **settings).table(SIMBAD)


def ask(service: XMatchService, ra: np.ndarray = RA, dec: np.ndarray = DEC) -> Answer:
    return Chain([service], service.table.columns).match(ra, dec)


def labels(service: XMatchService, ra: np.ndarray = RA, dec: np.ndarray = DEC) -> list[str]:
    answer = ask(service, ra, dec)
    found = answer.nearest.column(0).to_pylist()
    return [label or failure or "Unknown" for label, failure in zip(found, answer.failure, strict=True)]


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
    service = client(server, read_seconds=0.3 if reply in (sleeps, trickles) else 5.0)
    assert labels(service) == [label] * 3
    assert len(server.forms) == requests
    assert service.failures == {label: 1, "positions": 3}


def test_a_second_try_may_succeed(server: Server) -> None:
    server.replies = [status(503), closes, well_behaved]
    assert labels(client(server)) == ["QSO", "EB*, or so", "Unknown"]


def test_a_failed_service_is_left_alone_then_asked_once(server: Server) -> None:
    server.replies = [status(500)]
    service = client(server, pause_seconds=1.0)
    labels(service)
    tries = len(server.forms)
    assert labels(service) == ["Fail 500"] * 3
    assert len(server.forms) == tries
    time.sleep(1.05)
    labels(service)
    assert len(server.forms) == tries + 1
    time.sleep(1.05)
    server.replies = [well_behaved]
    assert labels(service) == ["QSO", "EB*, or so", "Unknown"]


def test_nobody_listens(server: Server) -> None:
    service = client(server)
    server.close()
    started = time.monotonic()
    assert labels(service) == ["Fail"] * 3
    assert time.monotonic() - started < 5


def test_columns_are_read_as_what_they_are(server: Server) -> None:
    at_host = host(server)
    gaia, spicy = ask(at_host.table(GAIA)).nearest, ask(at_host.table(SPICY)).nearest
    assert gaia.schema.types == GAIA.columns.types
    assert gaia.slice(0, 2).to_pylist() == [
        {"DR3Name": 'Gaia DR3 "1,2"', "Plx": 1.25, "e_Plx": None, "VarFlag": "VARIABLE"},
        dict.fromkeys(GAIA.columns.names),
    ]
    assert spicy.to_pylist()[:2] == [{"SPICY": 77, "class": "ClassII"}, {"SPICY": None, "class": None}]
    assert server.forms[0]["cols2"] == "DR3Name,Plx,e_Plx,VarFlag"
    assert [form["distMaxArcsec"] for form in server.forms] == ["1", "1.2"]


@pytest.mark.parametrize("number", ["12.5", "99999999999", "many"])
def test_a_number_that_is_none_is_a_broken_answer(number: str) -> None:
    with pytest.raises(CouldNotAsk, match="no table of matches"):
        parse_answer(f"angDist,objectId,SPICY,class\n0.1,0,{number},FS\n", SPICY)


TABLES = (SIMBAD, GAIA, GAIA_VARIABILITY, SPICY)


def test_the_tables_of_a_batch_are_asked_together_and_each_once(server: Server) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def slow(handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.3)
        with lock:
            at_once -= 1
        well_behaved(handler, form)

    server.replies = [slow]
    at_host = host(server, cache_positions=0)
    services = [at_host.table(table) for table in TABLES]
    assert [ask(service).known[0] for service in services] == [True] * 4
    assert most == 4
    # also without a cache: a batch is remembered until the next
    assert sorted(form["cat2"] for form in server.forms) == sorted(table.name for table in TABLES)


def test_a_table_that_fails_leaves_the_others(server: Server) -> None:
    def without_gaia(handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        if form["cat2"] == GAIA.name:
            send(handler, "no", 504)
        else:
            well_behaved(handler, form)

    server.replies = [without_gaia]
    at_host = host(server, retries=0)
    simbad, gaia = at_host.table(SIMBAD), at_host.table(GAIA)
    for _ in range(2):
        assert labels(simbad) == ["QSO", "EB*, or so", "Unknown"]
        assert labels(gaia) == ["Fail 504"] * 3
    assert len(server.forms) == 2
    assert gaia.failures == {"Fail 504": 1, "positions": 6}
    assert not simbad.failures


def test_an_outage_is_waited_for_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    at_host = host(server, pause_seconds=5.0)
    services = [at_host.table(table) for table in TABLES]
    server.close()
    for service in services:
        assert labels(service) == ["Fail"] * 3
    assert [record.message.startswith("CDS X-Match cannot be reached") for record in caplog.records] == [True]
    assert at_host.table(SIMBAD).failures["positions"] == 3


def test_what_went_without_an_answer_is_told_when_the_service_is_back(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies = [status(500), well_behaved]
    service = client(server, retries=0, pause_seconds=0.5)
    labels(service)
    labels(service)
    time.sleep(0.55)
    assert labels(service)[0] == "QSO"
    assert caplog.messages[-1] == "CDS X-Match (simbad) answers again; 6 positions went without"


def test_a_cell_is_near_every_position_in_it() -> None:
    random = np.random.default_rng(1)
    ra = np.concatenate([random.uniform(0, 360, 2000), [0.0, 360.0, 359.99999, 12.0, 12.0]])
    dec = np.concatenate([np.degrees(np.arcsin(random.uniform(-1, 1, 2000))), [0.0, 0.0, 0.0, 90.0, -90.0]])
    cells = cells_of(ra, dec)
    centre_ra, centre_dec = centres_of(cells)
    assert separation_arcsec(ra, dec, centre_ra, centre_dec).max() < CELL_ARCSEC * 0.71
    np.testing.assert_array_equal(cells_of(ra[::-1], dec[::-1]), cells[::-1])
    assert [cells_of(ra[k : k + 1], dec[k : k + 1])[0] for k in range(0, 2005, 50)] == cells[::50].tolist()
