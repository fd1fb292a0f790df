"""The search field and the first page in a real browser."""

from __future__ import annotations

import re

import pytest
from browser import Visit
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

FOUND = ".home-results :is(h2, .mantine-Alert-title):focus"  # where readers go on when a search has come back
CALLBACKS = "**/_dash-update-component**"
FIELD, OPTIONS = "#search-text", "#search-options [role=option]"
HOSTILE = (
    "<script>window.broken=1</script>",
    "\"'><img src=x onerror=window.broken=1>",
    "'; DROP TABLE ztf; --",
    "class=<b>bold</b>",
    "${7*7}{{7*7}}",
    "r=10 \u202e\u0000",
    "x" * 900,
)


def typed(page: Page, text: str) -> None:
    page.locator(FIELD).fill(text)


def searched(page: Page, text: str) -> None:
    """Search for a text, and wait for what it found."""
    typed(page, text)
    page.keyboard.press("Enter")
    expect(page.locator(FOUND)).to_be_visible()


def test_first_page_shows_the_last_night_and_latest_alerts(visit: Visit) -> None:
    page = visit.go("/", ".home-card")
    expect(page.locator(".home-number")).to_have_count(4)
    expect(page.locator("h1")).to_have_count(1)
    cards = page.locator(".home-card")
    names = [card.get_attribute("href") for card in cards.all()]
    assert len(names) == len(set(names)) == 6
    for image in page.locator("img").all()[:4]:
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    visit.check_accessible()
    visit.shot("search-home", whole=True)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("[data-mantine-color-scheme=dark]")
    visit.check_accessible()
    visit.shot("search-home-dark")


def test_suggestions_follow_the_keys(visit: Visit) -> None:
    page = visit.go("/", FIELD)
    field = page.locator(FIELD)
    page.locator("h1").click()
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.type("cl")
    expect(page.locator(OPTIONS).first).to_contain_text("class=")
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "search-option-0")
    page.keyboard.press("Enter")
    expect(field).to_have_value("class=")
    page.keyboard.type("sn can")
    expect(page.locator(OPTIONS).first).to_contain_text("SN candidate")
    visit.shot("search-suggestions")
    visit.check_accessible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value('class="SN candidate" ')
    page.keyboard.type("last=4")
    expect(page.locator(OPTIONS).first).to_contain_text("The 4 latest alerts of class SN candidate")
    page.keyboard.press("Escape")
    expect(field).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?action=class&**")
    expect(page.locator(FOUND)).to_have_text("The 4 latest alerts of class SN candidate")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_have_value('class="SN candidate" last=4')
    visit.shot("search-results")
    object_id = page.locator("a[href^='/ZTF']").first.get_attribute("href")
    assert object_id is not None
    typed(page, object_id[1:10])
    expect(page.locator(OPTIONS).get_by_text(object_id[1:], exact=True)).to_be_visible()
    typed(page, object_id[1:].lower())
    page.locator("#search-go").click()
    page.wait_for_url(f"**{object_id}")
    page.locator(".brand").click()
    expect(page.get_by_role("heading", name="Search the changing sky")).to_be_visible()
    field.click()
    expect(page.locator(OPTIONS)).to_have_text(
        [re.compile(object_id[1:], re.IGNORECASE), re.compile("class=.SN candidate. last=4")]
    )


def test_what_is_typed_while_a_page_comes_stays(visit: Visit) -> None:
    page = visit.go("/?action=class&class=SN+candidate&last=4", "a[href^='/ZTF']")
    page.route(CALLBACKS, lambda route: None)  # what the server is asked waits
    with page.expect_request(CALLBACKS):
        page.locator(".brand").click()
    typed(page, "class=")
    page.unroute(CALLBACKS)  # and goes on
    expect(page.get_by_role("heading", name="Search the changing sky")).to_be_visible()
    field = page.locator(FIELD)
    expect(field).to_be_focused()
    expect(field).to_have_value("class=")
    page.keyboard.type("sn can")
    expect(page.locator(OPTIONS).first).to_contain_text("SN candidate")


def test_going_back_leaves_what_was_typed_behind(visit: Visit) -> None:
    page = visit.go("/?action=class&class=Ambiguous&last=3", "a[href^='/ZTF']")
    searched(page, "last=4")
    typed(page, "zzz")
    page.go_back()
    expect(page.locator(".results-title")).to_have_text("The 3 latest alerts of class Ambiguous")
    expect(page.locator(FIELD)).to_have_value("class=Ambiguous last=3")
    expect(page.locator(FIELD)).not_to_be_focused()
    expect(page.locator("#search-panel")).not_to_have_class(re.compile("search-panel-open"))


