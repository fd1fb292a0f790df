"""The page of an object in a real browser."""

from __future__ import annotations

import re

import httpx
import pytest
from browser import Visit
from playwright.sync_api import Page, expect
from web_portal import ServedPortal

pytestmark = pytest.mark.integration


def objects_of(web: ServedPortal, label: str) -> list[dict[str, str]]:
    """Return the latest alerts of a class."""
    asked = {"class": label, "n": "200", "columns": "i:objectId,i:fid,i:ndethist"}
    found: list[dict[str, str]] = httpx.get(f"{web.api_url}/api/v1/latests", params=asked, timeout=30).json()
    return found


def seen_often(web: ServedPortal) -> str:
    """Return a supernova that has many alerts."""
    names = [row["i:objectId"] for row in objects_of(web, "SN candidate")]
    return max(names, key=names.count)


def seen_once(web: ServedPortal) -> str:
    """Return an asteroid, which is at its place once."""
    return objects_of(web, "Solar System MPC")[0]["i:objectId"]


def open_drawer(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def science(page: Page) -> str:
    return page.locator("#object-stamp-science").get_attribute("src") or ""


def test_the_summary_shows_what_an_object_did(visit: Visit, web: ServedPortal) -> None:
    name = seen_often(web)
    page = visit.go(f"/{name}", "#object-plot .point")
    check_summary(visit, page, name)
    check_point(page)
    check_drawers(visit, page)


def check_summary(visit: Visit, page: Page, name: str) -> None:
    """Buttons step through the images, the plot has its modes, and the address says which."""
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page).to_have_title(f"{name} : Fink Science Portal")
    expect(page.locator("#object-finder-chart .js-plotly-plot").first).to_be_visible()
    visit.shot("object-summary", whole=True)
    visit.check_accessible()

    dates, stamp = page.locator("#object-date"), page.locator("#object-stamp-science")
    expect(stamp).to_have_attribute("src", re.compile("candid="))
    latest, before = dates.input_value(), science(page)
    page.get_by_role("button", name="Previous alert").click()
    expect(dates).not_to_have_value(latest)
    expect(stamp).not_to_have_attribute("src", before)
    page.get_by_role("button", name="Next alert").click()
    expect(dates).to_have_value(latest)

    page.get_by_text("DC flux", exact=True).first.click()
    expect(page.locator("#object-plot .ytitle")).to_contain_text("flux")
    page.get_by_role("switch", name="Color").press("Space")
    expect(page.locator("#object-plot .y2title")).to_contain_text("g − r")
    page.wait_for_url(lambda url: url.endswith("?mode=dc_flux&color=1"))


def check_point(page: Page) -> None:
    """A click on a point shows its alert."""
    latest = page.locator("#object-date").input_value()
    page.locator("#object-plot .js-plotly-plot").scroll_into_view_if_needed()
    place = page.locator("#object-plot .scatterlayer .point").first.bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    expect(page.locator("#object-date")).not_to_have_value(latest)


def test_bands_are_hidden_by_keyboard_and_by_the_legend_in_each_mode(visit: Visit, web: ServedPortal) -> None:
    page = visit.go(f"/{seen_often(web)}", "#object-plot .point")
    in_g, in_r = (page.get_by_role("checkbox", name=name, exact=True) for name in "gr")
    expect(in_g).to_be_checked()
    in_g.press("Space")
    expect(in_g).not_to_be_checked()
    shown = "() => document.querySelector('#object-plot .js-plotly-plot')._fullData" + (
        ".filter(each => each.visible === true && ['g', 'r'].includes(each.legendgroup)).map(each => each.legendgroup)"
    )
    page.wait_for_function(f"new Set(({shown})()).size === 1 && ({shown})()[0] === 'r'")
    page.get_by_text("DC flux", exact=True).first.click()
    expect(page.locator("#object-plot .ytitle")).to_contain_text("flux")
    assert set(page.evaluate(shown)) == {"r"}
    expect(in_g).not_to_be_checked()
    visit.check_accessible()
    in_g.press("Space")
    page.wait_for_function(f"new Set(({shown})()).size === 2")
    page.locator("#object-plot .legendtoggle").nth(1).click()
    expect(in_r).not_to_be_checked()
    expect(in_g).to_be_checked()
    page.get_by_text("Difference magnitude", exact=True).first.click()
    expect(page.locator("#object-plot .ytitle")).to_contain_text("magnitude")
    assert set(page.evaluate(shown)) == {"g"}
    in_r.press("Space")
    page.wait_for_function(f"new Set(({shown})()).size === 2")


