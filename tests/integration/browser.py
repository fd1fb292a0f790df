"""A real browser on the portal, over an HBase that holds the real alerts and a synthetic sky.

``page`` is a fresh tab; the test fails if the tab had an error on its console, a failed request, or an answer 5xx that
the test did not announce. ``visit.shot(name)`` keeps a picture in ``.screenshots/``.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, expect, sync_playwright
from web_portal import ServedPortal, served_portal
from web_sky import fill_web_archive, web_archive

from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.writing import create_tables
from fink_broker.config.model import Config, HBaseConfig

SCREENSHOTS = Path(__file__).resolve().parents[2] / ".screenshots"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

#: what a page is given for anything that is expected of it (ms): other tests are at work on the same cores
_PATIENCE = 15_000
expect.set_options(timeout=_PATIENCE)

_SETTLED = """() => Promise.allSettled(document.getAnimations()
    .filter(each => each.effect && each.effect.getTiming().iterations !== Infinity).map(each => each.finished))"""


@dataclass
class Visit:
    """A tab that notes what goes wrong in it.

    Parameters
    ----------
    page : Page
        The tab.
    url : str
        Address of the portal or dashboard it looks at.
    expected : list of str
        Regular expressions of troubles the test means to cause.
    """

    page: Page
    url: str
    expected: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._note(f"console: {said.text}") if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._note(f"script: {error}"))
        self.page.on("requestfailed", self._look_at_failure)
        self.page.on("response", self._look_at)

    def go(self, path: str, wait_for: str = "#page .page-content") -> Page:
        """Open a path of the site and wait for its content."""
        self.page.goto(f"{self.url}{path}")
        self.page.wait_for_selector(wait_for)
        return self.page

    def shot(self, name: str, *, whole: bool = False) -> None:
        """Keep a picture of what is seen."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)

    def check_accessible(self) -> None:
        """Fail on a serious or critical finding of axe-core, once colours and places have settled."""
        self.page.evaluate(_SETTLED)
        found = Axe().run(self.page).response["violations"]
        serious = [
            f"{each['id']}: {each['help']} {[node['target'] for node in each['nodes'][:3]]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert not serious, serious

    def _look_at_failure(self, asked: Request) -> None:
        if "ERR_ABORTED" not in (asked.failure or ""):  # that is how what a page still loads ends when it is left
            self._note(f"failed: {asked.url} {asked.failure}")

    def _look_at(self, answer: Response) -> None:
        if answer.status >= 500:
            self._note(f"{answer.status}: {answer.url}")

    def _note(self, text: str) -> None:
        if not any(re.search(pattern, text) for pattern in self.expected):
            self.troubles.append(text)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return Chromium; skips where there is none, unless FINK_TEST_BROWSER says that there must be one."""
    found = next((path for path in map(shutil.which, _NAMES) if path), None)
    if found is None:
        assert os.environ.get("FINK_TEST_BROWSER") != "required", "FINK_TEST_BROWSER asks for a browser; there is none"
        pytest.skip("no browser is here: these tests need Chromium (Debian, Ubuntu: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=[*_FLAGS])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def web(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedPortal]:
    """Return the portal over real HBase, or over memory with ``--archive=memory``."""
    folder = tmp_path_factory.mktemp("web")
    if request.config.getoption("--archive") == "memory":
        archive = web_archive(shared_data, folder / "online" / "science")
    else:
        config: Config = request.getfixturevalue("hbase_config")
        request.getfixturevalue("hbase")
        ports = config.hbase.model_dump() | {"tables": f"web{uuid.uuid4().hex[:8]}"}
        archive = open_archive(config.model_copy(update={"hbase": HBaseConfig(**ports)}))
        create_tables(archive)
        fill_web_archive(archive, shared_data, folder / "online" / "science")
    with served_portal(archive, folder) as served:
        yield served
    archive.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser session without a past."""
    fresh = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    fresh.set_default_timeout(_PATIENCE)
    yield fresh
    fresh.close()


@pytest.fixture
def visit(context: BrowserContext, web: ServedPortal) -> Iterator[Visit]:
    """Return a tab on the portal; troubles it noted fail the test."""
    visit = Visit(context.new_page(), web.url)
    yield visit
    assert not visit.troubles, visit.troubles
