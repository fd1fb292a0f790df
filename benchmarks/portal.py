"""How fast the portal is with a million alerts in HBase: an object's page, suggestions, a period; visitors; memory.

python -m benchmarks.portal
python -m benchmarks.portal --alerts 20000 --folder /tmp/sky     # the folder is filled once, and used again

A real browser looks at the portal as ``fink start portal`` serves it. Each figure is measured in two ways in turn.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import psutil
import typer
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks import portal_period
from benchmarks.api_server import USUAL, filled_hbase, serve, wait_until_up
from benchmarks.archived_sky import FIRST_JD
from benchmarks.measure import MIB, machine, memory_of
from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.service import portal
from fink_broker.service.ports import free_port

VISITORS = 20
OBJECT, POINTS = USUAL
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
#: an object's page is interactive when its points are drawn and its tabs can be chosen
_INTERACTIVE = f"""() => document.querySelectorAll('.js-plotly-plot .scatterlayer .point').length >= {POINTS}
    && document.querySelector('[role=tab][aria-selected=true]')"""


@dataclass(frozen=True)
class Figure:
    """Milliseconds of something, measured in two ways.

    Parameters
    ----------
    name : str
        What.
    goal_ms : float
        What the median of the first way must be below.
    ways : dict
        Name of a way → milliseconds of each time.
    """

    name: str
    goal_ms: float
    ways: dict[str, list[float]]


def main(
    alerts: Annotated[int, typer.Option(help="alerts in HBase")] = 1_000_000,
    times: Annotated[int, typer.Option(help="how often each is measured")] = 15,
    views: Annotated[int, typer.Option(help="page views whose memory is looked at")] = 1000,
    heap_mib: Annotated[int, typer.Option(help="heap of HBase in MiB")] = 2048,
    folder: Annotated[Path | None, typer.Option(help="where HBase lies; a temporary folder where absent")] = None,
    seed: Annotated[int, typer.Option(help="which sky")] = 0,
) -> None:
    """Measure the portal."""
    console = Console(width=140)
    console.print(machine())
    with (
        tempfile.TemporaryDirectory() as temporary,
        filled_hbase(folder or Path(temporary), alerts, heap_mib, seed, console) as (stored, _, archive),
        sync_playwright() as playwright,
    ):
        content = stored.model_dump()
        content["portal"] |= {"port": free_port(), "aladin": False}
        config = Config.model_validate(content)
        servers = Servers(config)
        try:
            chromium, options = playwright.chromium, {"executable_path": shutil.which("chromium"), "args": [*_FLAGS]}
            browser = chromium.launch(**options)
            # what the browser is asked to wait for is a script, which the pages' own policy would not let run
            known = chromium.launch_persistent_context(f"{temporary}/profile", bypass_csp=True, **options)
            _measure(known, browser, config, archive, times, console)
            known.close()
            _visitors(browser, config, servers, views, console)
            browser.close()
        finally:
            servers.end()


class Servers:
    """The API and the portal, each in processes of its own."""

    def __init__(self, config: Config) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        settings = config.model_dump(mode="json")
        self.api = context.Process(target=serve, args=(settings, self._stop))
        self.portal = context.Process(target=_serve_portal, args=(settings, self._stop))
        self.api.start()
        wait_until_up(self.api, config.api.port)
        self.portal.start()
        _wait(f"{portal.address(config)}/health/ready")

    def portal_memory(self) -> int:
        """Return the bytes of the processes that serve pages."""
        root = psutil.Process(self.portal.pid)
        gunicorn = [child for child in root.children(recursive=True) if "gunicorn" in " ".join(child.cmdline())]
        return sum(memory_of(child.pid) for child in gunicorn)

    def end(self) -> None:
        """End both."""
        self._stop.set()
        for process in (self.portal, self.api):
            process.join(30)
            if process.is_alive():
                process.kill()


def _serve_portal(settings: dict[str, Any], stop: Any) -> None:
    portal.run(Config.model_validate(settings), stop, lambda _text: None)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise ServiceError(f"{url} does not answer.")


def _measure(
    known: BrowserContext, browser: Browser, config: Config, archive: Archive, times: int, console: Console
) -> None:
    url = portal.address(config)
    for _ in range(4):  # browsers keep what they compiled once a script has come again
        _object_page(known, url)
    figures = [
        Figure(
            f"object page, {POINTS} points, interactive",
            1500,
            _in_turn(
                times,
                {
                    "browser that was here before": lambda: _object_page(known, url),
                    "new browser": lambda: _object_page_of_a_stranger(browser, url),
                },
            ),
        ),
        Figure("suggestions in the search box", 150, _suggestions(known, url, archive, times)),
        Figure(
            f"period of {POINTS} points, from click to plot",
            2000,
            {
                "in the page": [_period(known, url, number) for number in range(max(3, times // 3))],
                "bare, all at once": portal_period.bare(POINTS, max(3, times // 3)),
            },
        ),
    ]
    report = Table(title="milliseconds")
    for heading in ("", "way", "p50", "p90", "goal p50", "ratio to the first way (p10 to p90)"):
        report.add_column(heading, justify="left" if heading in ("", "way") else "right")
    for figure in figures:
        _add(report, figure)
    console.print(report)


def _add(report: Table, figure: Figure) -> None:
    first = next(iter(figure.ways.values()))
    for number, (way, took) in enumerate(figure.ways.items()):
        median, late = statistics.median(took), float(np.percentile(took, 90))
        goal = f"< {figure.goal_ms:,.0f} {'✓' if median < figure.goal_ms else '✗'}" if number == 0 else ""
        low, high = np.percentile(np.asarray(took) / statistics.median(first), [10, 90])
        ratio = "" if number == 0 else f"{median / statistics.median(first):.2f} ({low:.2f} to {high:.2f})"
        report.add_row(figure.name if number == 0 else "", way, f"{median:,.0f}", f"{late:,.0f}", goal, ratio)


def _in_turn(times: int, ways: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(times):
        for name, way in ways.items():
            took[name].append(way())
    return took


def _object_page(context: BrowserContext, url: str) -> float:
    page = context.new_page()
    started = time.perf_counter()
    page.goto(f"{url}/{OBJECT}", wait_until="commit")
    page.wait_for_function(_INTERACTIVE, timeout=60_000, polling=10)
    took = (time.perf_counter() - started) * 1e3
    page.close()
    return took


def _object_page_of_a_stranger(browser: Browser, url: str) -> float:
    context = browser.new_context(bypass_csp=True)
    try:
        return _object_page(context, url)
    finally:
        context.close()


def _suggestions(context: BrowserContext, url: str, archive: Archive, times: int) -> dict[str, list[float]]:
    """Return the time until the portal answers what was typed, and until that is seen, the pause in typing included."""
    newest = next(iter(archive.in_time("jd", jd_stop=FIRST_JD + 1, page=400)))  # not of the objects made for this
    names = newest["i:objectId"].to_pylist()
    typed = list(dict.fromkeys(name[:TYPED] for name in names))  # what was typed just before is not asked again
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(SEARCH_BOX)
    page.wait_for_load_state("networkidle")
    asked, seen = [], []
    for beginning in typed[:times]:
        page.fill(SEARCH_BOX, "")
        page.wait_for_function(f"() => !document.querySelector('{OPTION}')")
        started = time.perf_counter()
        with page.expect_response(lambda answer: SUGGEST in (answer.request.post_data or "")) as waiting:
            page.fill(SEARCH_BOX, beginning)
        waiting.value.finished()
        timing = waiting.value.request.timing
        page.wait_for_function(
            f"() => [...document.querySelectorAll('{OPTION}')].some(each => {_WHOLE_NAME}.test(each.textContent))",
            polling=5,
        )
        seen.append((time.perf_counter() - started) * 1e3)
        asked.append(timing["responseEnd"] - timing["requestStart"])
    page.close()
    return {"answered": asked, "seen, with the pause in typing": seen}


def _period(context: BrowserContext, url: str, number: int) -> float:
    page = context.new_page()
    page.goto(f"{url}/{OBJECT}?tab=variable")
    page.wait_for_selector(FIT_BUTTON)
    page.fill("#variable-longest", f"{1.2 + number / 1000:g}")  # another range each time: results are kept for an hour
    page.wait_for_timeout(1000)  # a visitor looks at the page first
    started = time.perf_counter()
    page.click(FIT_BUTTON)
    page.wait_for_selector(FIT_RESULT, timeout=60_000)
    took = (time.perf_counter() - started) * 1e3
    page.close()
    return took


def _visitors(browser: Browser, config: Config, servers: Servers, views: int, console: Console) -> None:
    """Let many visitors open pages at once as a browser does, then one after another."""
    url = portal.address(config)
    requests = _recorded(browser, url)
    failures: list[str] = []
    took: list[float] = []

    def visitor(times: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            for _ in range(times):
                started = time.perf_counter()
                failures.extend(_replay(client, requests))
                took.append((time.perf_counter() - started) * 1e3)

    memory = [servers.portal_memory()]
    for _ in range(10):
        share, rest = divmod(views // 10, VISITORS)
        threads = [threading.Thread(target=visitor, args=(share + (number < rest),)) for number in range(VISITORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        memory.append(servers.portal_memory())
    console.print(
        f"{VISITORS} visitors at once, {len(took):,} page views of {len(requests)} requests: {len(failures)} errors, "
        f"p50 {statistics.median(took):,.0f} ms, p99 {np.percentile(took, 99):,.0f} ms a page view"
    )
    for text in sorted(set(failures))[:5]:
        console.print(f"  {text}")
    console.print(
        "memory of the server in MiB, fresh and after each tenth of them: "
        + ", ".join(f"{size / MIB:,.0f}" for size in memory)
    )


@dataclass(frozen=True)
class Recorded:
    """A request of the browser's."""

    method: str
    path: str
    body: str | None