def check_drawers(visit: Visit, page: Page) -> None:
    """Drawers are made when they are opened."""
    open_drawer(page, "Alert content")
    page.get_by_label("Filter").fill("i:candid")
    rows = page.locator("#object-content tbody tr")
    expect(rows).to_have_count(1)
    candid = rows.locator("td").nth(1).inner_text()
    expect(page.locator("#object-stamp-science")).to_have_attribute("src", re.compile(f"candid={candid}"))

    for drawer in ("Scores", "Coordinates", "Download data", "Neighbourhood", "Other brokers", "Share"):
        open_drawer(page, drawer)
    page.get_by_text("GAL", exact=True).click()
    expect(page.locator("#object-system-gal")).to_be_visible()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    expect(page.get_by_role("link", name="SIMBAD")).to_be_visible()
    with page.expect_download() as fetched:
        page.get_by_role("link", name="CSV").click()
    assert fetched.value.path().read_text().startswith("i:")
    visit.check_accessible()
    visit.shot("object-drawers", whole=True)


def test_a_link_opens_a_tab_in_the_dark_and_lost_images_become_words(visit: Visit, web: ServedPortal) -> None:
    visit.page.emulate_media(color_scheme="dark")
    name = seen_often(web)
    page = visit.go(f"/{name}?tab=supernovae", "#object-tabs-panel-supernovae .js-plotly-plot")
    expect(page.get_by_role("tab", name="GRB")).to_be_disabled()
    page.get_by_role("tab", name="Summary").click()
    page.wait_for_url(lambda url: "tab" not in url)
    visit.shot("object-summary-dark")
    visit.check_accessible()

    visit.expected.append("404")
    page.route("**/api/v1/cutouts**", lambda route: route.fulfill(status=404, body="none"))
    page.get_by_role("button", name="Previous alert").click()
    expect(page.get_by_text("No image of this alert is kept.").first).to_be_visible()
    page.get_by_role("button", name="Full screen").click()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog").get_by_text("No image of this alert is kept.").first).to_be_visible()


def test_a_phone_shows_an_object_seen_once_and_none(visit: Visit, web: ServedPortal) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    check_seen_once(visit, seen_once(web))
    check_unknown(visit)


def check_seen_once(visit: Visit, name: str) -> None:
    """A tab that cannot be is disabled; the one that is opened is scrolled into view."""
    page = visit.go(f"/{name}?tab=variable", "#object-plot .point")
    expect(page.get_by_role("tab", name="Summary")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tab", name="Variable stars")).to_be_disabled()
    expect(page.get_by_role("tab", name="Solar System")).to_be_enabled()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    visit.check_accessible()
    visit.shot("object-phone", whole=True)
    page.get_by_role("button", name="Full screen").click()
    expect(page.get_by_role("dialog")).to_contain_text(name)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    tab = page.get_by_role("tab", name="Solar System")
    page.evaluate("scrollTo(0, 0)")
    expect(tab).not_to_be_in_viewport(ratio=1)
    tab.evaluate("tab => tab.click()")
    expect(tab).to_be_in_viewport(ratio=1)
    page.locator("#solar-system-light-curve .main-svg").first.wait_for()


def check_unknown(visit: Visit) -> None:
    """Names of nothing end in words."""
    page = visit.go("/ZTF99zzzzzzz")
    expect(page.get_by_role("heading", level=1)).to_have_text("No object is named ZTF99zzzzzzz")
    visit.check_accessible()
    visit.shot("object-unknown")
    page = visit.go("/ZTF21%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
