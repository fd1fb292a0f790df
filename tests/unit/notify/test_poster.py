"""One request to a far end that misbehaves: what comes of it, in time, and without the address."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import threading
import time
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.notify.far_end import Answer, FarEnd, webhook

from fink_broker.notify.poster import Outcome, Poster
from fink_broker.notify.scrub import scrub

URL = "https://user:hiddenpassword@hooks.example.org:8443/services/T0SECRET/B0%2FSECRET/word?token=abcdef123"


def post(far_end: FarEnd, answer: Answer, kind: str = "json") -> Outcome:
    far_end.behave = lambda _: answer
    return Poster(webhook(far_end.url, kind=kind), 1.0, 0.5).post(b'{"alerts": []}')


@pytest.mark.parametrize("kind", ["json", "slack"])
@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_good_status_is_acceptance(far_end: FarEnd, kind: str, status: int) -> None:
    body = b"" if status == 204 else b"ok"
    assert post(far_end, Answer(status, body), kind) == Outcome("accepted")


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"ok": true, "result": {}}', "accepted"),
        (b'{"ok":true,"result":{"text":"' + b"x" * 40_000 + b'"}}', "accepted"),
        (b'{"ok": false, "description": "chat not found"}', "refused"),
        (b'{"ok": "yes"}', "refused"),
        (b'{"ok": tr', "later"),
        (b"[1]", "later"),
        (b"welcome", "later"),
        (b"<html>please log in</html>", "later"),
    ],
)
def test_telegram_has_to_say_ok(far_end: FarEnd, body: bytes, result: str) -> None:
    assert post(far_end, Answer(200, body), "telegram").result == result


def test_a_page_of_a_proxy_is_no_acceptance(far_end: FarEnd) -> None:
    assert post(far_end, Answer(200, b"\n<!DOCTYPE html>"), "slack").result == "later"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_what_time_may_mend(far_end: FarEnd, status: int) -> None:
    outcome = post(far_end, Answer(status, b"down"))
    assert (outcome.result, outcome.reason, outcome.asked_seconds) == ("later", f"HTTP {status}: down", None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_it_may_not(far_end: FarEnd, status: int) -> None:
    assert post(far_end, Answer(status, b"no_service")) == Outcome("refused", f"HTTP {status}: no_service")


def test_retry_after(far_end: FarEnd) -> None:
    assert post(far_end, Answer(429, headers={"Retry-After": "17"})).asked_seconds == 17
    soon = format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60))
    assert 55 < post(far_end, Answer(503, headers={"Retry-After": soon})).asked_seconds <= 60
    told = b'{"ok": false, "parameters": {"retry_after": 9}}'
    assert post(far_end, Answer(429, told), "telegram").asked_seconds == 9
    for odd in ("soon", "-5", "1e400", "²"):
        far_end.behave = lambda _, odd=odd: Answer(429, headers={"Retry-After": odd.encode().decode("latin-1")})
        assert Poster(webhook(far_end.url)).post(b"{}").asked_seconds in (None, 0.0)
    for body in (
        b'{"parameters": []}',
        b'{"parameters": {"retry_after": "x"}}',
        b'{"parameters": {"retry_after": -1}}',
    ):
        assert post(far_end, Answer(429, body)).asked_seconds is None


def test_redirects_are_not_followed(far_end: FarEnd) -> None:
    other = FarEnd()
    for status in (301, 302, 303, 307, 308):
        outcome = post(far_end, Answer(status, headers={"Location": other.url}))
        assert outcome.result == "refused"
        assert "redirects" in outcome.reason
    assert other.asked == []
    other.close()


def test_a_slow_far_end_is_left_in_time(far_end: FarEnd) -> None:
    started = time.monotonic()
    assert post(far_end, Answer(delay=3)) == Outcome("later", "no answer within 0.5 s")
    assert post(far_end, Answer(drip=True)) == Outcome("accepted"), "the status has come"
    assert time.monotonic() - started < 2.9


def test_a_cut_connection(far_end: FarEnd) -> None:
    assert post(far_end, Answer(cut=True)).result == "later"


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = Poster(webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/verysecretword")).post(b"{}")
    assert outcome == Outcome("later", "no connection, or it broke off (connection refused)")


def test_only_the_beginning_of_an_answer_is_repeated(far_end: FarEnd) -> None:
    assert len(post(far_end, Answer(400, b"x" * 1_000_000)).reason) < 300


def test_an_answer_that_repeats_the_address_is_scrubbed(far_end: FarEnd) -> None:
    path = far_end.url.partition("/services")[2]
    outcome = post(far_end, Answer(404, f"no /services{path} here, and no verysecretword \x1b[31m".encode()))
    assert "SECRET" not in outcome.reason
    assert "verysecretword" not in outcome.reason
    assert "\x1b" not in outcome.reason


def test_a_certificate_nobody_vouches_for(tmp_path: Path) -> None:
    pair = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*command, "-keyout", pair[0], "-out", pair[1]], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair[1], pair[0])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    outcome = Poster(webhook(f"https://localhost:{server.server_port}/verysecretword")).post(b"{}")
    server.shutdown()
    server.server_close()
    assert outcome == Outcome("later", "its certificate cannot be verified")


@pytest.mark.parametrize(
    "text",
    [
        URL,
        "Max retries exceeded with url: /services/T0SECRET/B0%2FSECRET/word?token=abcdef123 (Caused by …)",
        "B0/SECRET and T0SECRET and abcdef123 and hiddenpassword",
    ],
)
def test_scrubbed(text: str) -> None:
    shown = scrub(text, URL)
    assert not any(
        secret in shown for secret in ("T0SECRET", "B0%2FSECRET", "B0/SECRET", "abcdef123", "hiddenpassword")
    )


def test_what_is_no_secret_stays() -> None:
    assert scrub("hooks.example.org said: not found", URL) == "hooks.example.org said: not found"


@given(st.text(min_size=6, max_size=30, alphabet=st.characters(codec="ascii", categories=("L", "N"))))
def test_any_secret_in_a_path_is_scrubbed(secret: str) -> None:
    assert secret not in scrub(f"a {secret} b/{secret}/c", f"https://example.org/x/{secret}").replace("***", "")
