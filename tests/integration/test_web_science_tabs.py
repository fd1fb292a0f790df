"""The tabs of supernovae, the Solar System, tracklets and blazars in a real browser."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from browser import Visit
from outside_services import Page, Request, serving
from playwright.sync_api import BrowserContext, expect
from playwright.sync_api import Page as Tab
from web_portal import ServedPortal, served_portal

pytestmark = pytest.mark.integration

TRACKLET = "TRCK_20240901_031415_00"
PARQUET = {"Content-Type": "application/octet-stream"}
#: parameters of the asteroid that the ephemerides are of: H and G (mag)
HEIGHT, SLOPE = 14.2, 0.15
#: a supernova that was seen in g alone, twice
IN_G_ALONE = "ZTF17aadptpa"
#: a stretch of time without alerts, and a month that only axes of it name
STRETCH, ZOOMED = ["2011-03-02", "2011-03-20"], "Mar"


def objects_of(api_url: str, label: str) -> list[str]:
    """Return objects of a class, those with the most alerts first."""
    asked: dict[str, str | int] = {"class": label, "n": 200, "columns": "i:objectId"}
    answer = httpx.get(f"{api_url}/api/v1/latests", params=asked, timeout=20).raise_for_status().json()
    return [name for name, _ in Counter(row["i:objectId"] for row in answer).most_common()]


def parquet(rows: pd.DataFrame) -> Page:
    content = io.BytesIO()
    rows.to_parquet(content)
    return 200, content.getvalue(), PARQUET


def ephemerides(alert: dict[str, Any], count: int = 60) -> pd.DataFrame:
    """Return the alerts of an asteroid over some months with ephemerides, as the API does where Miriade answers."""
    from sbpy.photometry import HG  # noqa: PLC0415  (takes a second)

    random = np.random.default_rng(1)
    phase, band = np.linspace(1.0, 20.0, count), 1 + np.arange(count) % 2
    reduced = HG.evaluate(np.deg2rad(phase), HEIGHT, SLOPE) - 0.5 * (band == 2) + random.normal(0, 0.05, count)
    magnitude = reduced + 5 * np.log10(2.0 * 1.4)
    rows = pd.DataFrame(
        {
            "i:jd": 2460500.5 + np.arange(count), "i:fid": band, "i:candid": 10**18 + np.arange(count),
            "i:magpsf": magnitude, "i:sigmapsf": 0.05, "i:ra": 150.0 + random.normal(0, 1e-4, count), "i:dec": 20.0,
            "sso_name": "Benoitcarry", "sso_number": 8467, "Date": "2024-09-01T00:00:00", "Phase": phase,
            "VMag": magnitude, "Dobs": 1.4, "Dhelio": 2.0, "Elong.": 120.0,
            "SDSS:g": magnitude + 0.2, "SDSS:r": magnitude - 0.3, "i:magpsf_red": reduced,
            "RA": "+10 00 00.0", "DEC": "+20 00 00.0",
        }
    )  # fmt: skip
    return rows.assign(**{"i:objectId": alert["i:objectId"], "i:ssnamenr": alert["i:ssnamenr"]})


@pytest.fixture(scope="module")
def helped(web: ServedPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a portal whose API knows ephemerides, and tracklets."""
    moving = objects_of(web.api_url, "Solar System candidate")[:6]

    def answer(request: Request) -> Page:
        asked = httpx.get(f"{web.api_url}{request.path}?{request.query}", timeout=20)
        route, given = request.path.rpartition("/")[2], request.parameters
        passed: Page = (asked.status_code, asked.content, {"Content-Type": asked.headers.get("Content-Type", "")})
        if route == "sso" and "withEphem" in given:
            plain = httpx.get(f"{web.api_url}{request.path}", params={"n_or_d": given["n_or_d"]}, timeout=20).json()
            return parquet(ephemerides(plain[0]))
        if route == "tracklet":
            rows = [pd.read_parquet(io.BytesIO(_object(web.api_url, name))) for name in moving]
            members = pd.concat(rows).drop_duplicates("i:objectId")
            minutes = np.arange(len(members))
            path = {"i:jd": 2460554.5 + minutes / 1440, "i:ra": 150 + minutes / 200, "i:dec": 20 + minutes / 400}
            return parquet(members.assign(**path))
        if route == "objects" and given.get("objectId") in moving and asked.is_success:
            return parquet(pd.read_parquet(io.BytesIO(asked.content)).assign(**{"d:tracklet": TRACKLET}))
        return passed

    with (
        serving(answer) as api,
        served_portal(None, tmp_path_factory.mktemp("helped"), api_url=api.url) as portal,
    ):
        yield portal.url


def _object(api_url: str, name: str) -> bytes:
    asked = {"objectId": name, "output-format": "parquet"}
    return httpx.get(f"{api_url}/api/v1/objects", params=asked, timeout=20).raise_for_status().content


def test_tabs_show_what_alerts_say(visit: Visit, web: ServedPortal) -> None:
    check_supernovae(visit, web.api_url)
    check_supernova_of_one_band(visit)
    check_blazars(visit, web.api_url)
    check_asteroid_without_ephemerides(visit, web.api_url)


