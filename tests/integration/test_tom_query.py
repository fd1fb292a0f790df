"""Fink in the pages of a real TOM, in a real browser: as a broker in toolkit 2, as a data service in toolkit 3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from browser import Visit
from playwright.sync_api import Browser, Page, expect
from tom_project import PASSWORD, USER, VERSIONS, TomProject, our_programs
from tom_searches import OBJECT, ServedApi, searches

from fink_broker.service.ports import any_port_open, free_port

pytestmark = pytest.mark.integration

SETTINGS = """
INSTALLED_APPS += ["tom_alertstreams", "tom_fink"]
TOM_ALERT_CLASSES = ["tom_fink.fink.FinkBroker"]
FINK_API_URL = "{url}"
FINK_PORTAL_URL = "https://portal.example.org"
TOM_FACILITY_CLASSES = []  # pages would ask servers of observatories

from astropy.utils import iers

iers.conf.auto_download = False
"""
#: scripts and images of other people's sites, which pages of the toolkit ask for, do not come here
_EXPECTED = ["ERR_FAILED", "is not defined", "Failed to load resource", "Failed to fetch"]
_UP_SECONDS = 180.0
#: the magnitudes, or limits, of all points of the plot
_PLOTTED = """() => [...document.querySelectorAll("#photometry .js-plotly-plot")]
    .flatMap(plot => plot.data.flatMap(trace => [...(trace.y || [])].filter(Number.isFinite)))"""


@dataclass
class Site:
    """A TOM with a web server, and a tab of a user who is logged in."""

    version: str
    url: str
    api: ServedApi = field(repr=False)
    visit: Visit = field(repr=False)

    @property
    def page(self) -> Page:
        return self.visit.page

    @property
    def is_broker(self) -> bool:
        """Whether Fink is a broker here; it is a data service otherwise."""
        return self.version.startswith("2.")

    def open_form(self) -> None:
        """Open the empty form of a query, as from the page of brokers or data services."""
        kind = "alerts/query/create/?broker" if self.is_broker else "tom_dataservices/query/create/?data_service"
        self.visit.go(f"/{kind}=Fink", "[name=objectId]")

    def submit(self, **texts: str) -> None:
        """Fill and send the form."""
        if self.is_broker:
            self.page.locator("[name=query_name]").fill(f"Query {next(iter(texts.values()), '')}")
        for name, text in texts.items():
            self.page.locator(f"[name={name}]").fill(text)
        self.page.locator("input[type=submit]:visible").last.click()

    def search(self, **texts: str) -> None:
        """Make a query and show its results."""
        self.open_form()
        self.submit(**texts)
        if self.is_broker:
            self.page.get_by_role("link", name="Run", exact=True).last.click()
        expect(self.page.get_by_role("heading", name=re.compile("Query Results?"))).to_be_visible()

    def names(self) -> list[str]:
        """Return the names in the table of results."""
        return self.page.locator("form table tbody a").all_inner_texts()

    def told(self) -> str:
        """Return what the page says went wrong."""
        said = self.page.locator(".alert-danger, .errorlist, .invalid-feedback")
        expect(said.first).to_be_visible()
        return " ".join(said.all_inner_texts())


@pytest.fixture(scope="module")
def sites(browser: Browser, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """Return a site of each toolkit; both ask one API."""
    folder = tmp_path_factory.mktemp("tom_query")
    with ExitStack() as ending:
        api = ServedApi(shared_data, folder)
        settings, projects = SETTINGS.format(url=api.url), {}
        for version in VERSIONS:
            projects[version] = TomProject(version, our_programs(version), folder, settings)
            projects[version].warm_up()
            ending.callback(projects[version].close)
        sites = {version: _site(browser, project, api, ending) for version, project in projects.items()}
        yield sites
        troubles = {version: site.visit.troubles for version, site in sites.items() if site.visit.troubles}
    assert not troubles, troubles


def _site(browser: Browser, project: TomProject, api: ServedApi, ending: ExitStack) -> Site:
    port = free_port()
    server = project.manage_quickly("runserver", "--noreload", "--skip-checks", f"127.0.0.1:{port}")
    ending.callback(server.end)
    url = f"http://127.0.0.1:{port}"
    server.wait_for(lambda: any_port_open(f"127.0.0.1:{port}", 1), "the site is up", _UP_SECONDS)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    ending.callback(context.close)
    context.set_default_timeout(60_000)
    context.route(lambda asked: not asked.startswith(url), lambda route: route.abort())
    page = context.new_page()
    page.goto(f"{url}/accounts/login/")
    form = page.locator("form", has=page.locator("[name=password]"))
    form.locator("[name=username], [name=login]").fill(USER)
    form.locator("[name=password]").fill(PASSWORD)
    form.locator("[name=password]").press("Enter")
    expect(page.get_by_text("Logout").first).to_be_attached()
    return Site(project.version, url, api, Visit(page, url, list(_EXPECTED)))


@pytest.fixture(params=VERSIONS)
def site(sites: dict[str, Site], request: pytest.FixtureRequest) -> Site:
    """Return the site of a version."""
    return sites[request.param]


def test_every_search_shows_its_alerts(site: Site, shared_data: Path) -> None:
    with site.api.up():
        for search in searches(shared_data):
            site.search(**{search.field: search.text})
            names = site.names()
            assert set(names) == search.objects, search.field
            assert len(names) == (search.rows if site.is_broker else len(search.objects)), search.field
            if search.field == "classsearch":
                site.visit.shot(f"tom-results-{site.version}", whole=True)


def test_a_result_becomes_a_target_whose_light_curve_is_plotted(site: Site) -> None:
    with site.api.up():
        site.search(objectId=OBJECT)
        site.page.locator("form table tbody input[type=checkbox]").first.check()
        site.page.get_by_role("button", name="Create Targets").click()
        expect(site.page.get_by_text(OBJECT).first).to_be_visible()
        columns = "i:jd,i:fid,i:magpsf,i:diffmaglim,d:tag"
        asked = {"objectId": OBJECT, "withupperlim": True, "columns": columns}
        rows = httpx.post(f"{site.api.url}/api/v1/objects", json=asked, timeout=30).json()
    if "/targets/1" not in site.page.url:  # toolkit 2 shows the list of targets
        site.page.goto(f"{site.url}/targets/1/", wait_until="domcontentloaded")
    expect(site.page.get_by_role("heading", name=OBJECT).first).to_be_visible()
    site.page.wait_for_function(f"({_PLOTTED})().length > 0")
    plotted = site.page.evaluate(_PLOTTED)
    good = [row for row in rows if row["d:tag"] != "badquality"]
    exposures = {(row["i:jd"], row["i:fid"], row["i:magpsf"]) for row in good}
    assert len(exposures) > 10
    assert len(plotted) == len(exposures)
    # the module keeps a tenth of a millimagnitude
    assert {round(row["i:magpsf"], 4) for row in good if row["d:tag"] == "valid"} <= {
        round(value, 4) for value in plotted
    }
    site.visit.shot(f"tom-target-{site.version}", whole=True)


def test_a_wrong_search_is_told_in_a_sentence(site: Site) -> None:
    site.open_form()
    site.submit(objectId=OBJECT, ssosearch="8467")
    assert "Exactly one field of the search must be filled; objectId, ssosearch are filled." in site.told()
    site.open_form()
    site.submit(conesearch="193.8, 2.9")
    assert "A cone is written as RA, Dec, radius in arcseconds" in site.told()


def test_an_api_that_is_away_or_refuses_is_told_in_a_sentence(site: Site) -> None:
    site.search(ssosearch="26209")  # what was found before, toolkit 3 remembers
    said = site.told()
    assert site.api.url in said
    assert "Traceback" not in said
    assert site.names() == []
    with site.api.up():
        site.search(datesearch="not a date, 5")
        assert "`startdate` is not a date" in site.told()
        site.search(objectId="ZTF99zzzzzzz")
        assert site.names() == []
