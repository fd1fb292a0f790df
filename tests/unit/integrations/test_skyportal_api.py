"""Requests: repeated until answered, never with the token in sight, ended at once when told to stop."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fink_skyportal import api as api_module
from fink_skyportal.api import SkyPortal
from fink_skyportal.errors import Refused, Stopped, TokenRefused, WrongAddress
from fink_skyportal.pace import Pace
from skyportal_posts import client, without_pauses
from skyportal_server import SkyPortalServer

GOOD = (200, {}, b'{"status": "success", "data": 42}')


class Scripted:
    """A web server that gives the answers it was told to, in turn, the last again and again."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        self.answers, self.asked, self.headers = list(answers), [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append(f"{self.command} {self.path}")
                outer.headers.append(dict(self.headers))
                status, headers, body = outer.answers[0] if len(outer.answers) == 1 else outer.answers.pop(0)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Iterator[Callable[..., tuple[SkyPortal, Scripted]]]:
    """Give a function that starts a scripted server and a client of it."""
    without_pauses(monkeypatch)
    started: list[tuple[SkyPortal, Scripted]] = []

    def start(*answers: tuple[int, dict[str, str], bytes]) -> tuple[SkyPortal, Scripted]:
        server = Scripted(*answers)
        api = SkyPortal(server.url, "secret-token", Pace(None), threading.Event(), said.append)
        started.append((api, server))
        return api, server

    yield start
    for api, server in started:
        api.close()
        server.server.shutdown()
        server.server.server_close()


