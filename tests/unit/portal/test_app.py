"""A request from its first byte to the last of its answer, through the application as a whole.

One file, though a long one: all tests ask the same few made-up routes of one application.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pyarrow as pa
import pytest
from portal_app import client_of

from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.errors import ArchiveAway, DataError
from fink_broker.portal.chunks import Chunks
from fink_broker.portal.deadline import ClientGone, Deadline, watched
from fink_broker.portal.envelope import Reply
from fink_broker.portal.keys import entry_of, make_key
from fink_broker.portal.route import Argument, Document, File, Query, RequestError, Route, Rows, Text
from fink_broker.portal.routes import all_routes, routes_of

HTML = "text/html; charset=utf-8"
TABLE = pa.table({"i:objectId": ["ZTF21abfmbix", "ZTF21aaxtctv"], "i:candid": [2**60, 5], "i:ra": [1.5, None]})


def rows(query: Query) -> Rows:
    table = TABLE if query["columns"] is None else TABLE.select(query["columns"])
    return Rows([table.slice(0, query["n"])], is_cut=query["n"] < 2)


def fail(query: Query) -> Text:
    faults: dict[str, Exception] = {
        "away": ArchiveAway("HBase at 127.0.0.1:9090 is away.", "Start it."),
        "damaged": DataError("The row at /secret/path is damaged."),
        "bug": KeyError("a secret"),
        "refused": RequestError(ValueError("no <b>such</b> thing")),
        "gone": RequestError("Unknown object.", status=404),
    }
    raise faults[query["how"]]


def slow(query: Query) -> Rows:
    def tables() -> Iterator[pa.Table]:
        yield TABLE.slice(0, 0)
        time.sleep(query["seconds"])
        yield TABLE

    return Rows(tables())


ROUTES = (
    Route(
        "rows",
        "Get rows",
        rows,
        (
            Argument("n", "most rows", "integer", default=2, least=1, most=2),
            Argument("columns", "columns wanted", "columns"),
            Argument("objectId", "name", "object_ids", required=True, example="ZTF21abfmbix"),
        ),
    ),
    Route("fail", "Fail", fail, (Argument("how", "how", required=True),), has_rows=False),
    Route("slow", "Take time", slow, (Argument("seconds", "s", "number", required=True),)),
    Route(
        "list", "List", lambda _: Document({"a": [float("nan"), 1]}), methods=("GET",), has_rows=False,
        answers_bare_get=True,
    ),
    Route(
        "image", "Image", lambda _: File(b"\x89PNG" * 5000, "image/png", 'a"b\r\n.png'), has_rows=False,
        answers_bare_get=True,
    ),
    Route("words", "Words", lambda query: Text(query.token), has_rows=False, answers_bare_get=True),
)  # fmt: skip
GIVEN = {"objectId": "ZTF21abfmbix"}


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    with client_of(ROUTES, max_body_mib=1) as client:
        yield client


def text_of(answer: Any) -> str:
    """Return the sentence of an error, having looked at what is around it."""
    assert answer.headers["content-type"] == HTML
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.text.startswith("{'status': 'error', 'text': ")
    return answer.text.removeprefix("{'status': 'error', 'text': ").removesuffix("}")


def test_get_equals_post_in_every_format(api: Any) -> None:
    types = {"json": "application/json", "csv": "application/csv", "votable": "text/xml", "parquet": "parquet"}
    for name, content_type in types.items():
        given = {**GIVEN, "output-format": name}
        answers = api.get("/api/v1/rows", params=given), api.post("/api/v1/rows", json=given)
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["content-type"] for answer in answers} == {content_type}
        assert answers[0].content == answers[1].content
        assert int(answers[0].headers["content-length"]) == len(answers[0].content)


def test_a_query_string_wins_over_the_body(api: Any) -> None:
    answer = api.post("/api/v1/rows?objectId=ZTF21abfmbix&n=1", json={"n": 2, "columns": "i:ra"})
    assert answer.json() == [{"i:objectId": "ZTF21abfmbix", "i:candid": 2**60, "i:ra": 1.5}]


def test_values_may_be_texts_with_blanks_and_unknown_names_are_ignored(api: Any) -> None:
    answer = api.post(
        "/api/v1/rows", json={**GIVEN, "n": " 1", "output_format": "nonsense", "columns": " i:ra , i:candid"}
    )
    assert answer.json() == [{"i:ra": 1.5, "i:candid": 2**60}]


def test_a_cut_answer_says_so(api: Any) -> None:
    assert "x-fink-truncated" not in api.post("/api/v1/rows", json=GIVEN).headers
    answer = api.post("/api/v1/rows", json={**GIVEN, "n": 1})
    assert answer.headers["x-fink-truncated"] == "true"
    assert answer.headers["x-fink-max-rows"] == "10000"
    assert "X-Fink-Truncated" in answer.headers["access-control-expose-headers"]


def test_a_cut_answer_says_where_its_own_limit_is() -> None:
    route = Route("few", "Few", lambda _: Rows([TABLE], is_cut=True, cut_at=2), answers_bare_get=True)
    with client_of([route]) as api:
        assert api.get("/api/v1/few").headers["x-fink-max-rows"] == "2"


def test_a_route_knows_how_it_was_asked_and_its_time() -> None:
    def answer(query: Query) -> Text:
        query.check_time()
        time.sleep(0.3)
        query.check_time()
        return Text(query.method)

    for seconds, status in ((30.0, 200), (0.2, 504)):
        with client_of([Route("how", "How", answer, has_rows=False, answers_bare_get=True)], seconds=seconds) as api:
            answers = [api.get("/api/v1/how"), api.post("/api/v1/how", json={"a": 1})]
            assert [each.status_code for each in answers] == [status, status]
            if status == 200:
                assert [each.text for each in answers] == ["GET", "POST"]


def test_identifiers_are_texts_where_asked(api: Any) -> None:
    answer = api.get("/api/v1/rows", params={**GIVEN, "identifiers": "text"})
    assert [row["i:candid"] for row in answer.json()] == [str(2**60), "5"]
    assert "`identifiers`" in text_of(api.get("/api/v1/rows", params={**GIVEN, "identifiers": "roman"}))


def test_get_without_arguments_says_what_a_route_is(api: Any) -> None:
    answer = api.get("/api/v1/rows")
    assert (answer.status_code, answer.text) == (200, "Get rows")
    assert answer.headers["content-type"].startswith("text/plain")
    assert api.get("/api/v1/list").json() == {"a": [None, 1]}
    with client_of(ROUTES, generation="historic") as historic:
        answer = historic.get("/api/v1/rows")
        assert answer.headers["content-type"] == HTML
        assert answer.json()["args"][2] == {"name": "objectId", "required": True, "description": "name"}


def test_errors_are_worded_as_clients_compare_them(api: Any) -> None:
    answer = api.post("/api/v1/rows", json={})
    assert answer.status_code == 400
    assert answer.text == repr(
        {"status": "error", "text": "A value for `objectId` is required. See https://api.ztf.fink-portal.org \n"}
    )
    answer = api.post("/api/v1/rows", json={**GIVEN, "output-format": "fits"})
    assert text_of(answer) == repr(
        "Output format `fits` is not supported. Choose among json, csv, votable, or parquet\n"
    )
    assert text_of(api.get("/api/v1/fail?how=refused")) == "ValueError('no <b>such</b> thing')"


def test_the_historic_generation_calls_everything_html() -> None:
    with client_of(ROUTES, generation="historic") as api:
        answer = api.get("/api/v1/rows", params=GIVEN)
        assert answer.headers["content-type"] == HTML
        assert "sandbox" in answer.headers["content-security-policy"]
        assert len(answer.json()) == 2
        wrong = api.get("/api/v1/rows", params={**GIVEN, "output-format": "fits"})
        assert "Choose among json, csv, or parquet\\n" in text_of(wrong)


@pytest.mark.parametrize(
    ("how", "status"), [("refused", 400), ("gone", 404), ("away", 503), ("damaged", 500), ("bug", 500)]
)
def test_a_failure_is_a_sentence_without_a_trace(
    api: Any, how: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api.get("/api/v1/fail", params={"how": how})
    assert answer.status_code == status
    sentence = text_of(answer)
    for secret in ("secret", "Traceback", "KeyError", "127.0.0.1"):
        assert secret not in sentence
    assert (answer.headers.get("retry-after") is not None) == (how == "away")


def test_unknown_paths_and_methods(api: Any) -> None:
    answer = api.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert "There is no such route" in text_of(answer)
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"):
        answer = api.request(method, "/api/v1/rows")
        assert answer.status_code == 405
        assert "method" in text_of(answer)
    assert api.post("/api/v1/list").status_code == 405


def test_options_are_answered_everywhere(api: Any) -> None:
    for path in ("/api/v1/rows", "/api/v1/nothing"):
        answer = api.options(path)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-headers"] == "Content-Type,Authorization"
        assert answer.headers["access-control-allow-methods"] == "GET,PUT,POST,DELETE,OPTIONS"


def test_large_requests_are_refused(api: Any) -> None:
    answer = api.post("/api/v1/rows", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413
    assert "larger than 1 MiB" in text_of(answer)

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 100_000

    assert api.post("/api/v1/rows", content=endless()).status_code == 413
    assert api.post("/api/v1/rows", content=b"{}", headers={"content-length": "nonsense"}).status_code == 400
    answer = api.get("/api/v1/rows?objectId=" + "x" * 40_000)
    assert answer.status_code == 414
    assert "by POST" in text_of(answer)


def test_a_route_without_files_takes_no_large_body() -> None:
    upload = Route("take", "Take", lambda query: Text(str(len(query["file"]))), (Argument("file", "f", "upload"),))
    with client_of([*ROUTES, replace(upload, has_rows=False)]) as api:
        large = b'{"a": "' + b" " * (2 * 1024 * 1024) + b'"}'
        answer = api.post("/api/v1/rows", content=large)
        assert answer.status_code == 413
        assert "larger than 1 MiB" in text_of(answer)
        assert api.post("/api/v1/take", files={"file": b"x" * 3_000_000}).text == "3000000"
        answer = api.post("/api/v1/take", content=b'{"file": "' + b"A" * (33 * 1024 * 1024) + b'"}')
        assert answer.status_code == 413
        assert "multipart" in text_of(answer)


def test_a_request_that_takes_too_long_is_ended() -> None:
    with client_of(ROUTES, seconds=0.5) as api:
        begun = time.monotonic()
        answer = api.get("/api/v1/slow?seconds=3")
        assert answer.status_code == 504
        assert "more than 0.5 seconds" in text_of(answer)
        assert time.monotonic() - begun < 3
        assert api.get("/api/v1/slow?seconds=0").status_code == 200


def test_a_full_server_says_so_and_recovers() -> None:
    async def ask_many() -> list[Any]:
        transport = httpx.ASGITransport(app=client_of(ROUTES, threads=1, seconds=20).app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as api:
            answers = await asyncio.gather(*(api.get("/api/v1/slow?seconds=0.2") for _ in range(12)))
            return [*answers, await api.get("/api/v1/slow?seconds=0")]

    *answers, last = asyncio.run(ask_many())
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 5  # one at work, four in the line
    assert statuses.count(503) == 7
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"]
    assert "busy" in text_of(refused)
    assert last.status_code == 200


def test_heavy_requests_leave_threads_to_the_others() -> None:
    release = threading.Event()

    def work(query: Query) -> Text:
        release.wait(10)
        return Text("done")

    heavy = Route("heavy", "Heavy", work, has_rows=False, answers_bare_get=True, cost=10)

    async def ask() -> list[Any]:
        transport = httpx.ASGITransport(app=client_of([heavy, *ROUTES], threads=4).app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as api:
            first = asyncio.ensure_future(api.get("/api/v1/heavy"))
            await asyncio.sleep(0.1)
            others = [await api.get("/api/v1/heavy"), await api.get("/api/v1/rows", params=GIVEN)]
            release.set()
            return [await first, *others, await api.get("/api/v1/heavy")]

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200, 503, 200, 200]
    assert answers[1].headers["retry-after"]


def test_large_answers_are_compressed_for_those_who_take_it() -> None:
    table = pa.table({"a": ["text"] * 100_000})
    route = Route("many", "Many", lambda _: Rows([table]), answers_bare_get=True)
    with client_of([route, *ROUTES]) as api:
        plain = api.get("/api/v1/many", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        packed = api.get("/api/v1/many", headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content == json.dumps([{"a": "text"}] * 100_000, separators=(",", ":")).encode()
        assert "content-encoding" not in api.get("/api/v1/many?output-format=parquet").headers
        assert "content-encoding" not in api.get("/api/v1/image").headers


def test_chunks_make_the_whole() -> None:
    pieces = [b"x" * 40_000, b"", b"y" * 70_000, b"z"]
    for compress in (False, True):
        chunks = Chunks(Reply(200, "x", {}, iter(pieces)), compress)
        found = []
        while True:
            chunk, is_last = chunks.next()
            found.append(chunk)
            if is_last:
                break
        content = b"".join(found)
        assert (gzip.decompress(content) if compress else content) == b"".join(pieces)


def test_a_file_has_a_harmless_name(api: Any) -> None:
    answer = api.get("/api/v1/image")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "attachment; filename=a_b__.png"


def test_the_token_reaches_routes_and_no_log(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert api.get("/api/v1/words", headers={"Authorization": "Bearer hush"}).text == "hush"
        assert api.get("/api/v1/words", headers={"X-Fink-Token": "hush"}).text == "hush"
    assert "hush" not in caplog.text


def test_quotas_and_keys(tmp_path: Any) -> None:
    key, digest = make_key()
    path = tmp_path / "keys.toml"
    path.write_text(entry_of("tom", digest, per_minute=2))
    with client_of(ROUTES, keys_file=str(path)) as api:
        assert api.get("/api/v1/rows").status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        assert [api.get("/api/v1/rows", headers=headers).status_code for _ in range(3)] == [200, 200, 429]
        answer = api.get("/api/v1/rows", headers=headers)
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert "quota" in text_of(answer)
        assert api.get("/health/live").status_code == 200


def test_health_follows_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink_broker.portal.health.FRESH_SECONDS", 0.0)
    store = MemoryStore()
    store.create_tables({"ztf": ["alert"]})
    with client_of(ROUTES, Archive(store, "ztf")) as api:
        assert api.get("/health").json() == {"alive": True, "ready": True, "archive": "answers"}
        store.away = True
        assert api.get("/health").status_code == 503
        assert api.get("/health/live").status_code == 200
        store.away = False
        assert api.get("/health").status_code == 200


def test_reading_ends_with_the_deadline() -> None:
    store = MemoryStore()
    store.create_tables({"ztf": ["alert"]})
    store.put("ztf", [(b"%05d" % number, {b"alert:row": b"x"}) for number in range(1000)])
    deadline = Deadline(10)
    archive = watched(Archive(store, "ztf"), deadline)
    scan = archive.store.scan("ztf", ALL_KEYS)
    next(scan)
    deadline.give_up()
    assert sum(1 for _ in _until_error(scan)) < 100
    with pytest.raises(ClientGone):
        archive.latest_alert("ZTF21abfmbix")


def _until_error(items: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from items
    except ClientGone:
        return
    pytest.fail("the scan went on to its end")


def test_the_clients_end_ends_the_work() -> None:
    seen = threading.Event()
    ended = threading.Event()

    def answer(query: Query) -> Rows:
        def tables() -> Iterator[pa.Table]:
            try:
                while True:
                    seen.set()
                    time.sleep(0.02)
                    yield TABLE.slice(0, 0)
            finally:
                ended.set()

        return Rows(tables())

    app = client_of([Route("endless", "Endless", answer, answers_bare_get=True)], seconds=30).app

    async def hang_up() -> None:
        messages = iter([{"type": "http.request"}])

        async def receive() -> Any:
            while not seen.is_set():
                await asyncio.sleep(0.01)
            return next(messages, {"type": "http.disconnect"})

        scope = {
            "type": "http", "method": "GET", "path": "/api/v1/endless", "raw_path": b"", "query_string": b"",
            "headers": [], "client": ("192.0.2.1", 1), "server": ("test", 80), "scheme": "http", "root_path": "",
        }  # fmt: skip
        await asyncio.wait_for(app(scope, receive, _swallow), 5)

    asyncio.run(hang_up())
    assert ended.wait(5)


async def _swallow(message: Any) -> None:
    assert message["type"] != "http.response.start"


def test_both_generations_answer_all_names() -> None:
    names = {route.name for route in all_routes()}
    for generation in ("current", "historic"):
        found = routes_of(generation)
        assert {route.name for route in found} == names
        assert len(found) == len(names)