def _recorded(browser: Browser, url: str) -> list[Recorded]:
    """Return what a browser that has all scripts asks for on an object's page."""
    context = browser.new_context(bypass_csp=True)
    _object_page(context, url)
    page = context.new_page()
    found: list[Recorded] = []

    def note(asked: Any) -> None:
        path = asked.url.removeprefix(url)
        if asked.url.startswith(url) and not path.startswith(("/_dash-component-suites", "/assets")):
            found.append(Recorded(asked.method, path, asked.post_data))

    page.on("request", note)
    page.goto(f"{url}/{OBJECT}")
    page.wait_for_function(_INTERACTIVE, polling=10)
    page.wait_for_load_state("networkidle")
    context.close()
    return found


def _replay(client: httpx.Client, requests: Sequence[Recorded]) -> list[str]:
    """Ask the same again; return what went wrong."""
    wrong = []
    for asked in requests:
        headers = {"Content-Type": "application/json"} if asked.body else {}
        try:
            answer = client.request(asked.method, asked.path, content=asked.body, headers=headers)
        except httpx.HTTPError as error:
            wrong.append(f"{asked.path}: {type(error).__name__}")
            continue
        if answer.status_code >= 400:
            wrong.append(f"{asked.path}: {answer.status_code}")
    return wrong


SEARCH_BOX, OPTION, SUGGEST = "#search-text", "[role=option]", "search-answer"
#: which only the server knows
_WHOLE_NAME = "/ZTF[0-9]{2}[a-z]{7}/"
#: characters of a name that are typed: hundreds of objects begin so
TYPED = 10
FIT_BUTTON, FIT_RESULT = "#variable-fit", "#variable-result .js-plotly-plot"

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    typer.run(main)
