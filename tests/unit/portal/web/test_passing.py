"""The API on the portal's own address, and the gate before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient

from fink_broker.config import Config
from fink_broker.portal.client import ApiError
from fink_broker.portal.web import api as api_module
from fink_broker.portal.web import passing
from fink_broker.portal.web.api import Api, open_api
from fink_broker.portal.web.gate import Closed, Gate, GatedTransport

Handler = Callable[[httpx.Request], httpx.Response]


class Body(httpx.SyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


class Carrier(httpx.BaseTransport):
    """Answers like a network: bodies come after heads."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._handler(request)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=Body(answer.content))


def portal_over(handler: Handler, **portal: object) -> FlaskClient:
    server = Flask("test")
    config = Config.model_validate({"api": {"port": 1024}, "portal": {"threads": 8, **portal}})
    server.config["MAX_CONTENT_LENGTH"] = config.portal.max_body_mib << 20
    passing.register(server, config, Carrier(handler))
    return server.test_client()


def echo(request: httpx.Request) -> httpx.Response:
    shown = {
        "path": request.url.path, "query": request.url.query.decode(), "bytes": len(request.read()),
        "length": request.headers.get("content-length"), "key": request.headers.get("authorization"),
    }  # fmt: skip
    return httpx.Response(200, json=shown)


def silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("timed out")


@pytest.mark.parametrize("path", ["%2e%2e/%2e%2e/health", "a%0ab", "objects/", "a/b/c", "a%00", "objects%3fa=1"])
def test_nothing_but_routes_is_reached(path: str) -> None:
    assert portal_over(echo).get(f"/api/v1/{path}").status_code == 404


def test_requests_are_passed_on_as_they_are() -> None:
    portal = portal_over(echo)
    assert portal.get("/api/v1/objects?objectId=a%0Ab").json["query"] == "objectId=a%0Ab"
    told = portal.post("/api/v1/objects", data=b"x" * 100_000).json
    assert (told["bytes"], told["length"]) == (100_000, "100000")
    assert portal.get("/api/v1/sso/8467", headers={"X-Odd": "\xe9"}).json["path"] == "/api/v1/sso/8467"


def test_bodies_pass_piece_by_piece_and_large_ones_only_where_files_are_taken() -> None:
    sizes: list[int] = []

    def count(request: httpx.Request) -> httpx.Response:
        assert not hasattr(request, "_content")
        sizes.extend(len(piece) for piece in request.stream)  # type: ignore[union-attr]
        return httpx.Response(200)

    portal, content = portal_over(count), bytes(9 << 20)
    assert portal.post("/api/v1/objects", data=content).status_code == 413
    assert portal.post("/api/v1/skymap", data=content).status_code == 200
    assert sum(sizes) == len(content)
    assert max(sizes) <= 1 << 16


def test_preflights_are_answered_by_the_api() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(204, headers={"Access-Control-Allow-Origin": "*"} if request.method == "OPTIONS" else {})

    assert portal_over(answer).options("/api/v1/objects").headers["Access-Control-Allow-Origin"] == "*"


def test_no_script_runs_in_what_is_passed_on() -> None:
    reply = portal_over(lambda request: httpx.Response(200, html="<script>1</script>")).get("/api/v1/objects")
    assert reply.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_reading_goes_by_the_portals_key_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINK_PORTAL_API_KEY", "ours")
    monkeypatch.setattr(passing, "KEYLESS_PER_MINUTE", 2)
    portal = portal_over(echo)
    own = {"Authorization": "Bearer own"}
    assert portal.get("/api/v1/objects", headers=own).json["key"] == "Bearer own"
    assert portal.post("/api/v1/metadata", data=b"").json["key"] is None
    assert [portal.get("/api/v1/objects").json["key"] for _ in range(2)] == ["Bearer ours"] * 2
    refused = portal.get("/api/v1/objects")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert portal.get("/api/v1/objects", headers=own).status_code == 200


