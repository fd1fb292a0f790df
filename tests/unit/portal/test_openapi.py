from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from archived import archived_alerts, stored_alerts
from portal_app import TestClient, client_of

from fink_broker.archive.hbase.keys import part
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.config.model import ApiConfig, Config, StorageConfig
from fink_broker.portal import records
from fink_broker.portal.app import create_app
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.route import Argument, Route, Text
from fink_broker.portal.routes import routes_of


@pytest.fixture(scope="module")
def api(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    online = tmp_path_factory.mktemp("online")
    config = Config(api=ApiConfig(seconds=30), storage=StorageConfig(online=str(online)))
    with TestClient(create_app(config, stored_alerts(shared_data, online / "science"), no_providers())) as client:
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


def test_every_status_is_described(description: dict[str, Any]) -> None:
    table = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
    rows = [line.split("|")[1] for line in table.splitlines() if re.match(r"\| \d{3}", line)]
    told = {status for row in rows for status in re.findall(r"\d{3}", row)}
    responses = set(description["paths"]["/api/v1/objects"]["post"]["responses"])
    assert responses - {"200"} == told - {"405"}


def test_examples_work(api: Any, description: dict[str, Any]) -> None:
    """Every example is answered; a route that takes a file has none, and what writes is refused."""
    without = set()
    for path, operations in description["paths"].items():
        if "post" not in operations:
            continue
        content = operations["post"]["requestBody"]["content"]
        if "example" not in content["application/json"]:
            assert "multipart/form-data" in content
            without.add(path.rpartition("/")[2])
            continue
        example = content["application/json"]["example"]
        answer = api.post(path, json=example)
        expected = 403 if path.endswith("/metadata") else 200
        assert answer.status_code == expected, (path, example, answer.text)
        if "get" in operations:
            assert api.get(path, params=example).status_code == 200, (path, example)
    assert without == {"skymap", "bayestar", "euclidin"}


def test_examples_are_of_what_the_archive_holds(shared_data: Path) -> None:
    archive = archived_alerts(shared_data)
    archive.put_records(STATISTICS, [("ztf_20231017", {"basic:raw": 1}), ("ztf_20231018", {"basic:raw": 2})])
    records.write(archive, records.TNS, [(part("sn 2023xyz"), {"d:fullname": "SN 2023xyz"})])
    records.write(archive, records.METADATA, [("ZTF21abfmbix", {"d:internal_name": "mine"})])
    with client_of(archive=archive) as api:
        paths = api.get("/openapi.json").json()["paths"]
        for name in ("statistics", "resolver", "metadata", "sso", "xmatch"):
            example = paths[f"/api/v1/{name}"]["post"]["requestBody"]["content"]["application/json"]["example"]
            assert len(api.get(f"/api/v1/{name}", params=example).json()) > 0, (name, example)
            if name == "statistics":
                assert example["date"] == "20231018"


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


def test_forms_take_files_and_lines(api: Any) -> None:
    text = api.get("/api").text
    sections = dict(re.findall(r'<section id="(\w+)">(.*?)</section>', text, re.DOTALL))
    assert '<input type="file" name="bayestar">' in sections["skymap"]
    assert "-F bayestar=@FILE" in sections["skymap"]
    assert re.search(r'<textarea name="catalog"[^>]*>\nID,RA,Dec\na,[\d.]+,-?[\d.]+</textarea>', sections["xmatch"])
    for name in ("skymap", "bayestar", "euclidin", "xmatch"):
        assert 'data-method="POST"' in sections[name]
    assert "<code>GET</code>" not in text
    assert "`" not in re.sub(r"<script>.*</script>", "", text, flags=re.DOTALL)


def test_what_a_route_says_of_itself_is_escaped() -> None:
    argument = Argument("a", "<script>1</script>", example="\"'><b>", required=True)
    route = Route("try", "<script>2</script>", lambda _: Text(""), (argument,), has_rows=False)
    with client_of([route]) as api:
        text = api.get("/api").text
    assert "<script>1" not in text
    assert "<script>2" not in text
    assert "'><b>" not in text