def error(status: int, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, headers, b'{"status": "error", "message": "It says secret-token.", "data": {}}'


class TestAnswers:
    def test_data_and_header(self, asking: Callable[..., tuple[SkyPortal, Scripted]]) -> None:
        api, server = asking(GOOD)
        assert (api.get("/api/groups"), api.post("/api/groups", {"name": "Fink"})) == (42, 42)
        assert server.headers[0]["Authorization"] == "token secret-token"
        assert api.requests == {"GET groups": 1, "POST groups": 1}

    def test_netrc_does_not_come_before_the_token(
        self,
        asking: Callable[..., tuple[SkyPortal, Scripted]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password other")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        api, server = asking(GOOD)
        api.get("/api/groups")
        assert server.headers[0]["Authorization"] == "token secret-token"

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_refused(self, asking: Callable[..., tuple[SkyPortal, Scripted]], status: int) -> None:
        api, server = asking(error(status))
        with pytest.raises(Refused) as refused:
            api.post("/api/sources", {"id": "ZTF23aaaaaaa"})
        assert str(refused.value) == f"POST /api/sources: {status} It says ***."
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("call", "answer", "right"),
        [
            ("annotations", "Missing permission: Annotate", "Annotate"),
            ("annotations", "HTTP 403: Forbidden", "Annotate"),
            ("classification", "Forbidden", "Classify"),
            ("candidates", "HTTP 403: Forbidden", "Upload data"),
            ("annotations", "Cannot find or access annotation with ID 5.", ""),
            ("candidates", "Insufficient permissions for this object.", ""),
        ],
    )
    def test_right_that_is_missing_and_403_about_one_object(
        self, asking: Callable[..., tuple[SkyPortal, Scripted]], call: str, answer: str, right: str
    ) -> None:
        body = json.dumps({"status": "error", "message": answer, "data": {}}).encode()
        api, _ = asking((403, {}, body))
        with pytest.raises(Refused) as refused:
            api.post("/api/sources/ZTF23aaaaaaa/annotations" if call == "annotations" else f"/api/{call}", {})
        assert getattr(refused.value, "right", "") == right

    def test_too_large_for_a_proxy(self, asking: Callable[..., tuple[SkyPortal, Scripted]]) -> None:
        api, server = asking((413, {}, b"<html>413 Request Entity Too Large</html>"))
        with pytest.raises(Refused, match="413 The request is too large"):
            api.put("/api/photometry", {})
        assert len(server.asked) == 1

    def test_token_refused(self, asking: Callable[..., tuple[SkyPortal, Scripted]]) -> None:
        api, _ = asking(error(401))
        with pytest.raises(TokenRefused, match="does not accept the token"):
            api.get("/api/groups")

    def test_sent_elsewhere(self, asking: Callable[..., tuple[SkyPortal, Scripted]]) -> None:
        api, _ = asking((301, {"Location": "https://skyportal.example.org/api/groups"}, b""))
        with pytest.raises(WrongAddress, match=r"https://skyportal\.example\.org"):
            api.post("/api/groups", {})

    def test_no_address(self) -> None:
        with (
            SkyPortal("http://", "secret-token", Pace(None), threading.Event(), str) as api,
            pytest.raises(WrongAddress),
        ):
            api.get("/api/groups")

    def test_what_is_no_json_is_not_sent(self, asking: Callable[..., tuple[SkyPortal, Scripted]]) -> None:
        api, server = asking(GOOD)
        with pytest.raises(Refused, match="not sent"):
            api.post("/api/groups", {"ra": float("nan")})
        assert server.asked == []

    @pytest.mark.parametrize(
        ("path", "call"),
        [
            ("/api/sources/ZTF23aaaaaaa/annotations/7", "GET annotations"),
            ("/api/sources", "GET sources"),
            ("/api/groups/4/streams", "GET streams"),
            ("/api/classification/3", "GET classification"),
        ],
    )
    def test_counted_by_call(self, asking: Callable[..., tuple[SkyPortal, Scripted]], path: str, call: str) -> None:
        api, _ = asking(GOOD)
        api.get(path)
        assert list(api.requests) == [call]


class TestRepeats:
    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_until_it_is_answered(
        self, asking: Callable[..., tuple[SkyPortal, Scripted]], said: list[str], status: int
    ) -> None:
        api, server = asking(*[error(status)] * 8, GOOD)
        assert api.post("/api/sources", {}) == 42
        assert len(server.asked) == 9
        assert said == [
            f"Waiting for SkyPortal at {server.url}: it answers {status}.",
            f"SkyPortal at {server.url} is back.",
        ]

    def test_answer_of_something_else(self, asking: Callable[..., tuple[SkyPortal, Scripted]]) -> None:
        """A proxy that shows a page of its own while SkyPortal starts."""
        page = b"<html>Be patient</html>"
        api, _ = asking((200, {}, page), (404, {}, page), (200, {}, b"[]"), GOOD)
        assert api.get("/api/groups") == 42

    def test_pauses_grow_and_then_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with SkyPortalServer() as server, client(server) as api:
            pauses: list[float] = []
            api.stop.wait = pauses.append
            server.faults.error_next, server.faults.error_status = 8, 503
            api.get("/api/groups")
        for pause, expected in zip(pauses, (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
            assert 0.75 * expected <= pause <= 1.25 * expected

    @pytest.mark.parametrize("form", [str, lambda seconds: formatdate(time.time() + seconds, usegmt=True)])
    def test_asked_pause(self, form: Callable[[int], str]) -> None:
        with SkyPortalServer() as server, client(server) as api:
            pauses: list[float] = []
            api.stop.wait = pauses.append
            api.pace.slow_down = pauses.append
            server.faults.too_many_next = 1
            server._retry_after = lambda: {"Retry-After": form(1000)}
            api.get("/api/groups")
        assert [900 <= pause <= 1000 for pause in pauses] == [True, True]

    def test_down_and_back(self, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
        without_pauses(monkeypatch)
        with SkyPortalServer() as server, client(server, say=said.append) as api:
            server.go_down()
            api.say = lambda text: (said.append(text), "Waiting" in text and server.come_back())
            assert "all_groups" in api.get("/api/groups")
        assert said[0] == f"Waiting for SkyPortal at {server.url}: connection refused."

    def test_request_that_may_not_be_repeated_is_looked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        without_pauses(monkeypatch)
        with SkyPortalServer() as server, client(server) as api:
            looked = iter([None, {"id": 5}])
            server.faults.cut_before_next, server.faults.calls = 5, {"POST /api/streams"}
            assert api.post("/api/streams", {"name": "Fink"}, lambda: next(looked)) == {"id": 5}
            assert api.requests["POST streams"] == 2

    def test_429_is_said_once_and_does_not_count_as_away(
        self, monkeypatch: pytest.MonkeyPatch, said: list[str]
    ) -> None:
        without_pauses(monkeypatch)
        with SkyPortalServer() as server, client(server, say=said.append) as api:
            for _ in range(2):
                server.faults.too_many_next = 3
                api.get("/api/groups")
        assert said == [f"SkyPortal at {server.url} answers 429, too many requests with this token: slowing down."]

    def test_after_429_it_was_not_carried_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        without_pauses(monkeypatch)
        with SkyPortalServer() as server, client(server) as api:
            server.faults.too_many_next = 2
            assert api.post("/api/streams", {"name": "Fink"}, lambda: pytest.fail("looked"))["id"] > 0

    def test_request_that_fails_alone_is_given_up(
        self, asking: Callable[..., tuple[SkyPortal, Scripted]], said: list[str]
    ) -> None:
        api, server = asking(*[error(500)] * 10, GOOD)
        with pytest.raises(Refused, match="500"):
            api.post("/api/candidates", {})
        assert server.asked[-2:] == ["POST /api/candidates", "GET /api/groups"]

    def test_request_is_not_given_up_while_all_fail(self, asking: Callable[..., tuple[SkyPortal, Scripted]]) -> None:
        api, server = asking(*[error(500)] * 40, GOOD)
        assert api.post("/api/candidates", {}) == 42
        assert server.asked.count("GET /api/groups") == 1


class TestStop:
    def test_pause_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api_module, "PAUSES_SECONDS", (3600.0,))
        with SkyPortalServer() as server, client(server) as api:
            server.faults.error_next = 1
            threading.Timer(0.05, api.stop.set).start()
            with pytest.raises(Stopped):
                api.get("/api/groups")

    def test_what_needs_no_pause_is_still_sent(self) -> None:
        with SkyPortalServer() as server, client(server) as api:
            api.stop.set()
            assert "all_groups" in api.get("/api/groups")
            api.leave.set()
            with pytest.raises(Stopped):
                api.get("/api/groups")


class TestToken:
    def test_is_nowhere_to_be_seen(
        self,
        asking: Callable[..., tuple[SkyPortal, Scripted]],
        said: list[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        texts = []
        for answers in ([error(401)], [error(400)], [error(503), error(503), error(429), GOOD], [(302, {}, b"")]):
            api, _ = asking(*answers)
            texts += [repr(api), str(api)]
            try:
                api.post("/api/sources", {"id": "x"})
            except (TokenRefused, Refused, WrongAddress) as caught:
                texts += [repr(caught), "".join(traceback.format_exception(caught))]
        assert "secret-token" not in "\n".join([*texts, *said, caplog.text])

    def test_password_in_the_address_is_not_shown(self) -> None:
        with SkyPortal("http://me:hidden@localhost:5000/", "t", Pace(None), threading.Event(), str) as api:
            assert api.shown_url == "http://localhost:5000"
            assert "hidden" not in repr(api)

    def test_password_in_an_address_that_is_none_is_not_shown(self) -> None:
        with (
            SkyPortal("http://me:hidden@:99999/", "t", Pace(None), threading.Event(), str) as api,
            pytest.raises(WrongAddress) as wrong,
        ):
            api.get("/api/groups")
        assert "hidden" not in str(wrong.value)
