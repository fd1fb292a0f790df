"""Results of a search, the gallery and the cross-match in a real browser."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from browser import Visit
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration
#: What was on its way when a page was left.
LEFT = "ERR_ABORTED"

CLASS = "/?action=class&class=SN%20candidate&last=60"
ROWS = "#results-grid .ag-center-cols-container .ag-row"


def argument(page: Page, name: str) -> str | None:
    return parse_qs(urlsplit(page.url).query).get(name, [None])[0]


def all_images_are_there(page: Page, selector: str) -> None:
    expect(page.locator(selector).first).to_be_visible()
    seen = "all => all.filter(image => image.getBoundingClientRect().top < innerHeight)"
    decoded = f"async all => {{ for (const image of ({seen})(all)) await image.decode(); return true; }}"
    assert page.locator(selector).evaluate_all(decoded)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_cards_lead_to_pages_and_other_views(visit: Visit) -> None:
    visit.expected.append(LEFT)
    page = visit.go(CLASS, ".results-card")
    assert page.locator(".results-card").count() == 10
    all_images_are_there(page, ".results-stamp, .results-curve")
    visit.shot("results-cards")
    visit.check_accessible()
    first = page.locator(".results-name a").first.inner_text()
    page.locator(".results-page", has_text="2").click()
    expect(page.locator(".results-corner").first).to_have_text("#11")
    page.go_back()
    expect(page.locator(".results-corner").first).to_have_text("#1")
    page.get_by_role("button", name="Help").last.click()
    page.get_by_text("A click on a point opens the object").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Code").click()
    page.get_by_text('curl "').first.wait_for()
    assert "SN candidate" in page.locator(".mantine-Modal-content").inner_text()
    page.keyboard.press("Escape")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="CSV").click()
    rows = rows_of(Path(downloaded.value.path()))
    assert rows[0]["i:objectId"] == first
    assert downloaded.value.suggested_filename.endswith(".csv")
    page.locator(".results-name a").first.click()
    page.wait_for_url(f"**/{first}")


def test_the_table_sorts_filters_and_takes_columns(visit: Visit) -> None:
    visit.expected.append(LEFT)
    page = visit.go(CLASS, ".results-card")
    page.get_by_text("Table", exact=True).click()
    page.wait_for_selector(ROWS)
    assert argument(page, "view") == "table"
    objects = page.locator("#results-grid [col-id=objectId][role=gridcell] a")
    summary = page.locator("#results-grid .ag-paging-row-summary-panel")
    expect(summary).to_contain_text("60")
    page.get_by_text("Unique objects").click()
    page.wait_for_url("**unique=object**")
    expect(summary).not_to_contain_text("60")
    names = objects.all_inner_texts()
    assert len(set(names)) == len(names)
    page.get_by_role("textbox", name="Further columns").fill("i:drb")
    page.get_by_role("option", name="i:drb", exact=True).click()
    cell = page.locator('#results-grid [col-id="i:drb"][role=gridcell]').first
    expect(cell).to_have_text(re.compile(r"^[01](\.\d+)?$"))
    page.keyboard.press("Escape")
    header = page.locator("#results-grid .ag-header-cell[col-id=count]")
    header.locator(".ag-header-cell-text").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    counts = [float(text) for text in page.locator("#results-grid [col-id=count][role=gridcell]").all_inner_texts()]
    assert counts == sorted(counts)
    visit.shot("results-table")
    visit.check_accessible()
    # the view is remembered where an address does not name one
    visit.go("/?action=class&class=Ambiguous", ROWS)
    assert argument(page, "view") == "table"
    page.go_back()
    page.wait_for_url("**unique=object**")


def test_the_sky_map_leads_to_objects(visit: Visit) -> None:
    visit.page.emulate_media(color_scheme="dark")
    page = visit.go(f"{CLASS}&view=map", ".sky-chart .scatterlayer .points path")
    visit.shot("results-map-dark")
    visit.check_accessible()
    page.locator(".sky-chart .nsewdrag").wait_for()
    box = page.locator(".sky-chart .scatterlayer .trace:last-child .points path").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator(".hoverlayer .hovertext").wait_for()
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url("**/ZTF*")


def test_nothing_found_and_a_phone(visit: Visit) -> None:
    visit.expected.append(LEFT)
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go("/?action=conesearch&ra=1&dec=-60&r=5")
    page.get_by_text("Nothing found").wait_for()
    page = visit.go("/?action=class&class=SN%20candidate&last=12&page=2", ".results-card")
    all_images_are_there(page, ".results-stamp")
    visit.shot("results-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.check_accessible()


def test_the_gallery_shows_a_class(visit: Visit) -> None:
    visit.expected.append(LEFT)
    page = visit.go("/gallery", ".gallery-image")
    all_images_are_there(page, ".gallery-image")
    visit.shot("gallery")
    visit.check_accessible()
    page.get_by_text("Difference", exact=True).click()
    page.wait_for_selector('.gallery-image[src*="kind=Difference"]')
    assert argument(page, "kind") == "Difference"
    page.get_by_role("textbox", name="Class").click()
    page.get_by_role("option", name="Ambiguous", exact=True).click()
    page.wait_for_url("**class=Ambiguous**")
    page.wait_for_selector(".gallery-image")
    visit.go("/gallery?class=%3Cscript%3Ealert(1)%3C/script%3E&n=x&kind=y")
    page.get_by_text("No alerts").wait_for()


def test_a_catalogue_is_matched(visit: Visit) -> None:
    page = visit.go("/xmatch")
    refuse = page.locator("#xmatch-setup")
    chosen = page.locator("#xmatch-upload input[type=file]")
    for name, content, words in (
        ("image.csv", b"\x89PNG\r\n\0\0", "not text"),
        ("short.csv", b"ra,dec\n1,2,3\n", "Row 1 has 3 cells"),
    ):
        chosen.set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
        expect(refuse).to_contain_text(words)
    chosen.set_input_files({"name": "huge.csv", "mimeType": "text/csv", "buffer": b"1,2\n" * 1_300_000})
    expect(page.locator("#xmatch-said")).to_contain_text("too large")
    hostile = b"my name,ra,dec\n<img src=x onerror=alert(1)>,10,20\n"
    chosen.set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": hostile})
    expect(refuse).to_contain_text("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Match").click()
    expect(page.locator("#xmatch-results")).to_contain_text("None of the 1 positions")
    page.get_by_role("button", name="Try an example").click()
    expect(page.locator("#xmatch-text")).to_have_value(re.compile("M 31"))
    page.get_by_role("button", name="Use these lines").click()
    expect(refuse).to_contain_text("6 sources")
    page.get_by_role("button", name="Match").click()
    page.locator("#xmatch-results .ag-row a").first.wait_for()
    expect(page.locator("#xmatch-results")).to_contain_text("5 of 6 sources")
    visit.shot("xmatch", whole=True)
    visit.check_accessible()
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download CSV").click()
    rows = rows_of(Path(downloaded.value.path()))
    assert len(rows) == 5 and rows[0]["name"] == "source 1" and rows[0]["i:objectId"].startswith("ZTF")
