"""The dashboard in a real browser, over the commits of a night that grows while it is looked at."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from board_night import MODULE_MS, NIGHT, TOPICS, MadeUpNight, made
from browser import Visit
from playwright.sync_api import BrowserContext, expect
from prometheus_client.parser import text_string_to_metric_families
from rejected_rows import TOPIC as REJECTED_TOPIC
from rejected_rows import add_rejected, packet

from fink_broker.config.model import Config, KafkaConfig, StorageConfig
from fink_broker.config.portal import DashboardConfig
from fink_broker.errors import ServiceError
from fink_broker.monitor.board import Board
from fink_broker.monitor.board.lag import LagWatcher
from fink_broker.monitor.dashboard import events
from fink_broker.monitor.dashboard.service import serve
from fink_broker.service.dashboard import HostServices
from fink_broker.service.ports import free_port
from fink_broker.service.state import Process, ServiceState, StateStore

pytestmark = pytest.mark.integration

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
HIDDEN = "hunter2hunter2"


@dataclass
class Served:
    """A dashboard, the folder it looks at, and a night in it."""

    config: Config
    night: MadeUpNight
    store: StateStore
    stops: list[Callable[[], None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.config.dashboard.port}"

    def start(self) -> None:
        """Serve until `stop`."""
        over, said = threading.Event(), threading.Event()
        worker = threading.Thread(
            target=serve, args=(self.config, HostServices(self.config), over, lambda _text: said.set())
        )
        worker.start()
        assert said.wait(10)

        def stop() -> None:
            over.set()
            worker.join(10)
            assert not worker.is_alive()

        self.stops.append(stop)
        for _ in range(100):
            with suppress(httpx.HTTPError):
                httpx.get(f"{self.url}/health/live").raise_for_status()
                return
            time.sleep(0.05)
        raise AssertionError("the dashboard does not answer")

    def stop(self) -> None:
        """End it."""
        while self.stops:
            self.stops.pop()()

    def run(self, name: str, **state: object) -> Path:
        """Let a service have run; return its log."""
        log = self.store.log_path(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        began = time.time() - 3600
        self.store.write(
            ServiceState(name, Process(2**22 + 1, began), began, str(log), "", [], **state)  # type: ignore[arg-type]
        )
        return log


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    config = Config(
        storage=StorageConfig(online=str(folder / "online"), state=folder / "state", warn_free_gib=0, min_free_gib=0),
        kafka=KafkaConfig(servers="127.0.0.1:1"),
        dashboard=DashboardConfig(port=free_port(), refresh_seconds=0.5, log_lines=5),
    )
    dashboard = Served(config, MadeUpNight(config.storage.online), StateStore(config.storage.state))
    dashboard.start()
    try:
        yield dashboard
    finally:
        dashboard.stop()


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def look(context: BrowserContext, dashboard: Served) -> Iterator[Visit]:
    # a stream of events ends when its page is left
    visit = Visit(context.new_page(), dashboard.url, [r"^failed: .*/events"])
    yield visit
    assert not visit.troubles, visit.troubles


def fill(dashboard: Served, batches: int = 24) -> None:
    now = time.time()
    for number in range(batches):
        dashboard.night.step(now - 10 * (batches - number))


def test_an_empty_broker_then_a_night_then_what_breaks(dashboard: Served, look: Visit) -> None:
    page = look.go("/", "main")
    expect(page.locator("h1")).to_have_text("No alert has come in yet.")
    expect(page.get_by_text("Nothing has run here yet")).to_be_visible()
    look.check_accessible()
    look.shot("dashboard-empty")

    fill(dashboard)
    expect(page.locator("h1")).to_contain_text("All counts close. 576 alerts in the last 24 h")
    expect(page.locator("#flow")).to_contain_text("573 kept")
    for name in (*TOPICS, *MODULE_MS):
        expect(page.locator("main")).to_contain_text(name)
    dashboard.night.step(time.time())
    expect(page.locator("h1")).to_contain_text("600 alerts")
    expect(page.locator("#lag")).to_contain_text("does not answer", timeout=10_000)
    look.check_accessible()
    look.shot("dashboard-live", whole=True)
    page.locator("#scheme").click()
    look.check_accessible()
    look.shot("dashboard-live-dark", whole=True)

    dashboard.night.step(time.time(), until="raw")
    expect(page.locator("#flow")).to_contain_text("24 in flight")
    log = dashboard.run("raw2science", exit_code=3, ended=time.time(), reason=f"Its disk is full. {HOSTILE}")
    log.write_text(f"{HOSTILE}\nasked http://me:{HIDDEN}@broker\n")
    dashboard.night.commit("science", made("s-x", ["r-x"], {"in": 1, "out": 1, "cut": 0}, time.time(), time.time()))
    expect(page.locator("#status")).to_have_attribute("data-level", "bad")
    expect(page.locator("h1")).to_contain_text("Counts do not close.")
    expect(page.locator("#notes")).to_contain_text("science batch s-x took in raw batches that do not exist: r-x.")
    expect(page.locator("#notes")).to_contain_text("raw2science died: Its disk is full.")
    look.shot("dashboard-broken")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look.shot("dashboard-phone")

    page = look.go("/services.html", "#service-list section")
    expect(page.locator("#service-list pre")).to_contain_text(HOSTILE)
    expect(page.locator("#service-list pre")).to_contain_text("http://me:***@broker")
    assert HIDDEN not in page.content()
    assert page.title() == "Services : Fink dashboard"
    look.check_accessible()
    look.shot("dashboard-services")


def test_pages_of_the_past_and_of_the_sky(dashboard: Served, look: Visit) -> None:
    fill(dashboard)
    online = dashboard.config.storage.online
    add_rejected(online, "a", "20231018", [packet(n, "no Avro", b"bytes %d" % n, seconds=n) for n in range(60)])
    add_rejected(online, "b", "20231018", [packet(100, HOSTILE, b"<script>", seconds=90)])

    page = look.go("/history.html", "#history-plot .main-svg")
    page.get_by_text("By stage").click()
    expect(page.locator("#history-plot .legend .traces")).to_have_count(4)
    assert page.url.endswith("?what=stages&range=all")
    expect(page.locator("#night-table")).to_contain_text(f"{NIGHT[:4]}-{NIGHT[4:6]}-{NIGHT[6:]}")
    look.check_accessible()
    look.shot("dashboard-history")

    page = look.go("/classification.html", "#types-plot .bars .point")
    for kind, drawn in (("Polar", ".polar .barlayer path"), ("Pyramid", ".funnellayer path")):
        page.get_by_text(kind, exact=True).click()
        page.wait_for_selector(f"#types-plot {drawn}", state="attached")
        look.shot(f"dashboard-{kind.lower()}")
    expect(page.locator("#types-table")).to_contain_text("RRLyrae")
    look.check_accessible()

    page = look.go("/skymap.html", "#sky .sky-pixel")
    page.locator(".sky-pixel").first.hover(force=True)
    expect(page.locator("#sky-told")).to_contain_text("per square degree")
    look.check_accessible()
    look.shot("dashboard-sky")

    page = look.go("/rejected.html", "#packets tbody tr")
    expect(page.locator("#packets")).to_contain_text(HOSTILE)
    page.get_by_role("combobox", name="Reason").select_option("no Avro")
    expect(page.locator("#packets-what")).to_have_text("1 to 50 of 60, the newest first")
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#packets tbody tr")).to_have_count(10)
    with page.expect_download() as got:
        page.locator("#packets tbody tr").last.get_by_role("link").click()
    assert got.value.path().read_bytes() == b"bytes 0"
    assert page.title() == "Rejected : Fink dashboard"
    look.check_accessible()
    look.shot("dashboard-rejected")


def test_a_board_that_hangs_and_a_lost_connection_are_told(
    dashboard: Served, look: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    look.expected += [r"^(failed|console): .*(ERR_|net::|Failed to load)"]
    monkeypatch.setattr(events, "BEAT_SECONDS", 0.2)  # before anybody waits for one
    fill(dashboard, 3)
    page = look.go("/live.html", "#flow .flow-node")
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")

    def hangs(board: Board) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Board, "look", hangs)
        patch.setattr(events, "time", SimpleNamespace(time=lambda: time.time() + 60))
        dashboard.night.step(time.time())
        expect(page.locator("#lost")).to_contain_text("The dashboard answers, but has seen nothing since")
        expect(page.locator("#link-state")).to_have_attribute("data-state", "lost")
        look.shot("dashboard-hangs")
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("h1")).to_contain_text("96 alerts")
    dashboard.stop()
    expect(page.locator("#lost")).to_contain_text("The dashboard has not answered since")
    look.shot("dashboard-lost")
    page.get_by_label("CSV address").fill("http://example.com/x.csv")
    page.get_by_label("CSV address").press("Tab")
    expect(page.locator("#rates-trouble")).to_contain_text("Only files of this dashboard")
    dashboard.start()
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")
    expect(page.locator("#lost")).to_be_hidden()


def test_answers_for_programs(dashboard: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(dashboard, 6)
    with httpx.Client(base_url=dashboard.url, timeout=10) as client:
        deadline = time.monotonic() + 30
        while client.get("/api/snapshot.json").json()["stages"][3]["batches"] < 6 and time.monotonic() < deadline:
            time.sleep(0.1)
        told = client.get("/api/snapshot.json").json()
        assert [stage["batches"] for stage in told["stages"]] == [6, 6, 6, 6]
        rates = "timestamp,inputRowsPerSecond,processedRowsPerSecond"
        for name, header in (("live_raw", rates), ("live", rates), ("history", rates), ("simbadtype", "type,count")):
            answer = client.get(f"/data/{name}.csv")
            assert answer.headers["content-type"].startswith("text/csv")
            assert answer.text.splitlines()[0] == header
            assert len(answer.text.splitlines()) > 1
        families = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
        assert "fink_alerts" in families
        while (told := client.get("/api/snapshot.json").json())["lag"]["state"] == "asking":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        health = client.get("/health").json()
        assert (health["ready"], health["broker"]) == (True, told["status"]["level"])
        assert client.get("/data/nights.csv").text.splitlines()[0] == "night,raw,science,filtered,archived"
        page = client.get("/live.html")
        assert "script-src 'self';" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        for path in (
            "/api/rejected/page.json?offset=-1",
            "/api/rejected/page.json?day=2023-13-45",
            "/api/rejected/packet?topic=x&partition=0&offset=99999999999999999999",
            f"/api/rejected/packet?topic={REJECTED_TOPIC}&partition=0&offset=0",
            "/data/simbadtype.csv?night=../../etc",
            "/api/sky.json?night=<script>",
        ):
            answer = client.get(path)
            assert answer.status_code == 400, path
            assert answer.headers["content-type"].startswith("text/plain")
            assert len(answer.text.splitlines()) == 1
        assert client.get("/static/../app.py").status_code == 404
        assert client.get("/static/..%2fapp.py").status_code == 404
        assert client.post("/live.html").status_code == 405
        monkeypatch.setattr(events, "MOST_LISTENERS", 1)
        with client.stream("GET", "/events?logs") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: snapshot"
            assert json.loads(next(lines).removeprefix("data: "))["stages"]
            refused = client.get("/events")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")


def test_a_port_that_is_taken_is_told(dashboard: Served) -> None:
    with pytest.raises(ServiceError, match=r"The dashboard cannot listen at 127\.0\.0\.1"):
        serve(dashboard.config, HostServices(dashboard.config), threading.Event(), lambda _text: None)


def test_lag_behind_a_real_kafka(kafka: str, topic: str) -> None:
    from confluent_kafka import Producer  # noqa: PLC0415

    producer = Producer({"bootstrap.servers": kafka})
    for number in range(7):
        producer.produce(topic, b"x", partition=number % 4)
    assert producer.flush(20) == 0
    watcher = LagWatcher(Config(kafka=KafkaConfig(servers=kafka, topic=topic)), {})
    watcher.start()
    try:
        deadline = time.monotonic() + 20
        while watcher.view({}, time.time()).state == "asking" and time.monotonic() < deadline:
            time.sleep(0.05)
        seen = watcher.view({(topic, 0): 1}, time.time())
        assert (seen.state, seen.total) == ("known", 6)
        assert [each.waiting for each in seen.partitions] == [1, 2, 2, 1]
    finally:
        watcher.close()
