"""A SkyPortal of the contract: its rules, rights and pace, with faults on request.

In a test: `with SkyPortalServer() as server:`, then `server.url`, `server.token`, `server.state`, `server.faults`. In a
process of its own: `python tests/skyportal_server.py --port 5000 --delay-ms 20`; `GET /counts` tells what it holds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from typing import Any, Self
from urllib.parse import urlsplit

from skyportal_rules.calls import SYSINFO, carry_out, find
from skyportal_rules.checks import Refusal, parsed_body
from skyportal_rules.faults import Busiest, Faults, Limit
from skyportal_rules.http import Cut, Listening
from skyportal_rules.state import RIGHTS, State, User

_TABLES = (
    "groups",
    "streams",
    "filters",
    "taxonomies",
    "objects",
    "sources",
    "candidates",
    "photometry",
    "annotations",
    "classifications",
    "thumbnails",
)


class SkyPortalServer:
    """A SkyPortal on the loopback, in threads of this process.

    Parameters
    ----------
    port : int
        0 for a free one.
    token, user : str
        A user who is there from the start, with this token.
    rights : frozenset of str
        What that user may do.
    whitelisted : bool
        Whether the limit of requests leaves him alone.
    instruments : tuple of str
        Names of the instruments.

    Attributes
    ----------
    state : State
        What is stored; take `lock` to read it while requests come in.
    faults : Faults
        What goes wrong.
    requests : Counter
        Requests by call, such as `POST /api/candidates`, with those that failed; `statuses` counts them by answer.
    refusals : list of tuple
        Call, status and message of each request refused by a rule (not by a fault).
    crashes : list of str
        Tracebacks of this server's own mistakes, answered with 500.
    """

    def __init__(
        self,
        port: int = 0,
        token: str = "token-of-the-tests",  # noqa: S107 - no secret
        user: str = "fink_bot",
        rights: frozenset[str] = RIGHTS,
        *,
        whitelisted: bool = True,
        instruments: tuple[str, ...] = ("CFH12k", "ZTF", "LSSTCam"),
    ) -> None:
        self.state, self.faults, self.lock = State(), Faults(), threading.RLock()
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.refusals: list[tuple[str, int, str]] = []
        self.crashes: list[str] = []
        self.token, self.is_ready = token, True
        self._limit, self._busiest = Limit(), Busiest()
        first = self.add_user(user, token, rights, whitelisted=whitelisted)
        self.state.add_group("Sitewide Group", {first.id})
        for name in instruments:
            self.state.add(self.state.instruments, {"name": name})
        self._listening: Listening | None = Listening(self.answer, port)
        self.port = self._listening.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_user(
        self, name: str, token: str, rights: frozenset[str] = RIGHTS, *, whitelisted: bool = True, groups: tuple = ()
    ) -> User:
        """Let in somebody else, as a member of some groups."""
        with self.lock:
            user = self.state.add_user(name, token, rights, whitelisted)
            for group in groups:
                self.state.groups[group]["members"].add(user.id)
            return user

    @property
    def most_in_a_second(self) -> int:
        return self._busiest.most

    def go_down(self) -> None:
        """Cut all connections and listen no more, until `come_back`."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.end()

    def come_back(self) -> None:
        """Listen again, at the same port."""
        if self._listening is None:
            self._listening = Listening(self.answer, self.port)

    def down_for(self, seconds: float) -> threading.Timer:
        """Go down, and come back after some time."""
        self.go_down()
        timer = threading.Timer(seconds, self.come_back)
        timer.daemon = True
        timer.start()
        return timer

    def close(self) -> None:
        self.go_down()

    def counts(self) -> dict[str, Any]:
        """Return how much there is of everything."""
        with self.lock:
            return {
                **{name: len(getattr(self.state, name)) for name in _TABLES},
                "requests": dict(self.requests),
                "statuses": {str(status): count for status, count in self.statuses.items()},
                "most_in_a_second": self.most_in_a_second,
            }

    def answer(self, method: str, target: str, token: str | None, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer to a request.

        Raises
        ------
        Cut
            If the connection is to be cut instead.
        """
        path, headers = urlsplit(target).path, {}
        if (method, path) == ("GET", "/counts"):
            return 200, headers, json.dumps(self.counts()).encode()
        if self.faults.slow_seconds:
            time.sleep(self.faults.slow_seconds)
        with self.lock:
            self._busiest.count()
            status, content, is_cut = self._outcome(method, path, token, body, headers)
        if is_cut:
            raise Cut
        return status, headers, json.dumps(content).encode()

    def _outcome(
        self, method: str, path: str, token: str | None, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any], bool]:
        """Return status and content of an answer, and whether the connection is cut instead of answering."""
        name, fault, status = f"{method} {path}", "", 200
        try:
            call, parts = find(method, path)
            name = call.name
            fault = self._fault(name, token)
            if fault == "cut_before":
                return 0, {}, True
            if fault == "error":
                raise Refusal("Something went wrong.", self.faults.error_status)
            if fault == "too_many":
                headers |= self._retry_after()
                raise Refusal("Too many requests.", 429)
            data = self._carried_out(call, parts, token, body)
            content = {"status": "success", "data": data, "version": "1.0"}
        except Refusal as refusal:
            status, content = refusal.status, {"status": "error", "message": refusal.message, "data": {}}
            if not fault:
                self.refusals.append((name, status, refusal.message))
        except Exception:
            status, content = 500, {"status": "error", "message": "The test's server is broken.", "data": {}}
            self.crashes.append(traceback.format_exc())
        finally:
            self.requests[name] += 1
        self.statuses[status] += 1
        return status, content, fault == "cut_after"

    def _fault(self, name: str, token: str | None) -> str:
        fault = self.faults.choose(name)
        user = self.state.users.get(token or "")
        is_limited = user is None or not user.is_whitelisted
        return "too_many" if is_limited and not fault and not self._limit.allows(token or "") else fault

    def _retry_after(self) -> dict[str, str]:
        seconds = self.faults.retry_after
        return {} if seconds is None else {"Retry-After": str(seconds)}

    def _carried_out(self, call: Any, parts: list[Any], token: str | None, body: bytes) -> Any:
        if call is SYSINFO:
            if not self.is_ready:
                raise Refusal("SkyPortal is loading.", 503)
            return {"gitlog": []}
        user = self.state.users.get(token or "")
        if user is None or self.faults.has_token_expired():
            raise Refusal("Credentials malformed; expected form token <token>, or the token is unknown.", 401)
        return carry_out(self.state, user, call, parts, parsed_body(body))


def main(arguments: list[str] | None = None) -> None:
    """Run until interrupted, then say what there is."""
    parser = argparse.ArgumentParser(description="A SkyPortal of the contract, on the loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--token", default="token-of-the-tests", help="a token that may do everything")
    parser.add_argument("--delay-ms", type=float, default=0, help="how long each answer takes")
    parser.add_argument("--limited", action="store_true", help="at most 5 requests a second, 10 at once")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with SkyPortalServer(options.port, options.token, whitelisted=not options.limited) as server:
        server.faults.slow_seconds = options.delay_ms / 1000
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        json.dump(server.counts(), sys.stdout)


if __name__ == "__main__":
    main()
