"""The service ``tom``: what it checks first, and how it follows topics that come later."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from fink_broker.config import Config
from fink_broker.errors import ConfigError, ServiceError
from fink_broker.service.tom import environment, service, topics
from fink_broker.service.tom.project import Project
from fink_broker.service.tom.service import Tom, address, run


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate({"storage": {"state": str(tmp_path)}, "tom": {"topics": ["sn_candidates", "vra"]}})


@pytest.fixture
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(environment, "ensure", ensure)


class FakeProgram:
    """A program that only notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def start(self) -> None:
        self.done.append("start")

    def stop(self, seconds: float) -> None:
        self.done.append("stop")


@pytest.fixture
def tom(config: Config, monkeypatch: pytest.MonkeyPatch) -> tuple[Tom, FakeProgram, list[str] | None]:
    project = Project(service.folder(config) / "project")
    project.write()
    made, streams = Tom(config, project, Path("python")), FakeProgram()
    monkeypatch.setattr(made, "_streams", streams)
    there: list[str] = []
    monkeypatch.setattr(topics, "existing", lambda _config, _environ: list(there))
    return made, streams, there


def followed(config: Config) -> list[str]:
    return [*json.loads((service.folder(config) / "project" / "fink.json").read_text())["groups"]]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8020"),
        ("::", "http://[::1]:8020"),
        ("fd00::1", "http://[fd00::1]:8020"),
        ("tom.example.org", "http://tom.example.org:8020"),
    ],
)
def test_its_address_is_one_a_browser_here_can_open(host: str, url: str) -> None:
    assert address(Config.model_validate({"tom": {"host": host}})) == url


@pytest.mark.usefixtures("nothing_is_built")
def test_an_address_that_is_taken_is_said_before_anything_is_built(config: Config, taken: int) -> None:
    config = Config.model_validate(config.model_dump() | {"tom": {"port": taken}})
    with pytest.raises(ServiceError, match=rf"The TOM cannot listen at 127\.0\.0\.1:{taken}.*tom\.port"):
        run(config, threading.Event(), print)


@pytest.mark.usefixtures("nothing_is_built")
def test_a_password_that_is_missing_is_said_before_anything_is_built(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"FINK_DISTRIBUTION_{name}", raising=False)
    section = {"distribution": {"security_protocol": "SASL_PLAINTEXT"}}
    with pytest.raises(ConfigError, match="FINK_DISTRIBUTION_USERNAME"):
        run(Config.model_validate(config.model_dump() | section), threading.Event(), print)


def test_streams_begin_with_the_topics_and_again_with_more(config: Config, tom: tuple[Any, ...]) -> None:
    made, streams, there = tom
    stop = threading.Event()
    made._follow(stop)
    assert streams.done == [], "there is nothing to follow"
    there.append("fink_vra_ztf")
    made._follow(stop)
    made._follow(stop)
    assert streams.done == ["stop", "start"]
    assert followed(config) == ["fink_vra_ztf"]
    there.insert(0, "fink_sn_candidates_ztf")
    made._follow(stop)
    assert streams.done == ["stop", "start"] * 2
    assert followed(config) == ["fink_sn_candidates_ztf", "fink_vra_ztf"]


def test_while_kafka_is_away_streams_go_on(tom: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    made, streams, there = tom
    there.append("fink_vra_ztf")
    made._follow(threading.Event())

    def away(_config: Config, _environ: object) -> list[str]:
        raise ServiceError("Kafka does not answer.")

    monkeypatch.setattr(topics, "existing", away)
    made._follow(threading.Event())
    assert streams.done == ["stop", "start"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(200, json={"count": 1}), ": 1 target,"),
        (httpx.Response(200, json={"count": 1234}), ": 1,234 targets,"),
        (httpx.Response(500), "8020, "),
    ],
)
def test_it_says_how_many_targets_there_are(
    tom: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch, answer: httpx.Response, told: str
) -> None:
    answer.request = httpx.Request("GET", "http://127.0.0.1:8020/summary/targets")
    monkeypatch.setattr(httpx, "get", lambda *_arguments, **_options: answer)
    assert told in tom[0]._doing()
    assert tom[0]._doing().endswith("following 0 of 2 topics")
