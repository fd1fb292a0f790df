"""Stars of the SDSS: a server on the loopback that hits, misses, hangs, breaks and babbles."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from fink_broker.config import Config
from fink_broker.filters.measures import sdss
from fink_broker.filters.measures.sdss import CouldNotAsk, NoStars, SkyServer, parse_answer, question, stars_of

SECONDS = 1.0
#: Right ascension (degrees, whole) to the types of objects beside it.
SKY = {10: [6], 11: [2], 12: [], 13: [2, 3], 14: [0, 5], 15: [1], 16: [4]}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        sql = parse_qs(urlsplit(self.path).query)["cmd"][0]
        server.questions.append(sql)
        if server.mode == "slow":
            time.sleep(3 * SECONDS)
        if server.mode == "drips":
            return self._drip()
        status = int(server.mode) if server.mode.isdigit() else 200
        content = {"garbage": b"<html><head>maintenance", "long": b"[" * 2_000_000, "deep": b"[" * 100_000}.get(
            server.mode
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(self._answer(sql) if content is None else content)
        return None

    def _answer(self, sql: str) -> bytes:
        asked = re.findall(r"SELECT (\d+) AS n.*?fGetNearbyObjAllEq\((\d+)\.", sql)
        rows = [{"n": int(number), "type": kind} for number, ra in asked for kind in SKY.get(int(ra), [])]
        return json.dumps([{"TableName": "Table1", "Rows": rows}]).encode()

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.1)

    def log_message(self, *_args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever asked has gone
            super().handle()


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.mode, server.questions = "answers", []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def stars(server: ThreadingHTTPServer) -> SkyServer:
    return SkyServer(f"http://127.0.0.1:{server.server_port}/search", SECONDS)


def beside(stars: SkyServer, *ra: float) -> list[bool]:
    found = stars.beside(np.array(ra, dtype=float), np.full(len(ra), 5.0))
    assert found.dtype == bool
    return found.tolist()


def test_types_decide(stars: SkyServer, server: ThreadingHTTPServer) -> None:
    assert beside(stars, *SKY) == [True, False, False, True, False, True, True]
    assert len(server.questions) == 1
    assert stars.unanswered == 0


def test_a_position_is_asked_about_once(stars: SkyServer, server: ThreadingHTTPServer) -> None:
    assert beside(stars, 10, 10, 12) == [True, True, False]
    assert beside(stars, 12, 10) == [False, True]
    assert len(server.questions) == 1
    assert server.questions[0].count("SELECT") == 2
    assert beside(stars) == []


def test_a_question_is_bounded_and_the_rest_passes(stars: SkyServer, server: ThreadingHTTPServer) -> None:
    many = [10 + step / 1000 for step in range(50)]
    first = sdss.POSITIONS_A_QUESTION
    assert beside(stars, *many) == [True] * first + [False] * (50 - first)
    assert len(server.questions) == 1
    assert stars.unanswered == 50 - first


def test_what_is_kept_is_bounded(stars: SkyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdss, "CACHED_POSITIONS", 5)
    for step in range(10):
        assert beside(stars, 10 + step / 1000) == [True]
    assert len(stars._known) == 5


def test_positions_that_do_not_exist_are_not_asked_about(stars: SkyServer, server: ThreadingHTTPServer) -> None:
    assert beside(stars, np.nan, np.inf, 10) == [False, False, True]
    assert server.questions[0].count("SELECT") == 1


@pytest.mark.parametrize("mode", ["500", "404", "garbage", "long", "deep", "slow", "drips"])
def test_no_usable_answer_passes_in_time_and_the_service_is_left_alone(
    stars: SkyServer, server: ThreadingHTTPServer, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.mode = mode
    start = time.monotonic()
    assert beside(stars, 10) == [False]
    assert time.monotonic() - start < SECONDS + 3
    server.mode = "answers"
    assert beside(stars, 10, 15) == [False, False]
    assert len(server.questions) == 1, "it was asked although it had just failed"
    assert stars.unanswered == 3
    assert caplog.text.count("left alone") == 1


def test_it_is_asked_again_after_the_pause(
    stars: SkyServer, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sdss, "PAUSE_SECONDS", 0.1)
    server.mode = "500"
    assert beside(stars, 10) == [False]
    server.mode = "answers"
    time.sleep(0.15)
    assert beside(stars, 10) == [True]
    assert "1 candidates passed without" in caplog.text


def test_a_service_that_refuses_or_is_no_address_passes() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "no url"):
        stars = SkyServer(url, SECONDS)
        start = time.monotonic()
        assert beside(stars, 10) == [False]
        assert time.monotonic() - start < SECONDS + 3
        assert stars.unanswered == 1


@pytest.mark.parametrize(
    "content",
    [
        "", "null", "{}", "[]", "[{}]", '[{"Rows": {}}]', '[{"Rows": [{}]}]', '[{"Rows": [{"n": 0}]}]',
        '[{"Rows": [{"n": 2, "type": 6}]}]', '[{"Rows": [{"n": -1, "type": 6}]}]',
        '[{"Rows": [{"n": 0, "type": "x"}]}]',
        '[{"Rows": [{"n": 0, "type": null}]}]', "[1]", '["Rows"]', '[{"Rows": [{"n": 1e999, "type": 6}]}]',
    ],
)  # fmt: skip
def test_any_other_answer_is_none(content: str) -> None:
    with pytest.raises(CouldNotAsk):
        parse_answer(content.encode(), 2)


def test_an_answer_is_read_by_number() -> None:
    content = (
        b'[{"TableName": "Table1", "Rows": [{"n": 1, "type": 6}, {"n": 1, "type": 2}]}, {"TableName": "SqlQuery"}]'
    )
    assert parse_answer(content, 2) == [set(), {2, 6}]


def test_the_question_is_one_statement_of_numbers() -> None:
    sql = question([(10.5, -5.25), (0.0000001, 1e-7)])
    assert sql.count("SELECT") == 2
    assert "(10.500000,-5.250000,0.083333)" in sql
    assert "(0.000000,0.000000,0.083333)" in sql
    assert set(";'\"") & set(sql) == set()


def test_the_configuration_says_who_is_asked() -> None:
    nobody = stars_of(Config.model_validate({"filters": {"sdss": "none"}}).filters)
    assert isinstance(nobody, NoStars)
    assert nobody.beside(np.zeros(3), np.zeros(3)).tolist() == [False] * 3
    settings = {"sdss": "service", "sdss_url": "http://127.0.0.1:1/", "sdss_seconds": 2.0}
    service = stars_of(Config.model_validate({"filters": settings}).filters)
    assert isinstance(service, SkyServer)
    assert stars_of(Config.model_validate({"filters": settings}).filters) is service
