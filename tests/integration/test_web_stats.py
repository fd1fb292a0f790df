"""The pages of statistics and about in a real browser."""

from __future__ import annotations

import pytest
from browser import Visit

pytestmark = pytest.mark.integration

HOSTILE = (
    "/stats?tab=daily&night=%3Cscript%3E",
    "/stats?tab=timelines&column=%3Cimg%20onerror%3D1%3E",
)


def test_statistics_and_about(visit: Visit) -> None:
    check_calendar(visit)
    check_timelines(visit)
    for path in HOSTILE:
        page = visit.go(path, ".stats-place .main-svg")
        assert page.locator(".page-content script, .page-content img").count() == 0
    check_about(visit)


def check_calendar(visit: Visit) -> None:
    """A night of the calendar leads to its numbers."""
    page = visit.go("/stats", ".stats-year .main-svg")
    page.get_by_text("Last night", exact=True).wait_for()
    visit.check_accessible()
    visit.shot("stats-heatmap", whole=True)
    box = page.locator(".stats-year", has=page.locator(".main-svg")).nth(1).locator(".nsewdrag").bounding_box()
    assert box is not None
    # 2024-08-15, a Thursday, is in the 33rd of the 53 weeks
    page.mouse.click(box["x"] + box["width"] * 32.5 / 53, box["y"] + box["height"] * 3.5 / 7)
    page.wait_for_url("**/stats?tab=daily&night=20240815")
    page.locator("#stats-bars-quality-cuts .main-svg").first.wait_for()
    assert page.locator("#stats-night").input_value() == "2024-08-15"
    visit.check_accessible()
    visit.shot("stats-daily", whole=True)
    page.locator("#stats-night").click()
    with page.expect_response("**/_dash-update-component*"):
        page.get_by_role("option", name="2024-09-01").click()
    page.wait_for_url("**/stats?tab=daily&night=20240901")
    counted = page.request.get(f"{visit.url}/api/v1/statistics?date=20240901").json()[0]["class:SN candidate"]
    page.locator(f"#page [aria-label^='All labels'][aria-label*='SN candidate {counted}']").wait_for()


def check_timelines(visit: Visit) -> None:
    """What is chosen is in the address."""
    page = visit.go("/stats?tab=timelines&column=class%3ASN+candidate&percentage=1", "#stats-timeline-plot .main-svg")
    page.locator("#stats-timeline-plot").get_by_text("SN candidate (% of processed alerts)").wait_for()
    page.get_by_label("Cumulative").check(force=True)
    page.locator("#stats-timeline-plot").get_by_text("SN candidate (% of processed alerts), summed").wait_for()
    assert "cumulative=1" in page.url
    visit.shot("stats-timelines")
    page.get_by_role("tab", name="Classes").click()
    page.locator("#stats-classes-plot .legend").get_by_text("Solar System MPC").wait_for()
    page.wait_for_url("**tab=classes**")
    page.get_by_text("Year", exact=True).click()
    page.get_by_text("Classes by year").wait_for()
    page.emulate_media(color_scheme="dark")
    visit.check_accessible()
    visit.shot("stats-classes-dark")
    page.get_by_role("tab", name="Help").click()
    page.get_by_text("Each night is counted when").wait_for()


def check_about(visit: Visit) -> None:
    """The page fits on a phone."""
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go("/about")
    page.get_by_role("heading", name="With thanks to").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.check_accessible()
    visit.shot("about-phone", whole=True)
