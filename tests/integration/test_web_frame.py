"""The frame of the portal in a real browser."""

from __future__ import annotations

import pytest
from browser import Visit
from playwright.sync_api import Route, expect

pytestmark = pytest.mark.integration


CALLBACKS = "**/_dash-update-component**"


def test_a_portal_that_is_away_says_so(visit: Visit) -> None:
    visit.expected += ["ERR_FAILED", "Failed to fetch", "ERR_CONNECTION", "503", "Callback (error|failed)"]
    page = visit.go("/", ".home-card")
    said = page.get_by_role("alert").filter(has_text="The portal does not answer just now")
    held: list[Route] = []
    page.route(CALLBACKS, lambda route: route.abort() if held else held.append(route))
    with page.expect_request(CALLBACKS):
        page.locator("#search-text").fill("ZTF24ah")
    page.locator("#search-text").fill("class=Ambiguous last=3")
    page.keyboard.press("Enter")
    expect(said).to_be_visible()
    with page.expect_response(CALLBACKS):
        held[0].continue_()  # what was asked before the portal went is answered
    visit.check_accessible()
    expect(said).to_be_visible()
    expect(page.locator(".search-busy")).to_have_count(0)
    page.unroute(CALLBACKS)
    visit.shot("away")
    page.get_by_role("button", name="Close").click()
    expect(said).to_have_count(0)
    page.route(CALLBACKS, lambda route: route.fulfill(status=503, body="away"))
    page.get_by_role("link", name="Statistics").first.click()
    expect(said).to_be_visible()
    page.unroute(CALLBACKS)
    page.locator(".brand").click()
    expect(page.get_by_role("heading", name="Search the changing sky")).to_be_visible()
    expect(said).to_have_count(0)


def test_pages_open_by_bar_and_drawer_and_the_scheme_stays(visit: Visit) -> None:
    page = visit.go("/")
    menu, drawer = page.locator("#menu"), page.get_by_role("dialog")
    for close in (lambda: page.keyboard.press("Escape"), drawer.locator("button").first.click):
        menu.click()  # once is enough, however the drawer was closed before
        expect(drawer).to_be_visible()
        close()
        expect(drawer).to_be_hidden()
    menu.click()
    drawer.get_by_role("link", name="About").click()
    expect(page).to_have_title("About : Fink Science Portal")
    expect(drawer).to_be_hidden()
    page.get_by_role("link", name="Statistics").first.click()
    expect(page).to_have_title("Statistics : Fink Science Portal")
    visit.check_accessible()

    before = page.evaluate("document.documentElement.dataset.mantineColorScheme")
    page.locator("#scheme").click()
    after = page.evaluate("document.documentElement.dataset.mantineColorScheme")
    assert {before, after} == {"light", "dark"}
    visit.go("/stats")
    assert page.evaluate("document.documentElement.dataset.mantineColorScheme") == after
