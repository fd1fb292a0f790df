"""Questions to the API, and what is said when they have no answer."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import traceback

import pytest
import requests
from conftest import Api, Reply, alert_row
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from tom_fink import api as api_module
from tom_fink import conf
from tom_fink.api import FinkError, ask

KEY = "key-that-nobody-sees"


def test_rows_come_with_their_numbers_intact(api: Api) -> None:
    api.answers["objects"] = [alert_row()]
    answer = ask("objects", {"objectId": "ZTF21abfmbix", "n": 3})
    assert answer.rows == [alert_row()]
    assert answer.rows[0]["i:candid"] == 1622215345315015012
    assert not answer.is_cut
    assert api.asked[0].arguments == {"objectId": "ZTF21abfmbix", "n": 3}
    assert api.asked[0].headers["User-Agent"].startswith("tom-fink/")
    assert "Authorization" not in api.asked[0].headers


def test_an_answer_that_was_cut_is_known(api: Api) -> None:
    api.answers["latests"] = Reply([], headers={"X-Fink-Truncated": "true"})
    assert ask("latests", {}).is_cut


def test_nan_is_nothing_and_compressed_answers_are_read(api: Api) -> None:
    body = gzip.compress(b'[{"i:magpsf": NaN, "i:jd": 1.5}]')
    api.answers["objects"] = Reply(body, headers={"Content-Encoding": "gzip"})
    assert ask("objects", {}).rows == [{"i:magpsf": None, "i:jd": 1.5}]


def test_the_key_is_sent_and_never_said(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api.answers["objects"] = []
    with override_settings(FINK_API_KEY=KEY):
        ask("objects", {})
        assert api.asked[0].headers["Authorization"] == f"Bearer {KEY}"
        api.answers["objects"] = Reply({"status": "error", "text": "unknown key"}, 401)
        with pytest.raises(FinkError, match=r"set FINK_API_KEY\. It says: unknown key") as refused:
            ask("objects", {})
    with override_settings(FINK_API_KEY=f"{KEY}\nX: y"), pytest.raises(FinkError, match="FINK_API_KEY has") as wrong:
        ask("objects", {})
    told = "".join(traceback.format_exception(refused.value) + traceback.format_exception(wrong.value))
    assert KEY not in told + caplog.text


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply({"status": "error", "text": "A value for `n` is required."}, 400), "(status 400): A value for `n` is"),
        (Reply(b"{'status': 'error', 'text': 'radius too big.\\n'}", 400), "(status 400): radius too big."),
        (
            Reply(b"{'status': 'error', 'text': ValueError(\"Invalid character at col 0 parsing angle 'x'\")}", 400),
            "Invalid character at col 0 parsing angle 'x'",
        ),
        (Reply(b"<html><h1>404</h1><p>Not Found</p></html>", 404), "(status 404): 404 Not Found"),
        (Reply({"message": "quota is used up"}, 429, {"Retry-After": "7"}), "try again in 7 s. quota is used up"),
        (Reply(b"", 503, {"Retry-After": "<b>"}), "is busy; try again later."),
        (Reply(b"{'status': 'error', 'text': 'fault 17'}", 500), "failed (status 500); try again later. It says: f"),
        (Reply(b"", 308, {"Location": "https://u:p@else.test/api/v1/objects?q=1"}), "https://else.test/api/v1/objects"),
        (Reply(b"", 302, {"Location": "/login"}), "sends on to http://127.0.0.1:"),
        (Reply(b"<html>portal</html>"), "did not answer with a list of alerts"),
        (Reply({"status": "ok"}), "did not answer with a list of alerts"),
        (Reply([1, 2]), "did not answer with a list of alerts"),
        (Reply(b"[" * 100_000), "did not answer with a list of alerts"),
    ],
)
def test_a_refusal_is_one_sentence(api: Api, reply: Reply, said: str) -> None:
    api.answers["objects"] = reply
    with pytest.raises(requests.HTTPError) as error:
        ask("objects", {})
    assert said in str(error.value)
    assert "u:p" not in str(error.value)
    assert "\n" not in str(error.value)


def test_what_others_wrote_is_harmless_in_a_page(api: Api) -> None:
    api.answers["objects"] = Reply({"text": "1 < 2 & <script>alert(1)</script> " + "x" * 1000}, 400)
    with pytest.raises(FinkError) as error:
        ask("objects", {})
    assert "<" not in str(error.value)
    assert len(str(error.value)) < 500


def test_nobody_at_home() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}"
        with override_settings(FINK_API_URL=address), pytest.raises(FinkError, match="cannot be reached") as error:
            ask("objects", {})
    assert "secret" not in "".join(traceback.format_exception(error.value))


def test_a_connection_that_breaks(api: Api) -> None:
    api.answers["objects"] = Reply(b"[{", headers={"Content-Length": "1000"})
    with pytest.raises(FinkError, match="cannot be reached"):
        ask("objects", {})


def test_silence_and_size_have_limits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(api_module, "SILENT_SECONDS", 0.2)
        with (
            override_settings(FINK_API_URL=f"http://127.0.0.1:{silent.getsockname()[1]}"),
            pytest.raises(FinkError, match="took too long"),
        ):
            ask("objects", {})
    monkeypatch.undo()
    api.answers["objects"] = [alert_row() for _ in range(10)]
    monkeypatch.setattr(api_module, "WHOLE_SECONDS", -1.0)
    with pytest.raises(FinkError, match="took too long"):
        ask("objects", {})
    monkeypatch.undo()
    monkeypatch.setattr(api_module, "LARGEST_ANSWER", 1000)
    with pytest.raises(FinkError, match="too large"):
        ask("objects", {})
    api.answers["objects"] = Reply(
        gzip.compress(json.dumps(["x" * 5000]).encode()), headers={"Content-Encoding": "gzip"}
    )
    with pytest.raises(FinkError, match="too large"):
        ask("objects", {})


def test_addresses_come_from_settings_then_environment_then_the_public_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FINK_API_URL", "FINK_PORTAL_URL", "FINK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert conf.api_url() == "https://api.fink-portal.org"
    assert conf.portal_url() == "https://fink-portal.org"
    assert conf.api_key() == ""
    monkeypatch.setenv("FINK_API_URL", "http://environment.test:32000/")
    monkeypatch.setenv("FINK_API_KEY", KEY)
    assert conf.api_url() == "http://environment.test:32000"
    assert conf.api_key() == KEY
    with override_settings(DATA_SERVICES={"Fink": {"api_url": "http://service.test"}}):
        assert conf.api_url() == "http://service.test"
        with override_settings(BROKERS={"Fink": {"api_url": "http://broker.test/api/v1/", "portal_url": "http://p/"}}):
            assert conf.api_url() == "http://broker.test"
            assert conf.portal_url() == "http://p"
            with override_settings(FINK_API_URL="http://setting.test/api/v1"):
                assert conf.api_url() == "http://setting.test"
    assert conf.object_link("ZTF21 a/b") == "https://fink-portal.org/ZTF21%20a%2Fb"


@pytest.mark.parametrize("address", ["nowhere", "ftp://api.test", "http://", "http://api.test:99999", "http://[api"])
def test_an_address_that_is_none_gets_a_sentence(address: str) -> None:
    with override_settings(FINK_API_URL=address):
        with pytest.raises(ImproperlyConfigured):
            conf.api_url()
        with pytest.raises(FinkError, match="FINK_API_URL must be an address such as"):
            ask("objects", {})
