"""The search for counterparts in a real browser: a skymap is uploaded, its region drawn; hostile files end in words."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from astropy_healpix import healpy
from browser import Visit
from playwright.sync_api import Page, Route, expect
from web_portal import ServedPortal

pytestmark = pytest.mark.integration

NSIDE = 64


@pytest.fixture(scope="module")
def counterpart(web: ServedPortal) -> dict[str, float | str]:
    """Return the object of the archive that has been seen for the shortest time, but some days."""
    asked = {"class": "SN candidate", "n": "1000", "columns": "i:objectId,i:ra,i:dec,i:jd,i:jdstarthist"}
    rows = httpx.get(f"{web.api_url}/api/v1/latests", params=asked, timeout=30).json()
    young = [row for row in rows if 0 < row["i:jd"] - row["i:jdstarthist"] < 5]
    return min(young, key=lambda row: row["i:objectId"])


def skymap(ra: float, dec: float, jd: float) -> bytes:
    """Return the map of an event half a day before a time, within 15 degrees of a position."""
    pixels = np.arange(12 * NSIDE**2)
    vectors = np.stack(healpy.pix2vec(NSIDE, pixels, nest=True), axis=1)
    across, up = np.radians([ra, dec])
    centre = np.array([np.cos(up) * np.cos(across), np.cos(up) * np.sin(across), np.sin(up)])
    column = fits.Column("PROB", "D", array=np.exp((vectors @ centre - 1) * 60))
    hdu = fits.BinTableHDU.from_columns([column])
    hdu.header.update(PIXTYPE="HEALPIX", ORDERING="NESTED", NSIDE=NSIDE, INDXSCHM="IMPLICIT", COORDSYS="C")
    hdu.header["DATE-OBS"] = Time(jd - 0.5, format="jd", scale="utc").isot
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(content)
    return gzip.compress(content.getvalue(), 1)


def test_names_end_in_words_and_an_uploaded_skymap_finds_its_counterpart(
    visit: Visit, web: ServedPortal, counterpart: dict[str, float | str], tmp_path: Path
) -> None:
    page = visit.go("/gw?event_name=S230709bi&credible_level=0.35", "#gw-input")
    check_names(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.check_accessible()
    visit.shot("gw-phone-dark")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    check_skymaps(visit, counterpart, tmp_path)
    assert httpx.post(f"{web.url}/gw/skymaps", content=b"x", timeout=10).status_code == 403


def check_skymaps(visit: Visit, counterpart: dict[str, float | str], folder: Path) -> None:
    """Files that are no skymaps end in words; a skymap in its objects and its region, as often as it is given."""
    page = visit.page
    file = folder / "S240827aa.fits.gz"
    file.write_bytes(
        skymap(float(counterpart["i:ra"]), float(counterpart["i:dec"]), float(counterpart["i:jdstarthist"]))
    )
    result, said = page.locator("#gw-result"), page.locator("#gw-said")
    page.fill("#gw-level", "0.5")
    for name, content, words in (
        ("map.fits", b"<script>alert(1)</script>" * 40, "The skymap cannot be used"),
        ("map.fits.gz", gzip.compress(b"SIMPLE  =                    T".ljust(2880)), "The skymap cannot be used"),
    ):
        # both end in the same words: those of this file are there when its search was answered
        with page.expect_response(lambda answer: "gw-asked" in (answer.request.post_data or "")) as answered:
            page.set_input_files("#gw-input", {"name": name, "mimeType": "application/fits", "buffer": content})
        assert words in answered.value.text()
        expect(result).to_contain_text(words)
    page.set_input_files("#gw-input", {"name": "none.fits", "mimeType": "", "buffer": b""})
    expect(said).to_contain_text("is empty")
    page.set_input_files("#gw-input", file)
    row = page.get_by_role("row").filter(has_text=str(counterpart["i:objectId"]))
    expect(row).to_contain_text("0.500")
    expect(result).to_contain_text("S240827aa.fits.gz")
    expect(result).to_contain_text("square degrees", timeout=30_000)
    visit.check_accessible()
    visit.shot("gw-skymap", whole=True)
    expect(row.get_by_role("link")).to_have_attribute("href", f"/{counterpart['i:objectId']}")
    page.fill("#gw-level", "0.4")
    page.set_input_files("#gw-input", file)
    expect(result).to_contain_text("credible level 0.4")
    expect(result).to_contain_text("square degrees", timeout=30_000)
    page.fill("#gw-level", "0.5")
    page.set_input_files("#gw-input", file)
    expect(result).to_contain_text("credible level 0.5")
    expect(result).to_contain_text("square degrees", timeout=30_000)  # that of the first time


def test_a_search_that_is_under_way_is_not_asked_again(visit: Visit) -> None:
    page = visit.go("/gw", "#gw-input")
    asked: list[Route] = []

    def hold(route: Route) -> None:
        is_search = "gw-asked" in (route.request.post_data or "")
        asked.append(route) if is_search else route.continue_()

    page.route("**/_dash-update-component**", hold)
    page.fill("#gw-event", "S230709bi")
    page.click("#gw-search")
    page.click("#gw-search")
    expect(page.locator("#gw-said")).to_contain_text("still under way")
    page.press("#gw-event", "Enter")
    assert len(asked) == 1
    asked[0].continue_()
    result = page.locator("#gw-result")
    expect(result).to_contain_text("GraceDB is not asked")
    page.unroute("**/_dash-update-component**")
    page.fill("#gw-event", "nothing")
    page.click("#gw-search")
    expect(result).to_contain_text("not the name of an event")


def check_names(page: Page) -> None:
    """Names that are none, levels that are none, and a GraceDB that is not asked are told."""
    result = page.locator("#gw-result")
    assert page.input_value("#gw-event") == "S230709bi"
    assert page.input_value("#gw-level") == "0.35"
    expect(result).to_contain_text("GraceDB is not asked")
    for name, words in (
        ("", "Give the name of a superevent"),
        ("<script>alert(1)</script>", "not the name of an event"),
    ):
        page.fill("#gw-event", name)
        page.click("#gw-search")
        expect(result).to_contain_text(words)
    page.fill("#gw-event", "s230709bi")
    page.fill("#gw-level", "7")
    page.press("#gw-event", "Enter")
    expect(result).to_contain_text("from 0 to 1")
    assert "event_name=s230709bi" in page.url
