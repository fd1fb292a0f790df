"""What nobody should send: every argument of every route with hostile values, and whatever schemathesis thinks of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from archived import archived_alerts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from portal_app import client_of
from schemathesis import GenerationMode, checks

from fink_broker.archive.hbase.reader import Archive
from fink_broker.config.model import ApiConfig, Config
from fink_broker.errors import FinkError
from fink_broker.portal.answering import Asked, Portal, answer, arguments_of
from fink_broker.portal.body import from_body
from fink_broker.portal.deadline import Deadline
from fink_broker.portal.envelope import as_request_error, error_reply
from fink_broker.portal.examples import example_request
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.route import Argument, Generation, Route
from fink_broker.portal.routes import routes_of

pytestmark = pytest.mark.integration

HOSTILE: dict[str, Any] = {
    "empty": "",
    "blanks": "   ",
    "null": None,
    "true": True,
    "list": ["a", {"b": []}],
    "object": {"$gt": ""},
    "NaN": "NaN",
    "infinity": "-inf",
    "huge integer": 10**30,
    "huge digits": "9" * 4000,
    "huge float": "1e308",
    "tiny float": 5e-324,
    "negative": -1,
    "zero": 0,
    "64 bits and one": 2**63,
    "newline": "ZTF21abfmbix\nZTF21aaxtctv",
    "carriage return": "a\r\nSet-Cookie: a=b",
    "NUL": "ZTF21\x00abfmbix",
    "separator": "ZTF21abfmbix_2459458.7345023",
    "salt": "0_SN candidate_2459458",
    "quote": "'; DROP TABLE ztf; --",
    "double quote": '"',
    "backslash": "\\",
    "path": "../../../../etc/passwd",
    "pattern": "(a+)+$.*[",
    "expression": "__import__('os').system('true')",
    "template": "{{7*7}}${7*7}",
    "bytes": "b'\\x80\\x04\\x95K\\x00.'",
    "pickle": "gASVJAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAllY2hvIG9vcHOUhZRSlC4=",
    "surrogate": "\ud800",
    "unicode": "𝓩𝓣𝓕٣日本\u202e",
    "markup": "<script>alert(1)</script>",
    "commas": ",,,,",
    "long list": ",".join(f"ZTF21aa{number:05d}" for number in range(2000)),
    "long text": "x" * 20_000,
    "column": "key:key",
    "unknown column": "i:magps",
    "old date": "0001-01-01",
    "far date": "99999-12-31",
    "no date": "2021-02-30",
    "range": "2021-01-01:2020-01-01",
    "format": "pickle",
}
#: routes that ask services outside, none of which is there
OUTSIDE = {"sso", "resolver", "skymap", "bayestar"}
ROUTES = {(generation, route.name): route for generation in ("current", "historic") for route in routes_of(generation)}


LIMITS: dict[str, Any] = {"seconds": 20, "max_rows": 50, "threads": 2}


@pytest.fixture(scope="module")
def archive(shared_data: Path) -> Archive:
    return archived_alerts(shared_data)


@pytest.fixture(scope="module")
def api(archive: Archive) -> Iterator[Any]:
    with client_of(archive=archive, **LIMITS) as client:
        yield client


@pytest.mark.parametrize(("generation", "name"), ROUTES)
def test_hostile_values_of_any_argument_are_answered_with_a_sentence(
    archive: Archive, generation: Generation, name: str
) -> None:
    config = Config(api=ApiConfig(generation=generation, **LIMITS))
    portal = Portal(config, archive, no_providers())
    route = ROUTES[generation, name]
    if generation == "historic" and "current" in route.generations and "historic" in route.generations:
        values = {what: HOSTILE[what] for what in ("separator", "surrogate", "object", "huge integer", "expression")}
    else:
        values = HOSTILE
    for argument in arguments_of(route):
        for what, value in values.items():
            _ask(portal, route, {**_others(route, argument), argument.name: value}, what)


def _others(route: Route, argument: Argument) -> dict[str, Any]:
    """Return good values for the arguments beside one: those of its group, where arguments come in groups."""
    if argument.group is None:
        return example_request(route, {})
    return {each.name: each.example for each in route.arguments if each.group == argument.group}


def _ask(portal: Portal, route: Route, arguments: dict[str, Any], what: str) -> None:
    """Answer a request as the server does, without a socket; whatever is no deliberate error fails the test."""
    deadline = Deadline(LIMITS["seconds"])
    try:
        given = from_body(json.dumps(arguments).encode(), "application/json")
        reply = answer(portal, route, Asked(route.methods[-1], given), deadline)
        for _ in reply.pieces:
            pass
    except FinkError as error:
        reply = error_reply(as_request_error(error))
        sentence = b"".join(reply.pieces).decode()
        assert 400 <= reply.status < 500, (what, arguments, sentence)
        assert sentence.startswith("{'status': 'error', 'text': ")
        assert 40 < len(sentence) < 2000
    except Exception as error:
        pytest.fail(f"{what}: {arguments}: {error!r}")


BODIES = {
    "no JSON": b"{",
    "deep": b'{"a":' * 50_000,
    "deep list": b"[" * 100_000,
    "twice": b'{"objectId": "a", "objectId": "b"}',
    "NaN": b'{"n": NaN}',
    "not text": b"\xff\xfe\xfd",
    "list": b"[1]",
    "number": b"12",
    "pickle": b"\x80\x04\x95\x24\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94",
    "digits": b'{"n": ' + b"1" * 10_000 + b"}",
    "form": b"objectId=%00&n=%ff",
    "multipart": b"--a\r\n\r\n",
}
KINDS = (
    "application/json",
    "",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=a",
    "image/png",
    "ü",
)


@pytest.mark.parametrize("name", [name for generation, name in ROUTES if generation == "current"])
def test_hostile_bodies_are_refused(api: Any, name: str) -> None:
    route = ROUTES["current", name]
    if "POST" not in route.methods:
        return
    for what, body in BODIES.items():
        for kind in KINDS:
            answer = api.post(f"/api/v1/{name}", content=body, headers={"content-type": kind.encode("latin-1")})
            assert answer.status_code < 500, (what, kind, answer.text)


@pytest.fixture(scope="module")
def described(api: Any) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", api.app)


def test_nothing_the_description_allows_or_forbids_is_a_fault(described: Any) -> None:
    """Requests are made up from the description, right ones and wrong ones, the same in every run."""
    asked: Counter[str] = Counter()

    def ask(case: schemathesis.Case) -> None:
        answer = case.call()
        asked[case.path] += 1
        if answer.status_code != 503 or case.path.rpartition("/")[2] not in OUTSIDE:
            case.validate_response(answer, checks=[checks.not_a_server_error])

    for result in described.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            strategy = result.ok().as_strategy(generation_mode=mode)
            with suppress(Unsatisfiable):  # there is nothing wrong to write where there is nothing to write
                BOUNDED(given(strategy)(ask))()
    assert set(asked) >= {f"/api/v1/{route.name}" for route in routes_of("current")}
    assert sum(asked.values()) > 200


BOUNDED = settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
