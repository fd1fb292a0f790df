"""The requests `fink demo` ends with: which alerts they ask for, and that a shell and the API take them as they are."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.config.model import ApiConfig, Config, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.service.example_requests import Example, Night, address, choose, examples, night_of
from fink_broker.service.ports import free_port

NIGHT = Night("ZTF18aaaaaaa", 1.5, -2.5, "SN candidate")


def alert(name: str, label: str | None, ra: float = 10.0, dec: float = -20.0) -> dict[str, object]:
    return {"objectId": name, "candidate": {"ra": ra, "dec": dec}, "finkclass": label}


def test_an_object_with_many_alerts_and_a_class_that_says_something() -> None:
    alerts = [
        alert("a", "Unknown"),
        alert("b", "RRLyr", 33.1234567, 44.7654321),
        alert("b", None),
        alert("c", "Unknown"),
    ]
    assert choose(alerts) == Night("b", 33.12346, 44.76543, "RRLyr")
    assert choose([alert("a", None)]) == Night("a", 10.0, -20.0, "Unknown")
    assert choose([{"objectId": "a", "candidate": {"ra": 1.0, "dec": 2.0}}]) == Night("a", 1.0, 2.0, "Unknown")
    assert choose([]) is None


@pytest.mark.parametrize("label", ["SN candidate", "(SIMBAD) RR*", 'it\'s "odd" & $HOME', "Candidate_EB*"])
def test_a_shell_hands_over_what_was_meant(label: str) -> None:
    config = Config(api=ApiConfig(host="127.0.0.1", port=32555))
    by_name, cone, latest = examples(config, Night("ZTF18aa&b c", 1.5, -2.5, label))

    url = urlsplit(shlex.split(by_name.curl)[-1])
    assert (url.netloc, url.path) == ("127.0.0.1:32555", "/api/v1/objects")
    assert parse_qs(url.query)["objectId"] == ["ZTF18aa&b c"]
    assert parse_qs(url.query)["columns"] == ["i:objectId,i:jd,i:fid,i:magpsf,d:classification"]

    for example, path in ((cone, "conesearch"), (latest, "latests")):
        command, _, url_word, header_flag, header, data_flag, data = shlex.split(example.curl)
        assert (command, header_flag, header, data_flag) == ("curl", "-H", "Content-Type: application/json", "-d")
        assert url_word == f"http://127.0.0.1:32555/api/v1/{path}"
        assert json.loads(data) == example.body
    assert (cone.body["ra"], cone.body["dec"]) == (1.5, -2.5)
    assert latest.body["class"] == label


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.0.0.1", "http://127.0.0.1:1234"), ("0.0.0.0", "http://127.0.0.1:1234"), ("::", "http://[::1]:1234")],  # noqa: S104 - nobody listens
)
def test_where_the_api_is_reached(host: str, reached: str) -> None:
    assert address(Config(api=ApiConfig(host=host, port=1234))) == reached


@pytest.fixture
def api() -> Iterator[tuple[Config, list[tuple[str, bytes]]]]:
    """Return the configuration of something that answers like the API, and what it has been asked."""
    asked: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append((self.path, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            self.send_response(400 if "conesearch" in self.path else 200)
            self.end_headers()
            self.wfile.write(b"i:objectId,i:jd\na,1\nb,2\n")

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Keep the output of tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Config(api=ApiConfig(port=server.server_port)), asked
    server.shutdown()
    server.server_close()


def test_each_request_is_tried(api: tuple[Config, list[tuple[str, bytes]]]) -> None:
    config, asked = api
    by_name, cone, latest = examples(config, NIGHT)
    assert by_name.count_rows() == 2
    assert latest.count_rows() == 2
    assert [path.partition("?")[0] for path, _ in asked] == ["/api/v1/objects", "/api/v1/latests"]
    assert json.loads(asked[1][1])["class"] == "SN candidate"
    with pytest.raises(ServiceError, match=r"The API did not answer `curl .*400"):
        cone.count_rows()


def test_an_api_that_is_away_is_told() -> None:
    with pytest.raises(ServiceError, match="See `fink logs api`"):
        Example("x", f"http://127.0.0.1:{free_port()}/").count_rows()


def test_alerts_of_the_latest_batches_are_asked_for(tmp_path: Path) -> None:
    config = Config(storage=StorageConfig(online=str(tmp_path)))
    table = AlertTable(Layout(str(tmp_path)).table("science"))
    table.create()
    assert night_of(config, 0) is None
    for number, name in enumerate(("old", "young")):
        staged = tmp_path / "science" / "_staging" / name / "night=20240101"
        staged.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([alert(name, "QSO")]), staged / "part.parquet")
        files = table.publish(name)
        table.commit(Commit(name, [], files, {"in": 1, "out": 1}, float(number), float(number)))
    assert night_of(config, 1) == Night("young", 10.0, -20.0, "QSO")
    assert night_of(config, 2) == night_of(config, 0), "nothing came in: earlier alerts stand in"