def test_an_api_that_hangs_takes_some_threads_only_and_is_then_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "Gate", partial(Gate, wait_seconds=0.01))
    end, under_way = threading.Event(), threading.Semaphore(0)

    def hang(request: httpx.Request) -> httpx.Response:
        under_way.release()
        end.wait(30)
        raise httpx.ReadTimeout("timed out")

    portal = portal_over(hang)
    threads = [threading.Thread(target=lambda: portal.application.test_client().get("/api/v1/cutouts")) for _ in "abc"]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert under_way.acquire(timeout=10)
    refused = portal.get("/api/v1/cutouts")  # three of eight threads wait: there is no place for a fourth
    assert refused.status_code == 503
    assert "too many" in refused.text
    assert refused.headers["Retry-After"]
    end.set()
    for thread in threads:
        thread.join(10)
    assert "hangs" in portal.get("/api/v1/cutouts").text
    assert not under_way.acquire(blocking=False)


def test_places_come_back_after_answers_whether_they_are_read_or_not() -> None:
    portal = portal_over(lambda request: httpx.Response(200, text="text"), threads=1)
    for _ in range(3):
        portal.get("/api/v1/objects", buffered=False).close()
        assert portal.get("/api/v1/objects").text == "text"
        assert portal.head("/api/v1/objects", buffered=True).status_code == 200


def test_one_slow_request_among_others_that_are_answered_closes_nothing() -> None:
    gate = Gate(2, wait_seconds=0.0)
    slow, quick = gate.enter(), gate.enter()
    with pytest.raises(Closed, match="too many"):
        gate.enter()
    time.sleep(0.001)
    gate.note_answer()
    gate.leave()
    gate.note_silence(slow)
    again = gate.enter()
    assert again >= quick
    gate.note_silence(again + 1.0)
    with pytest.raises(Closed, match="hangs"):
        gate.enter()


def test_a_gate_opens_again() -> None:
    gate = Gate(1, rest_seconds=0.0)
    gate.note_silence(gate.enter())
    gate.leave()
    gate.enter()


def test_pages_fail_at_once_where_the_api_hangs() -> None:
    asked: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return silent(request)

    api = Api("http://127.0.0.1:1", transport=httpx.MockTransport(note))
    for _ in range(3):
        with pytest.raises(ApiError, match="does not answer"):
            api.rows("objects", objectId="a")
    assert len(asked) == 1


@pytest.mark.parametrize("slow", ["xmatch", "skymap"])
def test_what_takes_long_neither_keeps_pages_waiting_nor_closes_their_gate(slow: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith(slow):
            return httpx.Response(200, json=[])
        nonlocal given
        given = request.extensions["timeout"]["read"]
        assert api.document("classes") == []  # by another thread, while this one waits
        return silent(request)

    given = 0.0
    api = Api("http://127.0.0.1:1", 5.0, httpx.MockTransport(answer), at_once=1, slow_at_once=1)
    with pytest.raises(ApiError, match="timed out"):
        if slow == "xmatch":
            api.rows("xmatch", catalog="a")
        else:
            api.send_file("skymap", "bayestar", b"a", 120.0)
    assert given == 120.0
    assert api.document("statistics") == []


def test_some_threads_are_left_whatever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[int] = []

    def count(at_once: int) -> Gate:
        places.append(at_once)
        return Gate(at_once)

    monkeypatch.setattr(passing, "Gate", count)
    monkeypatch.setattr(api_module, "Gate", count)
    config = Config()
    open_api(config)
    passing.Passing(config, None)
    assert len(places) == 4
    assert sum(places) < config.portal.threads


def test_connections_are_given_little_time() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=request.extensions["timeout"])

    with httpx.Client(transport=GatedTransport(httpx.MockTransport(answer), Gate(1)), timeout=20.0) as client:
        given = client.get("http://127.0.0.1:1/").json()
    assert (given["connect"], given["read"]) == (3.0, 20.0)
