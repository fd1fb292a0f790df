from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from archived import archived_alerts
from portal_app import client_of

from fink_broker.portal.route import Argument, Route, Text
from fink_broker.portal.routes import routes_of


@pytest.fixture(scope="module")
def api(shared_data: Path) -> Iterator[Any]:
    with client_of(archive=archived_alerts(shared_data), seconds=30) as client:
        yield client


@pytest.fixture(scope="module")
def description(api: Any) -> dict[str, Any]:
    return api.get("/openapi.json").json()


def test_every_route_and_argument_is_described(description: dict[str, Any]) -> None:
    for route in routes_of("current"):
        operations = description["paths"][f"/api/v1/{route.name}"]
        assert set(operations) == {method.lower() for method in route.methods}
        names = {each["name"] for each in operations.get("get", {}).get("parameters", [])}
        if "POST" in route.methods:
            schema = operations["post"]["requestBody"]["content"]["application/json"]["schema"]
            names |= set(schema["properties"])
        assert names >= {argument.name for argument in route.arguments}
        for operation in operations.values():
            assert {"200", "400", "503"} <= set(operation["responses"])


def test_the_description_keeps_to_the_standard(description: dict[str, Any]) -> None:
    names = [each["operationId"] for path in description["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)
    assert description["openapi"].startswith("3.1")
    assert json.loads(json.dumps(description, allow_nan=False)) == description


OUTSIDE = {"sso", "resolver", "skymap", "bayestar", "ssoft", "ssobulk", "eucliddata", "euclidin", "metadata", "cutouts"}


def test_examples_work(api: Any, description: dict[str, Any]) -> None:
    """Every example of a route that needs nothing but alerts is answered; those of the others are no faults."""
    for path, operations in description["paths"].items():
        if "post" not in operations:
            continue
        example = operations["post"]["requestBody"]["content"]["application/json"]["example"]
        answer = api.post(path, json=example)
        allowed = (200, 400, 404, 503) if path.rpartition("/")[2] in OUTSIDE else (200,)
        assert answer.status_code in allowed, (path, example, answer.text)


def test_an_example_names_an_alert_that_is_there(api: Any, description: dict[str, Any]) -> None:
    example = description["paths"]["/api/v1/objects"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert len(api.post("/api/v1/objects", json=example).json()) > 0


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "action") and value:
                self.addresses.append(value)
            if name == "id" and value:
                self.ids.append(value)


@pytest.mark.parametrize("path", ["/api", "/docs"])
def test_the_page_needs_nothing_from_outside(api: Any, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = Page()
    page.feed(answer.text)
    assert set(page.ids) == {route.name for route in routes_of("current")}
    assert all(re.match(r"#|/[^/]", address) for address in page.addresses)
    assert not re.search(r"@[A-Z_]+@", answer.text)


def test_the_page_leads_there(api: Any) -> None:
    assert api.get("/", follow_redirects=False).headers["location"] == "/api"


def test_commands_of_the_page_work(api: Any) -> None:
    text = api.get("/api").text
    commands = [line for line in re.findall(r"<code>(curl [^<]*)</code>", text) if "/objects?" in line]
    (command,) = commands
    address = shlex.split(command.replace("&amp;", "&").replace("&#x27;", "'"))[-1]
    answer = api.get(address)
    assert answer.status_code == 200
    assert answer.json()


def test_what_a_route_says_of_itself_is_escaped() -> None:
    argument = Argument("a", "<script>1</script>", example="\"'><b>", required=True)
    route = Route("try", "<script>2</script>", lambda _: Text(""), (argument,), has_rows=False)
    with client_of([route]) as api:
        text = api.get("/api").text
    assert "<script>1" not in text
    assert "<script>2" not in text
    assert "'><b>" not in text
