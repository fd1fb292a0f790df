"""The portal as a Flask application: routing, headers, the API beside it."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flask import Request
from flask.testing import FlaskClient

from fink_broker.config import Config
from fink_broker.portal.client import ApiError
from fink_broker.portal.web import app as app_module
from fink_broker.portal.web import routing
from fink_broker.portal.web.api import Api, Kept
from fink_broker.portal.web.app import create_portal
from fink_broker.portal.web.faults import is_moderate
from fink_broker.portal.web.fits.jobs import Jobs
from fink_broker.portal.web.site import Site, Visit


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    config = Config.model_validate({"storage": {"state": str(tmp_path)}, "api": {"port": 1024}})
    return Site(config, Api("http://127.0.0.1:1", transport=httpx.MockTransport(away)), Jobs(tmp_path, 1, 1.0))


@pytest.fixture
def browser(site: Site) -> Iterator[FlaskClient]:
    with create_portal(site.config, site).server.test_client() as client:
        yield client


def test_every_inline_script_of_the_page_is_allowed_and_no_other(browser: FlaskClient) -> None:
    answer = browser.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    scripts = re.findall(r"<script(?![^>]*src=)(?![^>]*json)[^>]*>(.*?)</script>", answer.text, re.DOTALL)
    assert scripts
    for script in scripts:
        assert b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_nothing_is_loaded_from_elsewhere(browser: FlaskClient) -> None:
    page = browser.get("/").text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


def test_scripts_are_compressed_once_for_whoever_takes_it(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = re.findall(r'src="(/_dash-component-suites/[^"]*renderer[^"]*js)"', browser.get("/").text)[0]
    asked: list[bytes] = []

    def compress(content: bytes) -> tuple[bytes, int]:
        asked.append(content)
        return gzip.compress(content), 1

    monkeypatch.setattr(app_module, "_COMPRESSED", Kept())
    monkeypatch.setattr(app_module, "_compressed", compress)
    plain = browser.get(script)
    for arguments in ("", "?x=1", "?x=2"):
        packed = browser.get(script + arguments, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == plain.data
    assert len(asked) == 1


def test_an_api_that_is_away_is_said(browser: FlaskClient) -> None:
    assert browser.get("/health/live").status_code == 200
    assert browser.get("/health/ready").status_code == 503
    answer = browser.get("/api/v1/objects?objectId=ZTF21abfmbix")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def callback(**changes: object) -> dict[str, object]:
    """Return what a browser sends to have the page shown, changed."""
    values = {"pathname": changes.pop("pathname", "/about"), "search": changes.pop("search", "")}
    return {
        "output": "..page.children...visit-title.data..",
        "outputs": [{"id": "page", "property": "children"}, {"id": "visit-title", "property": "data"}],
        "inputs": [{"id": "address", "property": name, "value": value} for name, value in values.items()],
        "changedPropIds": ["address.pathname"],
        **changes,
    }


@pytest.mark.parametrize("changes", [{}, {"pathname": 5}, {"pathname": {}}, {"search": ["a"]}, {"pathname": None}])
def test_a_page_comes_for_any_address(browser: FlaskClient, changes: dict[str, object]) -> None:
    assert browser.post("/_dash-update-component", json=callback(**changes)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"a": 1}, [], "text", callback(output="nothing.children"), callback(output=[]), callback(inputs=[]),
        callback(inputs=[5, {}]), callback(inputs="ab"), callback(changedPropIds=5), callback(outputs=5),
        callback(state=[{"id": "a", "property": "b"}]),
    ],
)  # fmt: skip
def test_forged_callbacks_are_refused_without_a_trace(
    browser: FlaskClient, caplog: pytest.LogCaptureFixture, body: object
) -> None:
    assert (
        browser.post("/_dash-update-component", data=json.dumps(body), content_type="application/json").status_code
        == 400
    )
    assert not caplog.records


def posted(browser: FlaskClient, body: str) -> int:
    return browser.post("/_dash-update-component", data=body, content_type="application/json").status_code


@pytest.mark.parametrize("body", ["[" * 200_000, '["' + '\\"' * 100_000])
def test_what_cannot_be_read_is_refused_without_a_trace(
    browser: FlaskClient, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    assert posted(browser, body) == 400
    assert not caplog.records


def test_what_would_fill_the_memory_is_not_read(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(request: Request, **how: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Request, "get_json", read)
    assert posted(browser, '{"a":[' + "[]," * 600_000 + "[]]}") == 400
    assert posted(browser, "[" + "1," * 600_000 + "1]") == 400


def test_bodies_are_bounded_and_the_largest_of_pages_is_read(browser: FlaskClient) -> None:
    def status(name: str) -> int:
        return browser.post("/_dash-update-component", json=callback(pathname=name)).status_code

    assert status('[{,\n"' * 1_000_000) == 200  # texts may say what they want
    assert status("a" * (17 << 20)) == 413


def test_brackets_in_texts_do_not_count() -> None:
    assert is_moderate(b'{"a": "' + b'[\\"{,' * 600_000 + b'"}')
    assert is_moderate(b'"' + b"," * 600_000)
    assert not is_moderate(b'"", ' * 600_000)


@pytest.mark.parametrize(
    "changes", [{"pathname": "/abc\ud800"}, {"search": "?q=\ud800"}, {"search": "?action=class&class=\udfffx"}]
)
def test_halves_of_characters_end_in_a_page(
    browser: FlaskClient, caplog: pytest.LogCaptureFixture, changes: dict[str, object]
) -> None:
    assert browser.post("/_dash-update-component", json=callback(**changes)).status_code == 200
    assert not caplog.records


def test_a_name_that_cannot_be_sent_is_refused(site: Site) -> None:
    for ask in (site.api.rows, site.api.document, site.api.file):
        with pytest.raises(ApiError, match="characters that no name has") as refused:
            ask("objects", objectId="\ud800")
        assert refused.value.status == 400


def test_a_page_that_cannot_be_found_for_a_fault_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(site: Site, visit: Visit) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(routing, "find", fail)
    assert "Something went wrong" in str(routing.page_of(site, Visit("/abc"))[0])


def test_files_that_are_not_there_are_not_logged(browser: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("nothing/a.js", "dash/nothing.js", "dash/../../a.js"):
        assert browser.get(f"/_dash-component-suites/{path}").status_code == 404
    assert not caplog.records


def test_a_callback_that_fails_is_logged_once(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(site: Site, visit: Visit) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(routing, "page_of", fail)
    with create_portal(site.config, site).server.test_client() as client, caplog.at_level(logging.ERROR):
        answer = client.post("/_dash-update-component", json=callback())
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert len(caplog.records) == 1


def test_objects_are_found_by_name_in_any_case(site: Site) -> None:
    page, visit = routing.find(site, Visit("/ztf21ABFMBIX"))
    assert visit.path == "/ZTF21abfmbix"
    assert page.title == "{object_id} : Fink Science Portal"


@pytest.mark.parametrize("path", ["/nothing", "/ZTF21<script>", "/../../etc/passwd", "/" + "a" * 10_000, "/%00"])
def test_any_other_path_leads_home(site: Site, path: str) -> None:
    assert routing.find(site, routing.visit_of(path, ""))[0].path == "/"


def test_a_page_whose_api_is_away_says_so(site: Site) -> None:
    content, _ = routing.page_of(site, Visit("/ZTF21abfmbix"))
    assert "does not answer" in str(content)


def test_answers_are_kept_for_a_while_and_failures_are_not() -> None:
    asked: list[int] = []

    def ask() -> tuple[int, int]:
        asked.append(1)
        if len(asked) == 1:
            raise ApiError("away")
        return len(asked), 10

    kept = Kept(seconds=60.0)
    with pytest.raises(ApiError):
        kept.get("a", ask)
    assert kept.get("a", ask) == kept.get("a", ask) == 2
    assert Kept(seconds=0.0).get("a", ask) == 3


def test_what_is_large_is_not_kept_and_old_answers_go() -> None:
    kept = Kept(answers=2, largest=100)
    assert kept.get("large", lambda: (1, 101)) == 1
    assert kept.get("large", lambda: (2, 101)) == 2
    for name in "abc":
        kept.get(name, lambda: (1, 1))
    assert kept.get("a", lambda: (2, 1)) == 2
    assert kept.get("c", lambda: (2, 1)) == 1


def test_all_that_is_kept_together_is_bounded() -> None:
    kept = Kept(together=100)
    for name in "abc":
        kept.get(name, lambda: (1, 40))
    assert kept.get("b", lambda: (2, 40)) == kept.get("c", lambda: (2, 40)) == 1
    assert kept.get("a", lambda: (2, 40)) == 2


def test_a_file_is_sent_as_a_form() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200 if b"good" in request.content else 400, text="{'status': 'error', 'text': 'No map.'}")

    api = Api("http://127.0.0.1:1", transport=httpx.MockTransport(answer))
    assert api.send_file("skymap", "bayestar", b"good", 5.0, credible_level=0.9, n=None).startswith(b"{")
    assert asked[0].url.path == "/api/v1/skymap"
    assert b'name="credible_level"\r\n\r\n0.9' in asked[0].content
    assert b'name="bayestar"; filename="bayestar"' in asked[0].content
    assert b'name="n"' not in asked[0].content
    with pytest.raises(ApiError, match="No map"):
        api.send_file("skymap", "bayestar", b"bad", 5.0)
