"""A far end on the loopback that does as it is told, and alerts to tell it of."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fink_broker.alert.packet import write_datum
from fink_broker.notify.notice import Notice, read_notice
from fink_broker.notify.template import Template
from fink_broker.notify.webhook import DEFAULT_TEXT, Webhook

TOPIC = "fink_sn_candidates_ztf"

SCHEMA = {
    "type": "record",
    "name": "topLevelRecord",
    "fields": [
        {"name": "objectId", "type": ["string", "null"]},
        {"name": "candid", "type": ["long", "null"]},
        {
            "name": "candidate",
            "type": [
                {
                    "type": "record",
                    "name": "candidate",
                    "namespace": "topLevelRecord",
                    "fields": [
                        *({"name": n, "type": ["double", "null"]} for n in ("jd", "magpsf", "sigmapsf", "ra", "dec")),
                        {"name": "fid", "type": ["int", "null"]},
                    ],
                },
                "null",
            ],
        },
        {"name": "finkclass", "type": ["string", "null"]},
        {"name": "cutoutScience", "type": ["bytes", "null"]},
    ],
}
KEY = json.dumps(SCHEMA).encode()


def packet(number: int, **changes: Any) -> bytes:
    """Return the bare datum of an alert."""
    candidate = {"jd": 2460000.5, "magpsf": 18.256, "sigmapsf": 0.1, "ra": 150.1234567, "dec": -5.5, "fid": 1}
    record = {
        "objectId": f"ZTF24{number:07d}",
        "candid": 2_500_000_000_000_000_000 + number,
        "candidate": candidate | changes.pop("candidate", {}),
        "finkclass": "SN candidate",
        "cutoutScience": b"\x1f\x8b" * 500,
    } | changes
    return write_datum(record, SCHEMA)


def headers(number: int) -> list[tuple[str, bytes]]:
    """Return the headers the broker gives that alert."""
    candid = str(2_500_000_000_000_000_000 + number).encode()
    return [("candid", candid), ("objectId", f"ZTF24{number:07d}".encode()), ("filter", b"sn_candidates")]


def notice(number: int, *, sent: float | None = None, topic: str = TOPIC, **changes: Any) -> Notice:
    """Return an alert as the notifier holds it."""
    place = topic, number % 3, number
    sent = time.time() if sent is None else sent
    return read_notice(KEY, packet(number, **changes), headers(number), place=place, sent=sent)


def webhook(url: str = "http://127.0.0.1:1/", **changes: Any) -> Webhook:
    """Return a webhook of kind json unless told otherwise."""
    keys = {"name": "test", "kind": "json", "topics": (TOPIC,), "template": Template(DEFAULT_TEXT)}
    return Webhook(**keys | {"per_minute": 6000, "url": url} | changes)


@dataclass
class Answer:
    """What the far end answers.

    ``cut``: it hangs up instead, after it has read the request. ``delay``: only after so many seconds. ``drip``: byte
    after byte of an endless body.
    """

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    drip: bool = False


class FarEnd:
    """An HTTP server whose next answers are made by a function of the number of the request."""

    def __init__(self, behave: Callable[[int], Answer] = lambda _: Answer()) -> None:
        self.behave = behave
        #: (seconds of a monotonic clock, body) of every request, and the bodies of those that were accepted
        self.asked: list[tuple[float, dict[str, Any]]] = []
        self.accepted: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        far_end = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with far_end.lock:
                    number = len(far_end.asked)
                    far_end.asked.append((time.monotonic(), content))
                    answer = far_end.behave(number)
                    if answer.status < 300 and not answer.cut and not answer.delay:
                        far_end.accepted.append(content)
                time.sleep(answer.delay)
                if not answer.cut:
                    self._answer(answer)
                self.close_connection = True

            def _answer(self, answer: Answer) -> None:
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    if not answer.drip:
                        self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                    while answer.drip:
                        self.wfile.write(b".")
                        time.sleep(0.05)
                except OSError:
                    pass  # it was left

            def log_message(self, *_: object) -> None:
                """Keep the output of tests clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/T0SECRET/B0SECRET/verysecretword"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def told(self) -> list[str]:
        """Return the identities of all alerts in what was accepted, in order."""
        with self.lock:
            return [f"{alert['topic']} {alert['candid']}" for post in self.accepted for alert in post["alerts"]]


def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait for a condition; fail with its description if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.02)