def test_a_field_that_is_left_at_once_asks_nothing(visit: Visit) -> None:
    page = visit.go("/", FIELD)
    page.evaluate(
        "() => { window.held = []; const later = setTimeout; window.setTimeout = (work, pause, ...given) => "
        "pause === 150 ? held.push(work) : later(work, pause, ...given); }"
    )
    typed(page, "ZTF21abfm")
    page.get_by_role("link", name="Statistics").first.click()
    expect(page).to_have_title("Statistics : Fink Science Portal")
    assert page.evaluate("() => held.map(work => work()).length") == 1


def test_what_suggestions_and_links_lead_to_has_the_focus(visit: Visit) -> None:
    page = visit.go("/", FIELD)
    typed(page, "class=Ambiguous last=30")
    expect(page.locator(OPTIONS).first).to_contain_text("The 30 latest alerts of class Ambiguous")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(FOUND)).to_have_text("The 30 latest alerts of class Ambiguous")
    expect(page.locator("#search-said")).to_be_empty()
    expect(page.locator(".search-busy")).to_have_count(0)
    page.get_by_title("Page 2 of").press("Enter")
    expect(page.locator(".results-corner").first).to_have_text("#11")
    expect(page.locator(FOUND)).to_have_count(1)
    page.go_back()
    expect(page.locator(".results-corner").first).to_have_text("#1")
    page.locator("#search-go").click()  # the search that is there already
    expect(page.locator(FOUND)).to_have_count(1)
    expect(page.locator("#search-said")).to_be_empty()


def test_objects_at_random_are_the_same_in_the_table_and_in_the_file(visit: Visit) -> None:
    page = visit.go("/")
    visit.go("/?action=random&random=6&view=table", "#results-grid .ag-row a")
    assert "seed=" in page.url
    names = set(page.locator("#results-grid [col-id=objectId] a").all_inner_texts())
    link = page.get_by_role("link", name="CSV").get_attribute("href")
    rows = page.request.get(f"{visit.url}{link}").text().splitlines()
    place = rows[0].split(",").index("i:objectId")
    assert names == {row.split(",")[place] for row in rows[1:]}
    page.go_back()
    expect(page.get_by_role("heading", name="Search the changing sky")).to_be_visible()


def test_every_class_is_offered(visit: Visit) -> None:
    page = visit.go("/", FIELD)
    typed(page, "class=")
    expect(page.locator(OPTIONS).nth(20)).to_be_attached()
    offered = page.locator(f"{OPTIONS} .search-option-title").all_inner_texts()
    lists = list(page.request.get(f"{visit.url}/api/v1/classes").json().values())
    assert offered[: len(lists[0]) + 2] == [*lists[0], "Unknown", "Anomaly"]
    assert {name for names in lists for name in names} <= set(offered)
    page.keyboard.press("ArrowUp")  # round to the last one, which is scrolled into view
    expect(page.locator(".search-option-active")).to_be_in_viewport()
    visit.shot("search-classes")
    visit.check_accessible()


def test_searches_that_find_nothing_say_what_to_do(visit: Visit) -> None:
    page = visit.go("/?action=conesearch&ra=10&dec=-60&r=3", "text=Nothing found")
    page.get_by_role("link", name="within 60″").click()
    expect(page.locator(FOUND)).to_contain_text("Cone of 60″")
    visit.check_accessible()
    page.locator("#search-help").click()
    expect(page.locator("#search-guide")).to_be_visible()
    expect(page.locator("#search-guide .search-example").first).to_have_text(re.compile("^ZTF"))
    visit.shot("search-help")
    visit.check_accessible()
    page.keyboard.press("Escape")
    expect(page.locator("#search-guide")).to_be_hidden()
    page.locator("#search-clear").click()
    expect(page.locator(FIELD)).to_have_value("")
    page.get_by_role("button", name="radius=").click()
    expect(page.locator(FIELD)).to_have_value("radius=")
    searched(page, "Nobody knows this")
    expect(page.locator(FOUND)).to_have_text("Query not recognized")
    expect(page.locator("#page")).to_contain_text("is no name that is known here")
    page.set_viewport_size({"width": 390, "height": 844})
    visit.check_accessible()
    visit.shot("search-unknown-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_texts_and_addresses_end_in_words(visit: Visit) -> None:
    page = visit.go("/?action=objectid&object=%3Cb%3E&r=nan", FIELD)
    check_harmless(page)
    for text in HOSTILE:
        searched(page, text)  # the text stands in what is said of it
        check_harmless(page)
    typed(page, HOSTILE[3])
    expect(page.locator(OPTIONS).first).to_contain_text("of class <b>bold</b>")
    check_harmless(page)


def check_harmless(page: Page) -> None:
    """Fail if what was typed became part of the page: a script that ran, an element; or if a trace is to be seen."""
    assert page.evaluate("window.broken") is None
    assert page.locator("#page b").count() == 0
    assert "Traceback" not in page.content()
