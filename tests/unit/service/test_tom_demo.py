"""What `fink demo --with-tom` adds: it waits for the TOM, and shows its pages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.service.demo import PIPELINE, DemoPlan
from fink_broker.service.state import Process, ServiceState, StateStore
from fink_broker.service.tom import demo
from fink_broker.service.tom.project import Project
from fink_broker.service.tom.service import folder


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = Config.model_validate({"storage": {"state": str(tmp_path)}})
    Project(folder(made) / "project").write()
    return made


@pytest.fixture
def served() -> Iterator[tuple[Config, dict[str, Any]]]:
    """Return a configuration, and what its TOM answers by path: JSON, or the code of an error."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path, 404)
            self.send_response(found if isinstance(found, int) else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield Config.model_validate({"tom": {"port": server.server_address[1]}}), answers
    server.shutdown()
    server.server_close()


def tom_is(store: StateStore, *, up: bool) -> None:
    process = Process.of(psutil.Process())
    store.write(ServiceState("tom", process, 5.0, "tom.log", "fink.conf", ["fink", "start", "tom"], up=up))


def test_without_the_option_there_is_no_tom() -> None:
    plan = DemoPlan("synthetic", 10, 0.0, Path(), None)
    assert plan.services == PIPELINE
    assert "tom" not in PIPELINE


def test_it_waits_until_the_tom_is_up_and_nothing_waits_for_it(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    store, seen = StateStore(config.storage.state), list[str]()
    left, there = [4, 0], [[], ["fink_vra_ztf"]]
    monkeypatch.setattr(demo.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(demo, "existing", lambda _config, _environ: there.pop(0) if len(there) > 1 else there[0])

    def waiting(_config: Config, _environ: object, groups: dict[str, str]) -> int:
        assert list(groups) == ["fink_vra_ztf"]
        seen.append(f"{left[0]} wait")
        return left.pop(0)

    def look() -> None:
        seen.append("look")
        tom_is(store, up="look" in seen[:-1])

    monkeypatch.setattr(demo, "waiting", waiting)
    demo.wait_until_all_is_taken_in(config, store, look)
    assert seen == ["look", "look", "look", "look", "4 wait", "look", "0 wait"]


def test_a_tom_that_does_not_come_up_is_not_waited_for_forever(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "BUILD_SECONDS", 0.0)
    with pytest.raises(ServiceError, match=r"The TOM has not come up in time\."):
        demo.wait_until_all_is_taken_in(config, StateStore(config.storage.state), lambda: None)


def test_pages_tell_what_they_show(served: tuple[Config, dict[str, Any]]) -> None:
    config, answers = served
    answers["/targets/"] = answers["/targets/7/?tab=photometry"] = "a page"
    answers["/summary/targets"] = {"count": 1}
    answers["/summary/light_curve"] = {"id": 7, "name": "ZTF21abfmbix", "count": 31}
    pages = demo.pages(config)
    assert [page.check(0.0) for page in pages] == ["1 target", "31 detections"]
    assert "ZTF21abfmbix" in pages[1].purpose
    assert pages[0].is_opened


def test_a_page_that_fails_is_said_whatever_it_would_show(served: tuple[Config, dict[str, Any]]) -> None:
    config, answers = served
    answers["/targets/"], answers["/targets/7/?tab=photometry"] = "a page", 500
    answers["/summary/targets"] = {"count": 1}
    answers["/summary/light_curve"] = {"id": 7, "name": "ZTF21abfmbix", "count": 31}
    with pytest.raises(ServiceError, match=r"targets/7/.* does not answer"):
        demo.pages(config)[1].check(0.0)


def test_a_tom_without_targets_has_nothing_to_show(served: tuple[Config, dict[str, Any]]) -> None:
    config, answers = served
    answers["/targets/"] = "a page"
    answers["/summary/targets"] = answers["/summary/light_curve"] = {"count": 0}
    (page,) = demo.pages(config)
    with pytest.raises(ServiceError, match="nothing to show"):
        page.check(0.0)


def test_a_tom_that_is_away_is_said(served: tuple[Config, dict[str, Any]]) -> None:
    with pytest.raises(ServiceError, match=r"The TOM does not answer at .*/summary/light_curve"):
        demo.pages(served[0])
