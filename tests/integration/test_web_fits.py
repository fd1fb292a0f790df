"""Fits of an object in a real browser: a period, a lens, cancelling, and nobody else waits."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import Visit
from playwright.sync_api import Page, expect
from web_portal import ServedPortal
from web_sky import KINDS, NIGHT

from fink_broker.portal.web.fits.jobs import Jobs
from fink_broker.simulate.sky import synthetic_alerts

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def known() -> dict[str, tuple[str, dict[str, float]]]:
    """Return an RR Lyrae (RRc) and a lens of the synthetic sky: their names and true parameters."""
    found: dict[str, tuple[str, dict[str, float]]] = {}
    for packet, truth in synthetic_alerts(3000, seed=7, night=NIGHT):
        seen = sum(1 for entry in packet["prv_candidates"] or [] if entry["magpsf"] is not None)
        kind, parameters = truth.true_class, dict(truth.parameters)
        if kind in KINDS and seen >= 18 and parameters.get("fundamental", 0.0) == 0.0:
            found.setdefault(kind, (packet["objectId"], parameters))
    return found


def test_period_is_found_and_a_long_search_cancelled_while_others_are_served(
    visit: Visit, web: ServedPortal, known: dict[str, tuple[str, dict[str, float]]], tmp_path: Path
) -> None:
    name, truth = known["RR Lyrae"]
    page = visit.go(f"/{name}?tab=variable&longest=1.1&base=no", "#variable-fit")
    expect(page.locator("#variable-longest")).to_have_value("1.1")
    expect(page.locator("#variable-base")).to_have_value("1")
    result, help_title = page.locator("#variable-result"), page.get_by_role("heading", name="Is it periodic?")
    expect(help_title).to_be_visible()
    for field, value, right, words in (
        ("shortest", "2", "0.1", "The range of periods is empty"),
        ("base", "9", "1", "has to be 0 to 4"),
        ("period", "-3", "", "has to be a number of days"),
    ):
        page.fill(f"#variable-{field}", value)
        page.click("#variable-fit")
        expect(result).to_contain_text(words)
        expect(help_title).to_be_visible()
        page.fill(f"#variable-{field}", right)
    page.click("#variable-fit")
    found = result.locator(".fit-value").first
    expect(found).to_be_visible(timeout=30_000)
    period = float(found.inner_text().split()[0])
    # nights are a day apart: an alias may be as high
    aliases = [truth["period"] / abs(1 + cycles * truth["period"]) for cycles in (-2, -1, 0, 1, 2)]
    assert min(abs(period - alias) for alias in aliases) < 0.003
    expect(page.locator("#variable-plot-folded .js-plotly-plot")).to_be_visible()
    visit.check_accessible()
    visit.shot("fits-variable")
    for tab in ("Unfolded", "Periodogram"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(f"#variable-plot-{tab.lower()} .js-plotly-plot")).to_be_visible()
        visit.shot(f"fits-{tab.lower()}")
    assert_downloads(page, tmp_path)
    page.click("#variable-double")
    expect(found).to_have_text(re.compile(f"^{str(2 * period)[:5]}"))
    assert float(page.input_value("#variable-period")) == pytest.approx(2 * period, rel=1e-4)
    assert_long_search_is_cancelled(page, web)


def test_result_comes_over_a_line_slower_than_the_looks_at_a_fit(
    visit: Visit, known: dict[str, tuple[str, dict[str, float]]]
) -> None:
    page = visit.go(f"/{known['RR Lyrae'][0]}?tab=variable", "#variable-fit")
    expect(page.locator("#variable-longest")).to_have_value("1.2")
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    slow = {"offline": False, "latency": 400, "downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.emulateNetworkConditions", slow)
    page.fill("#variable-longest", "1.0")  # of a number that ends in zeros the field gives a text
    page.click("#variable-fit")
    expect(page.locator("#variable-result .fit-value").first).to_be_visible(timeout=30_000)
    expect(page.locator("#variable-cancel")).to_be_disabled()


def assert_downloads(page: Page, folder: Path) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="Points (CSV)").click()
    download.value.save_as(folder / "points.csv")
    with (folder / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 10
    assert all(0 <= float(row["phase"]) < 1 for row in rows)


def assert_long_search_is_cancelled(page: Page, web: ServedPortal) -> None:
    """Let others search for minutes; a visitor waits for his turn, pages are served, and cancelling ends it."""
    jobs = Jobs(Path(web.config.storage.state) / "fits", web.config.portal.fits_at_once, 60.0)
    busy = [jobs.start("period", endless_search(number)) for number in range(web.config.portal.fits_at_once)]
    try:
        page.fill("#variable-period", "")
        page.fill("#variable-longest", "1.3")
        page.click("#variable-fit")
        expect(page.locator("#variable-words")).to_contain_text("Waiting for other fits to end")
        expect(page).to_have_url(re.compile(r"tab=variable&longest=1\.3$"))
        for address in (f"{web.url}/about", f"{web.url}/api/v1/classes", f"{web.url}/health/ready"):
            assert httpx.get(address, timeout=10).is_success
        assert [jobs.look(job).state for job in busy] == ["running"] * len(busy)
        page.click("#variable-cancel")
        expect(page.locator("#variable-result")).to_contain_text("The fit was cancelled")
        expect(page.locator("#variable-cancel")).to_be_disabled()
    finally:
        for job in busy:
            jobs.cancel(job)
        jobs.close()


def endless_search(number: int) -> dict[str, Any]:
    """Return what a search of minutes takes."""
    count = 20_000
    return {
        "jd": [2459000.5 + 0.05 * each for each in range(count)], "fid": [1 + each % 2 for each in range(count)],
        "mag": [17.0 + 0.1 * (each % (7 + number)) for each in range(count)], "error": [0.05] * count,
        "nterms_base": 1, "nterms_band": 1, "shortest": 0.12, "longest": 1.2,
    }  # fmt: skip


def test_lens_is_fitted_on_a_phone_and_in_the_dark(
    visit: Visit, known: dict[str, tuple[str, dict[str, float]]]
) -> None:
    name, truth = known["microlensing"]
    visit.page.emulate_media(color_scheme="dark")
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go(f"/{name}?tab=microlensing", "#microlensing-fit")
    page.click("#microlensing-fit")
    expect(page.locator("#microlensing-plot .js-plotly-plot")).to_be_visible(timeout=30_000)
    peak = page.get_by_role("row", name="t₀").locator("td").nth(1).inner_text()
    assert float(peak.removesuffix(" MJD")) == pytest.approx(truth["peak_jd"] - 2400000.5, abs=3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#microlensing-result").scroll_into_view_if_needed()
    visit.check_accessible()
    visit.shot("fits-microlensing-phone-dark")


def test_results_of_nobody_are_not_found(web: ServedPortal) -> None:
    for path in (f"/fits/{'0' * 32}.csv", f"/fits/{'0' * 32}.json", "/fits/..%2f..%2fetc.csv"):
        answer = httpx.get(f"{web.url}{path}", timeout=10)
        assert answer.status_code == 404 or "text/html" in answer.headers["Content-Type"]
        assert "root:" not in answer.text