def check_supernovae(visit: Visit, api_url: str) -> None:
    """Scores, colour and rates share one stretch of time; a click shows its alert."""
    page = visit.go(f"/{objects_of(api_url, 'SN candidate')[0]}?tab=supernovae", "#supernovae-scores .main-svg")
    visit.check_accessible()
    visit.shot("science-tabs-supernovae")
    page.locator("#supernovae-kilonova").check(force=True)
    page.locator("#supernovae-scores .legend").get_by_text("Kilonova").wait_for()
    latest = page.locator("#supernovae-alert").inner_text()
    page.locator("#supernovae-scores .points path").first.click(force=True)
    expect(page.locator("#supernovae-alert")).not_to_have_text(latest, use_inner_text=True)
    zoom_in(page)
    expect(page.locator("#supernovae-scores .xtick").last).to_contain_text(ZOOMED)
    page.get_by_role("tab", name="T2 scores").click()
    page.get_by_text("No classification from T2 yet.").wait_for()
    page.get_by_role("tab", name="Color and mag rate").click()
    expect(page.locator("#supernovae-rates .xtick").last).to_contain_text(ZOOMED)
    page.get_by_role("tab", name="Color evolution").click()
    page.locator("#supernovae-colour .main-svg").first.wait_for()


def check_supernova_of_one_band(visit: Visit) -> None:
    """Without a colour the other plots share their stretch of time."""
    page = visit.go(f"/{IN_G_ALONE}?tab=supernovae", "#supernovae-scores .main-svg")
    zoom_in(page)
    expect(page.locator("#supernovae-scores .xtick").last).to_contain_text(ZOOMED)
    page.get_by_role("tab", name="Color evolution").click()
    page.get_by_text("No point in g has one in r within 0.3 days.").wait_for()


def zoom_in(page: Tab) -> None:
    page.evaluate(
        "(range) => Plotly.relayout(document.querySelector('#supernovae-light-curve .js-plotly-plot'), "
        "{'xaxis.range[0]': range[0], 'xaxis.range[1]': range[1]})",
        STRETCH,
    )


def check_blazars(visit: Visit, api_url: str) -> None:
    """The state at each alert is said."""
    name = objects_of(api_url, "(CTA) Blazar low state")[0]
    page = visit.go(f"/{name}?tab=blazar", "#blazar-flux .main-svg")
    assert page.get_by_role("region", name="State at each alert").locator("tbody tr").count() > 1
    visit.check_accessible()
    visit.shot("science-tabs-blazar")


def check_asteroid_without_ephemerides(visit: Visit, api_url: str) -> None:
    """A provider that is away leaves the light curve, and a notice."""
    name = objects_of(api_url, "Solar System MPC")[0]
    page = visit.go(f"/{name}?tab=solar_system", "#solar-system-light-curve .main-svg")
    page.get_by_text("No ephemerides just now").wait_for()
    page.get_by_role("tab", name="Phase curve").click()
    page.get_by_text("Without them phase angles and distances are not known.").wait_for()
    visit.shot("science-tabs-solar-system-away")


def test_tabs_show_what_others_know(context: BrowserContext, helped: str, web: ServedPortal) -> None:
    visit = Visit(context.new_page(), helped)
    check_phase_curve(visit, objects_of(web.api_url, "Solar System MPC")[0])
    check_tracklet(visit, objects_of(web.api_url, "Solar System candidate")[0])
    assert not visit.troubles, visit.troubles


def check_phase_curve(visit: Visit, name: str) -> None:
    """Each model is fitted, in bands and together, to points that ephemerides belong to."""
    page = visit.go(f"/{name}?tab=solar_system", "#solar-system-light-curve .main-svg")
    page.get_by_role("tab", name="Astrometry").click()
    page.locator("#solar-system-astrometry .main-svg").first.wait_for()
    page.get_by_role("tab", name="Phase curve").click()
    page.locator("#solar-system-phase").get_by_text("HG1G2: reduced χ²").wait_for()
    visit.check_accessible()
    visit.shot("science-tabs-phase-curve")
    page.get_by_text("SHG1G2", exact=True).click()
    page.locator("#solar-system-phase").get_by_text("SHG1G2: reduced χ²").wait_for()
    page.get_by_text("HG", exact=True).click()
    page.get_by_text("Combined (V)").click()
    height = page.locator("#solar-system-fit tr", has_text="H").filter(has_text="V").first
    height.wait_for()
    # V = g - 0.59 (g - r) - 0.01
    assert float(height.locator("td").nth(2).inner_text()) == pytest.approx(HEIGHT - 0.305, abs=0.1)
    page.emulate_media(color_scheme="dark")
    page.locator("#solar-system-phase").get_by_text("HG: reduced χ²").wait_for()
    visit.shot("science-tabs-phase-curve-dark")


def check_tracklet(visit: Visit, name: str) -> None:
    """All members of a tracklet are on the path, on a phone, too."""
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go(f"/{name}?tab=tracklets", "#tracklets-path .main-svg")
    assert page.get_by_role("region", name=f"Members of {TRACKLET}").locator("tbody tr").count() == 6
    page.get_by_text("″/h").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.check_accessible()
    visit.shot("science-tabs-tracklet-phone", whole=True)
