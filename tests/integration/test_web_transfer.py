"""Data transfer and the API's documentation in a real browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import Visit
from playwright.sync_api import expect
from web_portal import ServedPortal
from werkzeug.serving import make_server

from fink_broker.config import Config
from fink_broker.portal.routes import routes_of
from fink_broker.portal.web import app
from fink_broker.service.ports import free_port

pytestmark = pytest.mark.integration

SELECTED = "/download?start=2023-10-18&stop=2023-10-18&class=SN+candidate"


def test_a_selection_grows_step_by_step_and_survives_a_reload(visit: Visit) -> None:
    page = visit.go("/download")
    expect(page.locator("#transfer-step-content")).to_be_hidden()
    page.get_by_role("button", name="All nights").click()
    expect(page.locator("#transfer-start")).to_have_value(re.compile(r"\d{4}-\d\d-\d\d"))
    page.get_by_role("radio", name="Light curve").click()
    expect(page.locator("#transfer-summary figcaption")).to_contain_text("are selected")
    page.wait_for_selector("#transfer-summary .js-plotly-plot .bars")
    page.evaluate("window.scrollTo(0, 0)")
    visit.shot("transfer-all-nights", whole=True)
    visit.check_accessible()
    page.locator("#transfer-where").fill("candidate.magpsff > 19.5;\ncandidate.drb > 0.9;")
    expect(page.locator("#transfer-where-error")).to_contain_text("Line 1: Alerts have no column")
    expect(page.locator("#transfer-step-content")).to_be_hidden()
    page.locator("#transfer-where").fill("candidate.drb > 0.9;")
    expect(page.locator("#transfer-summary")).to_contain_text("at most")
    expect(page).to_have_url(re.compile(r"where=candidate\.drb"))
    page.reload()
    expect(page.locator("#transfer-where")).to_have_value("candidate.drb > 0.9;")
    expect(page.locator("#transfer-summary")).to_contain_text("--where=candidate.drb > 0.9")


def test_the_estimate_is_what_the_statistics_count(visit: Visit) -> None:
    page = visit.go(f"{SELECTED}&content=full")
    counts = page.request.get(f"{visit.url}/api/v1/statistics?date=20231018").json()[0]
    expect(page.locator(".transfer-number").first).to_have_text(f"{int(counts['class:SN candidate']):,}")
    page.emulate_media(color_scheme="dark")
    visit.shot("transfer-summary-dark", whole=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="light")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    spilling = "card => card.scrollWidth > card.clientWidth"
    assert page.evaluate(f"[...document.querySelectorAll('.transfer-card')].filter({spilling}).length") == 0
    visit.shot("transfer-phone")
    visit.go("/download?start=2018-06-01&stop=2018-06-02&content=thin")
    expect(page.locator("#transfer-summary")).to_contain_text("The archive has no alerts of 2018-06-01 to 2018-06-02")
    visit.go(
        "/download?start=%3Cscript%3Ealert(1)%3C/script%3E&class=a,b&where=%3Cimg%20src=x%3E&content=x&topic=../.."
    )
    expect(page.locator("#transfer-where-error")).to_contain_text("Line 1")


def test_what_is_submitted_is_sent(visit: Visit, web: ServedPortal, kafka: str, tmp_path: Path) -> None:
    with portal_that_sends(web.config, kafka, tmp_path) as visit.url:
        page = visit.go(f"{SELECTED}&content=thin")
        number = page.locator(".transfer-number").first.inner_text()
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#transfer-progress")).to_contain_text("Complete", timeout=60_000)
        expect(page.locator("#transfer-progress")).to_contain_text(f"All {number} alerts are in ftransfer_ztf_")
        expect(page.get_by_role("button", name="Submit")).to_be_disabled()
        visit.check_accessible()
        page.evaluate("window.scrollTo(0, 0)")
        visit.shot("transfer-submitted", whole=True)
        page.reload()
        topic = re.search(r"topic=(ftransfer_ztf_\d{4}-\d\d-\d\d_\d{6})", page.url)
        assert topic is not None
        expect(page.locator("#transfer-after")).to_contain_text(f"finkctl transfer -survey ztf -topic {topic[1]}")
        expect(page.get_by_role("button", name="Submit")).to_be_disabled()


@contextmanager
def portal_that_sends(config: Config, kafka: str, folder: Path) -> Iterator[str]:
    """Serve a portal over the same archive that sends to a Kafka by itself; give its address."""
    port = free_port()
    api = config.portal.api_url or f"http://{config.api.host}:{config.api.port}"
    changes = {
        "storage": {"state": folder, "min_free_gib": 0},
        "distribution": {"servers": kafka},
        "portal": {"port": port, "transfer": "local", "api_url": api},
    }
    content = config.model_dump()
    for section, values in changes.items():
        content[section] |= values
    server = make_server("127.0.0.1", port, app.create_portal(Config.model_validate(content)).server, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join(10)


def test_the_api_is_described_route_by_route(visit: Visit) -> None:
    page = visit.go("/api")
    menu = page.get_by_role("navigation", name="Routes of the API")
    names = menu.get_by_role("link").all_inner_texts()
    assert set(names) == {"Summary", *(route.name for route in routes_of("current"))}
    visit.shot("api-summary", whole=True)
    visit.check_accessible()
    menu.get_by_role("link", name="latests", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("latests")
    assert page.url.endswith("/api?route=latests")
    expect(page.get_by_role("region", name="Table of argument")).to_contain_text("startdate")
    page.get_by_role("button", name="Ask the example").click()
    expect(page.locator("#apidocs-answer")).to_contain_text("HTTP 200, application/json")
    visit.shot("api-route", whole=True)
    visit.check_accessible()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("API")
